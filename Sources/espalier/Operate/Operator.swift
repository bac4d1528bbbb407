internal import Client
internal import ControlLoop
internal import Documents
internal import Gateway
internal import Logging
internal import Reconcilers
internal import Seams

/// The composition root of `operate`: the same loops as in `serve`, behind an election, over HTTP.
struct Operator: Sendable {
    struct Settings: Sendable {
        /// `nil`: as fits the server.
        var controllers: LoopSelection?
        var leaseNamespace: String
        var leaseSeconds: Int
        var publicPort: Int?
        var publicScheme: String
        var webhookListen: ListenAddress?
        var webhookCertificates: String?
    }

    let client: HTTPClient
    let settings: Settings
    let logger: Logger
    private let clock = SystemClock()
    private let random = SystemRandomSource()

    init(client: HTTPClient, settings: Settings, logger: Logger) {
        self.client = client
        self.settings = settings
        self.logger = logger
    }

    /// Works until the task is cancelled. Throws where the cluster lacks what no waiting brings.
    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            if let listen = settings.webhookListen, let certificates = settings.webhookCertificates {
                let webhook = try WebhookServer(listen: listen, certificates: certificates, logger: logger)
                group.addTask { try await webhook.run(clock) }
            }
            group.addTask { try await lead() }
        }
    }

    private func lead() async throws {
        guard let isOurs = try await reach() else { return }
        let selection = settings.controllers ?? (isOurs ? .all : .ownKinds)
        let port = settings.publicPort ?? (isOurs ? 8080 : settings.publicScheme == "https" ? 443 : 80)
        let loops = LoopSettings(
            secretKey: try await revisionSecret(), publicPort: port, publicScheme: settings.publicScheme)
        try await checkKinds(Loops.reconcilers(loops).filter(selection.contains))
        let task = Loops.task(
            selection, client: client, clock: clock, random: random, logger: logger, settings: loops)
        guard let task else {
            throw Files.Failure(description: "--controllers selects no loop, so there is nothing to do")
        }
        var lease = LeaderElection.Settings(
            namespace: settings.leaseNamespace, name: "espalier-operator", identity: identity)
        lease.duration = .seconds(settings.leaseSeconds)
        await LeaderElection(
            client: client, clock: clock, random: random, logger: logger, settings: lease, work: task.run
        ).run()
    }

    /// Waits for the server to answer, and says whether it is one of ours. `nil` when cancelled meanwhile.
    private func reach() async throws -> Bool? {
        var wait = Duration.milliseconds(500)
        while !Task.isCancelled {
            do throws(APIError) {
                let version = try await client.version()
                logger.info(
                    "the cluster answers",
                    metadata: ["server": "\(client.endpoint.host):\(client.endpoint.port)", "version": "\(version)"])
                return version.contains("+espalier")
            } catch {
                if error.code < 500, error.code != 429 { throw error }
                logger.warning("the cluster does not answer yet", metadata: ["error": "\(error)"])
            }
            try? await clock.sleep(for: wait * (1 + random.fraction() / 2))  // throws only when cancelled
            wait = min(wait * 2, .seconds(30))
        }
        return nil
    }

    /// Says everything the cluster has no definition of, and what brings it.
    private func checkKinds(_ reconcilers: [any Reconciler]) async throws {
        let needed = Engine(client: client, reconcilers: reconcilers, logger: logger).watchedResources
        let known = Set(try await client.resources().map(\.information.resource))
        let missing = needed.filter { !known.contains($0) }
        if missing.isEmpty { return }
        let remedy =
            missing.contains { $0.group == "espalier.dev" }
            ? "kubectl apply --server-side -f crds/" : "install the CustomResourceDefinitions of their project"
        throw Files.Failure(
            description: "the cluster does not serve \(missing.map { "\($0)" }.joined(separator: ", ")): \(remedy)")
    }

    /// The key for revision hashes, from a Secret that is made at the first start.
    private func revisionSecret() async throws(APIError) -> [UInt8] {
        let resource = GroupResource(group: "", resource: "secrets")
        let key = ObjectKey(resource, namespace: settings.leaseNamespace, name: "espalier-revisions")
        do throws(APIError) {
            return try Self.key(in: try await client.get(key))
        } catch {
            guard error.reason == .notFound else { throw error }
        }
        let secret = Document([
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": ["name": .string(key.name), "namespace": .string(key.namespace)],
            "data": ["key": .string(Base64.encode(RevisionSecret.make()))],
        ])
        do throws(APIError) {
            return try Self.key(
                in: try await client.create(secret, options: WriteOptions(fieldManager: "espalier-operator")))
        } catch {
            guard error.reason == .alreadyExists else { throw error }
            return try Self.key(in: try await client.get(key))
        }
    }

    private static func key(in secret: Document) throws(APIError) -> [UInt8] {
        if let key = secret["data"]?["key"]?.stringValue.flatMap(Base64.decode), key.count >= 32 { return key }
        throw APIError.badRequest(
            "Secret \(secret.namespace)/\(secret.name): expected a key of at least 32 bytes in data.key; "
                + "delete it to get a new one, which rolls every service that reads a Secret")
    }

    private var identity: String { "\(ControlPlane.hostName())_\(String(random.next(), radix: 16))" }
}
