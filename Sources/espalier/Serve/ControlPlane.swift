internal import APIServer
internal import Client
internal import ControlLoop
internal import Documents
internal import Gateway
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Node
internal import Reconcilers
internal import Seams
internal import Store

/// The composition root: every part of the platform, and which implementation stands behind which seam.
///
/// Parts start in the order data passes through them (store, API, gateway, node, loops) and stop in the reverse order.
/// The API answers as soon as the log is read; loops and agents follow.
struct ControlPlane {
    struct Settings: Sendable {
        /// Absolute, without links.
        var dataDirectory: String
        var keys: KeyProvider
        /// What is sealed on disk besides Secrets.
        var sealed: Set<GroupResource>
        /// Where the store is copied to, if anywhere.
        var replica: Replica?
        var replicaKept: Duration
        var host: String
        var port: Int
        var gatewayListen: String
        var controllers: LoopSelection
        var givesPodsNetworks: Bool
        /// Event loops of the API.
        var eventLoops: Int
    }

    private let store: Keyspace
    private let service: APIService
    private let gateway: GatewayAgent
    private let node: NodeAgent
    private let tasks: Task<Void, Never>
    private let replication: Replication?
    private let logger: Logger

    static func start(_ settings: Settings, logger: Logger) async throws -> ControlPlane {
        if !OpenFiles.raiseLimit() { logger.warning("the limit on open files could not be raised") }
        let clock = SystemClock()
        let random = SystemRandomSource()
        let directory = settings.dataDirectory
        let store = try await open(directory, clock, try await settings.keys.load())
        // A store that sealed nothing and has lost its key loses nothing with it.
        if store.sealingKey == 0 { try store.adopt(try await settings.keys.next()) }
        let network = await NodeNetwork.probe(
            dataDirectory: directory, spawner: SystemProcessSpawner(), allowsBridge: settings.givesPodsNetworks)
        do {
            return try await start(settings, store: store, network: network, clock, random, logger: logger)
        } catch {
            await network.undo(spawner: SystemProcessSpawner())
            throw error
        }
    }

    private static func start(
        _ settings: Settings, store: Keyspace, network: NodeNetwork, _ clock: SystemClock, _ random: SystemRandomSource,
        logger: Logger
    ) async throws -> ControlPlane {
        let directory = settings.dataDirectory
        var configuration = APIConfiguration()
        configuration.serviceRange = network.serviceRange
        configuration.sealedResources = settings.sealed
        configuration.serverAddress = "\(settings.host):\(settings.port)"
        let pipeline = try APIPipeline(
            store: store, clock: clock, random: random, bundled: try BundledDefinitions.load(),
            configuration: configuration)
        try check(settings.sealed, pipeline)
        let client = InProcessClient(pipeline: pipeline)
        try PrivateFile.makeDirectory("\(directory)/keys")  // where sealing keys need not be
        let secretKey = try RevisionSecret.load("\(directory)/keys/revisions.secret")

        let service: APIService
        do {
            service = try await APIService.start(
                pipeline, APIService.Options(dataDirectory: directory, host: settings.host, port: settings.port),
                group: MultiThreadedEventLoopGroup(numberOfThreads: settings.eventLoops), logger: logger)
        } catch let error as IOError {
            let why = String(cString: strerror(error.errnoCode))
            throw Files.Failure(
                description:
                    "the API cannot listen on \(settings.host):\(settings.port): \(why); --listen names another address"
            )
        }

        let maintenance = settings.keys.maintenance(of: store, sealed: settings.sealed)
        service.handler.setMaintenance(maintenance)
        let replication = settings.replica.map {
            Replication(store: store, replica: $0, kept: settings.replicaKept, clock: clock, logger: logger)
        }
        if let replication {
            service.handler.addCheck("replica", isVital: false) { replication.complaint }
            service.handler.addGauge("espalier_replica_behind_seconds") { Int(replication.behind.components.seconds) }
        }
        let gateway = GatewayAgent(
            configuration: GatewayConfiguration(
                executable: try ownExecutable(), directory: directory, listen: settings.gatewayListen,
                mark: NodeNetwork.mark(network.instance)),
            client: client, clock: clock, logger: logger)
        let address = try await gateway.launch()
        logger.info("The gateway serves", metadata: ["address": "\(address)"])
        let node = NodeAgent(
            configuration: nodeConfiguration(settings, directory, network, gateway: address.port), client: client,
            clock: clock, random: random, logger: logger)
        service.handler.setLogSource(PodLogAdapter(node: node))
        service.handler.setPodReach(PodReachAdapter(node: node))
        let loops = Loops.task(
            settings.controllers, client: client, clock: clock, random: random, logger: logger,
            settings: LoopSettings(
                secretKey: secretKey, publicPort: address.port, zones: TimeZones(fileSystem: LinuxFileSystem())))
        let tasks = Task {
            await withDiscardingTaskGroup { group in
                group.addTask { await finishRotation(maintenance, logger) }
                if let replication { group.addTask { await replication.run() } }
                group.addTask { await gateway.run() }
                group.addTask { await node.run() }
                if let loops { group.addTask { await loops.run() } }
            }
        }
        return ControlPlane(
            store: store, service: service, gateway: gateway, node: node, tasks: tasks, replication: replication,
            logger: logger)
    }

