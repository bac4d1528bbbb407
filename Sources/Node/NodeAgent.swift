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
    let groups: ControlGroups
    let images: NodeImages
    /// Answers pods' questions for names; `nil` where pods have no network of their own.
    let resolver: PodResolver?
    /// Pods with a runner, by UID. The lock guards the table; a runner is entered before its task begins.
    private let runners = Mutex<[String: PodRunner]>([:])

    /// Whether the Node document takes new pods: not while it is cordoned. The lock guards this word.
    private let isCordoned = Mutex(false)

    private static let pods = PodSpecification.resource
    static let nodes = GroupResource(group: "", resource: "nodes")
    private static let serviceResource = GroupResource(group: "", resource: "services")
    private static let volumes = GroupResource(group: "", resource: "persistentvolumes")
    private static let contents = ["configmaps", "secrets"].map { GroupResource(group: "", resource: $0) }

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
        resolver = podNetwork.resolver(clock: clock, random: random)
        groups = ControlGroups.find(instance: configuration.network.instance)
        images = NodeImages(
            owner: configuration.network.instance, socket: configuration.engineSocket, clock: clock, logger: logger)
    }

    /// Returns when the task is cancelled.
    package func run() async {
        let sandbox = await findSandbox()
        let context = NodeContext(
            configuration: configuration, client: client, clock: clock, spawner: spawner, probing: probing,
            podNetwork: podNetwork, services: services, sandbox: sandbox, groups: groups, images: images,
            root: Self.rootEntries(),
            memoryDirectory: configuration.memoryDirectory(), logger: logger)
        await openNetwork()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.register(context) }
            group.addTask { await self.serveNames() }
            group.addTask { await self.keepWalls() }
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
            [Self.nodes, Self.serviceResource, Self.pods, Self.volumes] + Self.contents + networkResources,
            options: WatchOptions(visibility: .durable))
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
            await self.removeLeftovers(leftovers) { present.union(self.runners.withLock { Set($0.keys) }) }
        }
        var isFirst = true
        while !Task.isCancelled {
            let events = try watch.poll()
            await onNetworkEvents(events, isFirst: isFirst)
            isFirst = false
            for event in events where event.resource == Self.nodes { try await onNode(event, context, in: &group) }
            // Services first: a pod that came with them is told of them.
            for event in events where event.resource == Self.serviceResource {
                if event.kind == .deleted { services.remove(event.document) } else { services.set(event.document) }
            }
            for event in events where event.resource == Self.pods { await onPod(event, context, in: &group) }
            for event in events where event.resource == Self.volumes && event.kind == .deleted {
                onGone(event.document)
            }
            for event in events where Self.contents.contains(event.resource) { onContent(event) }
            if events.contains(where: { $0.resource == Self.serviceResource }) { updateHosts() }
            if events.isEmpty { await watch.wait() }
        }
    }

    /// Notes whether our Node document is cordoned. When it no longer is, the pods that waited are taken.
    private func onNode(
        _ event: WatchEvent, _ context: NodeContext, in group: inout DiscardingTaskGroup
    ) async throws(APIError) {
        guard event.document.name == configuration.nodeName else { return }
        let isClosed = event.kind != .deleted && event.document.spec["unschedulable"]?.boolValue == true
        let wasClosed = isCordoned.withLock { value in
            defer { value = isClosed }
            return value
        }
        guard wasClosed, !isClosed else { return }
        let waiting = try await client.list(Self.pods, namespace: "", options: ListOptions()).items
        for pod in waiting where (pod.spec["nodeName"]?.stringValue ?? "").isEmpty {
            await onPod(WatchEvent(.modified, Self.pods, pod), context, in: &group)
        }
    }

    /// Says of a pod that nobody takes it, once.
    private func leavePending(_ pod: Document, _ context: NodeContext) async {
        let known = PodCondition.all(pod.status).first { $0.type == "PodScheduled" }
        if known?.reason == "Unschedulable" { return }
        let condition = PodCondition(
            type: "PodScheduled", isTrue: false, reason: "Unschedulable",
            message: "node \(configuration.nodeName) is cordoned and takes no new pods: kubectl uncordon "
                + configuration.nodeName, changed: clock.now().rfc3339)
        let report = Document([
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": .string(pod.name), "namespace": .string(pod.namespace), "uid": .string(pod.uid)],
            "status": ["phase": "Pending", "conditions": [condition.json]],
        ])
        do {
            _ = try await client.apply(report, subresource: .status, options: context.write)
        } catch {
            logger.warning("Pod status not written", metadata: ["pod": "\(pod.name)", "error": "\(error)"])
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
            if isCordoned.withLock({ $0 }) { return await leavePending(pod, context) }
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

    /// A volume of ours went, and its last document said what becomes of the data. What went while no agent was there
    /// stays on the disk: nothing is deleted for the lack of a document.
    private func onGone(_ volume: Document) {
        guard volume.annotations["pv.kubernetes.io/provisioned-by"] == "espalier.dev/local",
            volume.spec["persistentVolumeReclaimPolicy"]?.stringValue == "Delete",
            PodSpecification.isSubdomain(volume.name)
        else { return }
        logger.info("Removing a volume", metadata: ["volume": "\(volume.name)"])
        StateFiles.remove(configuration.volumeDirectory(volume.name))
    }

    /// A ConfigMap or Secret changed: whoever shows it in a volume writes that anew.
    private func onContent(_ event: WatchEvent) {
        let key = ObjectKey(event.resource, namespace: event.document.namespace, name: event.document.name)
        for runner in runners.withLock({ $0.values.filter { $0.contents.contains(key) } }) { runner.onChange() }
    }

    private func updateHosts() {
        for runner in runners.withLock({ Array($0.values) }) {
            let address = runner.address.withLock { $0 }
            guard !address.isEmpty, StateFiles.exists(runner.directory.hostsFile) else { continue }
            try? runner.writeHosts(address: address)  // Written anew at the next change, or at the next start.
        }
    }

    /// The runner of a pod and the container a client asks for. Pods of one name follow each other, and an earlier one
    /// may still be ending: the document says which is meant.
    private func find(
        _ request: ContainerLogRequest
    ) async throws(APIError) -> (runner: PodRunner, container: ContainerSpecification) {
        let uid = try await client.get(request.key).uid
        guard let runner = runners.withLock({ $0[uid] }) else {
            throw .badRequest("pod \"\(request.key.name)\" is waiting to start: ContainerCreating")
        }
        let specification = runner.specification
        let name = request.container.isEmpty ? specification.defaultContainer : request.container
        guard let container = specification.container(name) else {
            throw .badRequest("container \(name) is not valid for pod \(request.key.name)")
        }
        return (runner, container)
    }

    /// Finds the attempt whose log a client asks for.
    func attempt(of request: ContainerLogRequest) async throws(APIError) -> (
        directory: PodDirectory, container: String, number: Int
    ) {
        let (runner, found) = try await find(request)
        let container = found.name
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

    /// Finds the attempt that runs now, for a command beside it or a connection to it.
    func runningAttempt(
        of request: ContainerLogRequest
    ) async throws(APIError) -> (runner: PodRunner, container: ContainerSpecification, number: Int) {
        let (runner, container) = try await find(request)
        let directory = runner.directory
        if let last = directory.attempts(container.name).last, case .running = directory.state(container.name, last) {
            return (runner, container, last)
        }
        throw APIError(
            code: 500, reason: .internalError,
            message: "container \"\(container.name)\" of pod \"\(request.key.name)\" is not running")
    }
}

extension NodeAgent {
    /// Opens a container's log; `notFound` and `badRequest` as a real API server words them.
    package func openLog(_ request: ContainerLogRequest) async throws(APIError) -> ContainerLog {
        let (directory, container, number) = try await attempt(of: request)
        return ContainerLog(request, path: directory.log(container, number), clock: clock) {
            directory.isRunning(container, number)
        }
    }
}
