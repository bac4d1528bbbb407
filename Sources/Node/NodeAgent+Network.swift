internal import Client
internal import Documents
internal import Logging
internal import Seams

/// The network around the pods: walls and names, kept in step with the documents.
extension NodeAgent {
    /// What is watched for them, besides what is watched anyway.
    var networkResources: [GroupResource] {
        podNetwork.walls == nil ? [] : [Walls.namespaces, Walls.policies, ClusterNames.slices]
    }

    /// Before the first document: where the pods are that run already, and what the walls know from the start.
    func openNetwork() async {
        guard let walls = podNetwork.walls else { return }
        var recorded: [String: String] = [:]
        for uid in StateFiles.names(in: configuration.podsDirectory) {
            let file = PodDirectory(podsDirectory: configuration.podsDirectory, uid: uid).addressFile
            recorded[uid] = StateFiles.text(file)?.filter { $0 != "\n" }
        }
        podNetwork.restore(recorded)
        walls.set(
            serverPorts: configuration.serverPorts, publishedPorts: configuration.publishedPorts,
            openedUplinks: configuration.opensUplinks ? await UplinkForwarding.open(spawner: spawner) : [])
    }

    /// Events of the agent's watch, before anything is done for them: a pod's rules come before its processes.
    func onNetworkEvents(_ events: [WatchEvent], isFirst: Bool) async {
        guard let walls = podNetwork.walls, isFirst || !events.isEmpty else { return }
        let changes = events.map { Walls.Change($0.resource, $0.document, isDeleted: $0.kind == .deleted) }
        walls.onChanges(changes, isFirst: isFirst)
        resolver?.onChanges(changes, isFirst: isFirst)
        do {
            try await walls.settle()
        } catch {
            // A pod that needs them is told the same, and tries again.
            logger.error("Network rules not applied", metadata: ["error": "\(error)"])
        }
    }

    /// Answers questions for names until cancelled.
    func serveNames() async {
        guard let resolver, case .bridge(let bridge) = podNetwork.network.mode else { return }
        while !Task.isCancelled {
            do {
                try await DNSServer(resolver: resolver, clock: clock).run(address: bridge.address)
            } catch {
                logger.error("Names are not answered", metadata: ["error": "\(error)"])
            }
            try? await clock.sleep(for: DNSLimits.listenRetry)  // Cancelled: the condition sees it.
        }
    }

    /// Looks now and then whether somebody has taken the rules away.
    func keepWalls() async {
        guard let walls = podNetwork.walls else { return }
        while true {
            do { try await clock.sleep(for: Limits.wallsCheck) } catch { return }
            do {
                try await walls.verify()
            } catch {
                logger.error("Network rules not applied", metadata: ["error": "\(error)"])
            }
        }
    }
}