    /// Pods reach what the gateway publishes on this machine, and nothing of the API's.
    private static func nodeConfiguration(
        _ settings: Settings, _ directory: String, _ network: NodeNetwork, gateway port: Int
    ) -> NodeConfiguration {
        var configuration = NodeConfiguration(nodeName: hostName(), dataDirectory: directory, network: network)
        configuration.serverPorts = [settings.port]
        configuration.publishedPorts = [port]
        return configuration
    }

    /// A word that names nothing would seal nothing. Other groups than the core one may still come.
    private static func check(_ sealed: Set<GroupResource>, _ pipeline: APIPipeline) throws {
        for resource in sealed where resource.group.isEmpty {
            if pipeline.catalogue.resource(group: "", version: "v1", resource: resource.resource) != nil { continue }
            throw Files.Failure(
                description: "--seal: expected resources in plural such as configmaps,landscapes.espalier.dev, found "
                    + "\"\(resource)\", which is none here")
        }
    }

    /// Goes on with a rotation of keys that the last server did not live to end.
    private static func finishRotation(_ maintenance: StoreMaintenance, _ logger: Logger) async {
        do {
            let count = try await maintenance.finishRotation()
            if count > 0 { logger.info("A rotation of keys is complete", metadata: ["documents": "\(count)"]) }
        } catch {
            logger.warning("A rotation of keys waits for the next start", metadata: ["error": "\(error)"])
        }
    }

    /// Opens the store. A server that was just killed may hold its lock for a moment longer.
    private static func open(
        _ directory: String, _ clock: SystemClock, _ keys: SealingKeys
    ) async throws -> Keyspace {
        let files = LinuxFileSystem()
        for _ in 0..<20 {
            do throws(StoreError) {
                return try Keyspace.open(directory: directory, fileSystem: files, clock: clock, keys: keys)
            } catch {
                guard case .locked = error else { throw error }
            }
            try await clock.sleep(for: .milliseconds(100))
        }
        return try Keyspace.open(directory: directory, fileSystem: files, clock: clock, keys: keys)
    }

    /// Ends in good order: first what acts, then what answers, then what remembers.
    func stop(_ signal: StopSignal) async {
        logger.info("Stopping", metadata: ["gateway and pods": signal == .stop ? "stop too" : "live on"])
        tasks.cancel()
        await tasks.value
        switch signal {
        case .stop:
            async let pods: Void = node.stopAll()
            await gateway.stopGateway()
            await pods
        case .leave: await gateway.leaveGateway()
        }
        await service.stop()
        await replication?.finish()
        store.close()
        logger.info("Stopped")
    }

    /// The path of the running program.
    private static func ownExecutable() throws -> String {
        guard let path = realpath("/proc/self/exe", nil) else {
            throw Files.Failure(description: "/proc/self/exe: \(String(cString: strerror(errno)))")
        }
        defer { free(path) }
        return String(cString: path)
    }

    /// The machine's name, which is the node's: lower case, as names of documents are.
    static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased()
        let isName =
            !text.isEmpty
            && text.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 45 || $0 == 46 }
        return isName ? text : "localhost"
    }
}
