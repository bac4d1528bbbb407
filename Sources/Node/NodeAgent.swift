package import Client
package import Documents
internal import Glibc
package import Logging
package import Seams
internal import Synchronization

/// The agent that makes Pod documents true on this machine. `run` until cancelled; then the pods live on for the next
/// agent, unless `stopAll` ends them. One object a data directory.
package final class NodeAgent: Sendable {
    let configuration: NodeConfiguration
    let spawner: any ProcessSpawner
    let podNetwork: PodNetwork
    let clock: any Clock
    let logger: Logger
    private let client: any Client
    private let probing: any Network
    private let services = ServiceTable()
    /// Pods with a runner, by UID. The lock guards the table; a runner is entered before its task begins.
    private let runners = Mutex<[String: PodRunner]>([:])

    private static let pods = PodSpecification.resource
    private static let serviceResource = GroupResource(group: "", resource: "services")

    package init(
        configuration: NodeConfiguration, client: any Client, clock: any Clock, random: any RandomSource,
        logger: Logger,
        spawner: any ProcessSpawner = SystemProcessSpawner(), probing: any Network = SystemNetwork()
    ) {
        self.configuration = configuration
        self.client = client
        self.clock = clock
        self.logger = logger
        self.spawner = spawner
        self.probing = probing
        podNetwork = PodNetwork(configuration.network, spawner: spawner)
    }

    /// Returns when the task is cancelled.
    package func run() async {
        let sandbox = await findSandbox()
        let context = NodeContext(
            configuration: configuration, client: client, clock: clock, spawner: spawner, probing: probing,
            podNetwork: podNetwork, services: services, sandbox: sandbox, root: Self.rootEntries(),
            memoryDirectory: configuration.memoryDirectory(), logger: logger)
        await withDiscardingTaskGroup { group in
            group.addTask { await self.register(context) }
            while !Task.isCancelled {
                do {
                    try await follow(context, in: &group)
                } catch {
                    if Task.isCancelled { break }
                    logger.warning("Watch of pods broke and begins anew", metadata: ["error": "\(error)"])
                }
                try? await clock.sleep(for: Limits.watchRetry)  // Cancelled: the loop's condition sees it.
            }
            group.cancelAll()
        }
        runners.withLock { $0 = [:] }
    }

    static func rootEntries() -> [Sandbox.RootEntry] {
        StateFiles.names(in: "/").compactMap { name in
            if let link = StateFiles.linkTarget("/\(name)") { return Sandbox.RootEntry(name: name, link: link) }
            return StateFiles.isDirectory("/\(name)") ? Sandbox.RootEntry(name: name) : nil
        }
    }

    /// One watch from its start to its break.
    private func follow(_ context: NodeContext, in group: inout DiscardingTaskGroup) async throws(APIError) {
        let watch = try await client.watch(
            [Self.serviceResource, Self.pods], options: WatchOptions(visibility: .durable))
        defer { watch.cancel() }
        let known = try await client.list(Self.pods, namespace: "", options: ListOptions())
        let present = Set(known.items.map(\.uid))
        services.replaceAll()
        for (uid, runner) in runners.withLock({ $0 }).sorted(by: { $0.key < $1.key }) where !present.contains(uid) {
            runner.send(.documentGone)
        }
        let leftovers = StateFiles.names(in: configuration.podsDirectory).filter { uid in
            !present.contains(uid) && runners.withLock { $0[uid] == nil }
        }
        group.addTask {
            await self.removeLeftovers(leftovers, keeping: present.union(self.runners.withLock { Set($0.keys) }))
        }
        while !Task.isCancelled {
            let events = try watch.poll()
            // Services first: a pod that came with them is told of them.
            for event in events where event.resource == Self.serviceResource {
                if event.kind == .deleted { services.remove(event.document) } else { services.set(event.document) }
            }
            for event in events where event.resource == Self.pods { await onPod(event, context, in: &group) }
            if events.contains(where: { $0.resource == Self.serviceResource }) { updateHosts() }
            if events.isEmpty { await watch.wait() }
        }
    }

    private func onPod(_ event: WatchEvent, _ context: NodeContext, in group: inout DiscardingTaskGroup) async {
        var pod = event.document
        if event.kind == .deleted {
            runners.withLock { $0[pod.uid] }?.send(.documentGone)
            return
        }
        let node = pod.spec["nodeName"]?.stringValue ?? ""
        if node.isEmpty {
            guard !pod.isBeingDeleted, let claimed = await claim(pod) else { return }
            pod = claimed
        } else if node != configuration.nodeName {
            return
        }
        let runner = runners.withLock { runners -> (PodRunner, isNew: Bool) in
            if let known = runners[pod.uid] { return (known, false) }
            let runner = PodRunner(pod, context: context)
            runners[pod.uid] = runner
            return (runner, true)
        }
        if pod.isBeingDeleted {
            let seconds = pod.metadata["deletionGracePeriodSeconds"]?.integerValue ?? 30
            runner.0.send(.deletionRequested(grace: .seconds(max(0, seconds))))
        }
        guard runner.isNew else { return }
        group.addTask {
            await runner.0.run()
            self.runners.withLock { runners in
                if runners[pod.uid] === runner.0 { runners[pod.uid] = nil }
            }
        }
    }

    /// Binds a pod to this node, with its ports where it shares the host's network. `nil`: it changed meanwhile,
    /// and its next event comes.
    private func claim(_ pod: Document) async -> Document? {
        var metadata: JSONObject = ["resourceVersion": .string(pod.resourceVersion)]
        let specification = PodSpecification(pod)
        if case .host = podNetwork.network.mode, !specification.ports.isEmpty {
            let ports = podNetwork.hostPorts(
                for: specification.ports, uid: pod.uid, recorded: PodPorts.read(pod.annotations))
            metadata["annotations"] = .object([PodPorts.annotation: .string(PodPorts.text(ports))])
        }
        let patch: JSON = ["metadata": .object(metadata), "spec": ["nodeName": .string(configuration.nodeName)]]
        let key = ObjectKey(Self.pods, namespace: pod.namespace, name: pod.name)
        do {
            return try await client.patch(
                key, .merge(patch), subresource: nil, options: WriteOptions(fieldManager: NodeContext.fieldManager))
        } catch {
            if error.reason != .conflict, error.reason != .notFound {
                logger.warning("Pod not bound to this node", metadata: ["pod": "\(key)", "error": "\(error)"])
            }
            return nil
        }
    }

    private func updateHosts() {
        for runner in runners.withLock({ Array($0.values) }) {
            let address = runner.address.withLock { $0 }
            guard !address.isEmpty, StateFiles.exists(runner.directory.hostsFile) else { continue }
            try? runner.writeHosts(address: address)  // Written anew at the next change, or at the next start.
        }
    }

    /// Finds the attempt a client asks for, and whether its container still runs.
    func attempt(of request: ContainerLogRequest) throws(APIError) -> (
        directory: PodDirectory, container: String, number: Int
    ) {
        let runner = runners.withLock { runners in
            runners.values.filter { $0.specification.key == request.key }.max {
                $0.specification.uid < $1.specification.uid
            }
        }
        guard let runner else { throw .notFound(Self.pods, request.key.name) }
        let container = runner.specification.containerName
        if !request.container.isEmpty, request.container != container {
            throw .badRequest("container \(request.container) is not valid for pod \(request.key.name)")
        }
        let attempts = runner.directory.attempts(container).filter { runner.directory.state(container, $0) != .unused }
        let wanted = request.isPrevious ? attempts.dropLast().last : attempts.last
        guard let wanted else {
            let what =
                request.isPrevious ? "previous terminated container \"\(container)\"" : "container \"\(container)\""
            let why = request.isPrevious ? "not found" : "is waiting to start: ContainerCreating"
            throw .badRequest("\(what) in pod \"\(request.key.name)\" \(why)")
        }
        return (runner.directory, container, wanted)
    }
}

extension NodeAgent {
    /// Opens a container's log; `notFound` and `badRequest` as a real API server words them.
    package func openLog(_ request: ContainerLogRequest) throws(APIError) -> ContainerLog {
        let (directory, container, number) = try attempt(of: request)
        return ContainerLog(request, path: directory.log(container, number), clock: clock) {
            directory.isRunning(container, number)
        }
    }
}
