internal import Documents
internal import Glibc
internal import Logging
internal import Seams

/// Ending pods without their documents: at a complete stop, and when a document went while no agent was there. Works
/// from the folders alone.
extension NodeAgent {
    /// Ends every pod of this data directory and removes its network; documents and logs stay. Call it after `run` has
    /// returned. The next agent starts the pods again.
    package func stopAll() async {
        let uids = StateFiles.names(in: configuration.podsDirectory)
        await withDiscardingTaskGroup { group in
            for uid in uids { group.addTask { await self.stop(uid, isShutdown: true) } }
        }
        for uid in uids {
            await groups.remove(pod: uid, clock: clock)
            await podNetwork.remove(uid: uid)
        }
        groups.removeAll()
        await podNetwork.removeLeftovers(keeping: [])
        await configuration.network.remove(spawner: spawner)
        if let memory = configuration.memoryDirectory() { StateFiles.remove(memory) }
        logger.info("Pods stopped", metadata: ["pods": "\(uids.count)"])
    }

    /// Removes what earlier agents left of pods that no document speaks of any more. `present` is asked again and again,
    /// each time after looking at what is there: a pod that comes meanwhile is known before it makes anything.
    func removeLeftovers(_ uids: [String], keeping present: @Sendable () -> Set<String>) async {
        for uid in uids {
            logger.info("Removing a pod without a document", metadata: ["uid": "\(uid)"])
            await stop(uid, isShutdown: false)
            await groups.remove(pod: uid, clock: clock)
            await podNetwork.remove(uid: uid)
            if let memory = configuration.memoryDirectory() { StateFiles.remove("\(memory)/\(uid)") }
            StateFiles.remove(PodDirectory(podsDirectory: configuration.podsDirectory, uid: uid).path)
        }
        groups.removeLeftovers(except: present())
        await podNetwork.removeLeftovers(keeping: present().sorted())
        guard let memory = configuration.memoryDirectory() else { return }
        let found = StateFiles.names(in: memory)
        let kept = present()
        for uid in found where !kept.contains(uid) { StateFiles.remove("\(memory)/\(uid)") }
    }

    private func stop(_ uid: String, isShutdown: Bool) async {
        let directory = PodDirectory(podsDirectory: configuration.podsDirectory, uid: uid)
        let seconds = PodDirectory.fields(StateFiles.text("\(directory.path)/pod") ?? "")["grace"].flatMap { Int64($0) }
        let grace = min(configuration.shutdownGrace, .seconds(max(0, seconds ?? 30)))
        for container in directory.containers {
            for number in directory.attempts(container) {
                var state = directory.state(container, number)
                for _ in 0..<400 where state == .beginning {
                    try? await clock.sleep(for: .milliseconds(5))  // The shim is about to say who it is.
                    state = directory.state(container, number)
                }
                guard case .running(let shim) = state else { continue }
                if isShutdown { directory.markShutdown(container, number) }
                await stop(shim.process, grace: grace)
            }
        }
        PodLeftovers.kill(mark: "ESPALIER_POD_UID=\(uid)", spawner: spawner)
    }

    /// Asks, waits, then ends it. The shim itself ends last, when nothing of its container is left.
    private func stop(_ shim: ProcessIdentity, grace: Duration) async {
        spawner.signal(shim, NodeContext.terminate)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.spawner.waitForExit(shim) }
            group.addTask { try? await self.clock.sleep(for: grace) }  // Cancelled: the shim has ended.
            await group.next()
            group.cancelAll()
        }
        guard spawner.isAlive(shim) else { return }
        spawner.signal(shim, NodeContext.kill)
        await spawner.waitForExit(shim)
    }
}
