internal import APIServer
internal import ArgumentParser
internal import Gateway
internal import Glibc

/// `espalier serve`: the platform on this machine.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Runs the platform on this machine.",
        discussion: """
            Writes a kubeconfig into the data directory before it is ready. SIGTERM and SIGINT end everything: the server, its \
            gateway and its pods. SIGHUP ends the server alone; the next one takes over gateway and pods, as after a crash.
            """)

    @Option(help: "Where everything is kept. Made where it is missing; restricted to its owner.")
    var dataDir: String

    @Option(help: "Address and port of the API; port 0 picks a free one.")
    var listen = "127.0.0.1:6443"

    @Option(help: "Address and port of the gateway; port 0 picks a free one.")
    var gatewayListen = "127.0.0.1:8080"

    @Option(help: "Control loops that run in here: *, none, or names, as for operate, which runs the others.")
    var controllers = "*"

    @Option(help: "Event loops of the API.")
    var loops = 2

    @OptionGroup var logging: LogOptions

    @Option(help: "What is sealed on disk besides secrets, such as configmaps,landscapes.espalier.dev.")
    var seal = ""

    @OptionGroup var keyOptions: KeyOptions
    @OptionGroup var replica: ReplicaOptions

    @Flag(inversion: .prefixedNo, help: "Gives pods network namespaces of their own, where the machine allows it.")
    var podNetwork = true

    func validate() throws {
        for (name, value) in [("--listen", listen), ("--gateway-listen", gatewayListen)]
        where ListenAddress(value) == nil {
            throw ValidationError("\(name): expected ADDRESS:PORT such as 127.0.0.1:8080, found \"\(value)\"")
        }
        _ = try SealedResources.parse(seal)
        _ = try OperateCommand.selection(controllers)
        if !(1...64).contains(loops) { throw ValidationError("--loops: expected 1 to 64, found \(loops)") }
    }

    func run() async throws {
        guard let api = ListenAddress(listen) else { return }
        let signals = try StopSignals.observe()
        let logger = logging.logger
        let directory = try Self.directory(dataDir)
        let settings = ControlPlane.Settings(
            dataDirectory: directory, keys: keyOptions.provider(dataDirectory: directory),
            sealed: try SealedResources.parse(seal), replica: try replica.replica(of: directory),
            replicaKept: replica.kept, host: api.host, port: api.port, gatewayListen: gatewayListen,
            controllers: try OperateCommand.selection(controllers),
            givesPodsNetworks: podNetwork, eventLoops: loops)
        let plane: ControlPlane
        do {
            plane = try await ControlPlane.start(settings, logger: logger)
        } catch {
            throw Files.Failure(description: "the server cannot start: \(error)")
        }
        for await signal in signals {
            await plane.stop(signal)
            return
        }
    }

    /// The data directory, made where it is missing, as an absolute path without links.
    private static func directory(_ path: String) throws -> String {
        // Its parents too, as `mkdir -p` makes them.
        for end in path.indices.dropFirst() where path[end] == "/" { mkdir(String(path[..<end]), 0o755) }
        try PrivateFile.makeDirectory(path)
        guard let resolved = realpath(path, nil) else {
            throw Files.Failure(description: "\(path): \(String(cString: strerror(errno)))")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
