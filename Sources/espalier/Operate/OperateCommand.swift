internal import ArgumentParser
internal import Client
internal import Documents
internal import Gateway
internal import Glibc
internal import Reconcilers

/// `espalier operate`: the loops against a cluster that somebody else runs.
struct OperateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "operate", abstract: "Runs the control loops against any Kubernetes API.",
        discussion: """
            The cluster is the one of --kubeconfig, or the one the process runs in. Several may run: one leads, by a Lease. \
            Against a server of Espalier (serve --controllers none) all loops run; elsewhere those of Espalier's own kinds, \
            because a cluster looks after Deployments and Services itself. manifests/operator/ installs it in a cluster.
            """)

    @Option(help: "Kubeconfig file. Default: the cluster this process runs in.")
    var kubeconfig: String?

    @Option(help: "Context of the kubeconfig.")
    var context: String?

    @Option(
        help: "Loops that run: *, none, names with commas between them, -NAME to leave one out. Default: see above.")
    var controllers: String?

    @Option(help: "Namespace of the Lease and of the Secret with the key for revision hashes.")
    var leaseNamespace = "kube-system"

    @Option(help: "Seconds after which another operator takes the place of one that has gone silent.")
    var leaseSeconds = 15

    @Option(
        help: "Port of the gateway as people reach it, for the URLs in statuses. Default: 8080, or the scheme's own.")
    var publicPort: Int?

    @Option(help: "Scheme of those URLs: http or https.")
    var publicScheme = "http"

    @Option(help: "Address and port to serve admission webhooks on, such as 0.0.0.0:9443.")
    var webhookListen: String?

    @Option(help: "Folder with tls.crt and tls.key of the webhooks.")
    var webhookCertificates: String?

    @OptionGroup var logging: LogOptions

    func validate() throws {
        if let controllers { _ = try Self.selection(controllers) }
        if let webhookListen, ListenAddress(webhookListen) == nil {
            throw ValidationError(
                "--webhook-listen: expected ADDRESS:PORT such as 0.0.0.0:9443, found \"\(webhookListen)\"")
        }
        if (webhookListen == nil) != (webhookCertificates == nil) {
            throw ValidationError("--webhook-listen and --webhook-certificates go together")
        }
        if !(1...3600).contains(leaseSeconds) {
            throw ValidationError("--lease-seconds: expected 1 to 3600, found \(leaseSeconds)")
        }
        if let publicPort, !(1...65535).contains(publicPort) {
            throw ValidationError("--public-port: expected 1 to 65535, found \(publicPort)")
        }
        if !["http", "https"].contains(publicScheme) {
            throw ValidationError("--public-scheme: expected http or https, found \"\(publicScheme)\"")
        }
    }

    func run() async throws {
        let signals = try StopSignals.observe()
        let logger = logging.logger
        let settings = Operator.Settings(
            controllers: try controllers.map(Self.selection), leaseNamespace: leaseNamespace,
            leaseSeconds: leaseSeconds, publicPort: publicPort, publicScheme: publicScheme,
            webhookListen: webhookListen.flatMap(ListenAddress.init),
            webhookCertificates: webhookCertificates)
        let client = try HTTPClient(endpoint: try endpoint(), readFile: Files.read)
        let work = Operator(client: client, settings: settings, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await work.run() }
            group.addTask { for await _ in signals { return } }
            // Whichever comes first: a signal, or what makes going on useless.
            try await group.next()
            group.cancelAll()
        }
    }

    static func selection(_ text: String) throws -> LoopSelection {
        do throws(LoopSelection.Unknown) {
            return try LoopSelection(text)
        } catch {
            throw ValidationError("--controllers: \(error)")
        }
    }

    private func endpoint() throws -> Endpoint {
        if let kubeconfig {
            return try Kubeconfig.endpoint(
                try Files.read(kubeconfig), file: kubeconfig, context: context, readFile: Files.read)
        }
        let inCluster = try Kubeconfig.inCluster(
            environment: { getenv($0).map { String(cString: $0) } }, readFile: Files.read)
        guard let inCluster else {
            throw Files.Failure(description: "this process does not run in a cluster; name one with --kubeconfig")
        }
        return inCluster
    }
}
