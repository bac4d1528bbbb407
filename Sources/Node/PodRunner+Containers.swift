internal import Documents
internal import Logging
internal import Seams

/// The attempts of a pod's containers: started, followed to their end, signalled.
extension PodRunner {
    func start(_ container: ContainerSpecification, _ attempt: Int) async {
        do {
            let materials = try await materials(of: container)
            let request = try request(container, attempt, materials)
            let launcher = context.launcher(specification.uid, container.name)
            // Not cancelled with us: a stop that comes now would pass by a shim that has not taken its folder yet.
            let launching = Task { try await launcher.launch(request) }
            switch try await launching.value {
            case .started, .refused: await watch(container.name, attempt, isNew: true)
            case .failed(let message): failed(container, message)
            }
        } catch let missing as PodMaterials.Missing {
            send(.notStarted(reason: missing.reason, message: missing.message), of: container.name)
        } catch {
            logger.warning("Container did not start", metadata: ["error": "\(error)"])
            failed(container, "\(error)")
        }
    }

    private func failed(_ container: ContainerSpecification, _ message: String) {
        let now = context.clock.now()
        let exit = ContainerExit(
            code: 128, signal: 0, started: now, finished: now, lastLine: message, reason: "StartError")
        send(.exited(exit), of: container.name)
    }

    /// Follows a held attempt to its end.
    func watch(_ container: String, _ attempt: Int, isNew: Bool = false) async {
        guard case .running(let shim) = directory.state(container, attempt) else { return sayEnd(container, attempt) }
        if isNew { send(.started(at: shim.started), of: container) }
        await context.spawner.waitForExit(shim.process)
        if Task.isCancelled { return }
        sayEnd(container, attempt)
    }

    private func sayEnd(_ container: String, _ attempt: Int) {
        let now = context.clock.now()
        let lost = ContainerExit(
            code: 137, signal: 9, started: now, finished: now, lastLine: "", reason: ContainerExit.lostReason)
        var exit = exit(container, attempt) ?? lost
        if exit.reason == ContainerExit.lostReason {
            exit.finished = now
            context.killMarked(specification.uid, container)
        }
        send(.exited(exit), of: container)
    }

    func signal(_ container: String, _ attempt: Int, _ signal: Int32) {
        guard case .running(let shim) = directory.state(container, attempt) else { return }
        context.spawner.signal(shim.process, signal)
    }

    /// Carries out a hook. A hook of exec or HTTP has as long as the pod's grace lets it.
    func runHook(_ kind: LifecycleHook.Kind, _ container: ContainerSpecification, _ attempt: Int) async {
        do {
            switch container.hooks[kind] {
            case .sleep(let duration): try? await context.clock.sleep(for: duration)  // Cancelled: nobody listens.
            case .action(let check): try await carryOut(check, timeout: Limits.hookTimeout, container, attempt)
            case nil: break
            }
            send(.hooked(kind, failure: nil), of: container.name)
        } catch {
            send(.hooked(kind, failure: "\(error)"), of: container.name)
        }
    }
}
