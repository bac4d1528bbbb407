internal import ArgumentParser
internal import Gateway
internal import Logging

/// `espalier serve`: the whole platform on this machine.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the platform: the API, the loops that make Landscapes true, the node and the gateway.")

    @Option(name: .customLong("data-dir"), help: "Where everything is kept; made with mode 0700 when missing.")
    var dataDirectory: String

    @Option(help: "Address and port of the API; port 0 picks a free one, which the kubeconfig then names.")
    var listen: String = "127.0.0.1:6443"

    @Option(name: .customLong("gateway-listen"), help: "Address and port of routes; port 0 picks a free one.")
    var gatewayListen: String = "127.0.0.1:8080"

    @Option(help: "Event loops.")
    var loops: Int = 2

    @Option(name: .customLong("log-level"), help: "error, warning, info, debug.")
    var logLevel: String = "info"

    func validate() throws {
        for (name, text) in [("--listen", listen), ("--gateway-listen", gatewayListen)] where ListenAddress(text) == nil {
            throw ValidationError("\(name) must be ADDRESS:PORT, for example 127.0.0.1:6443; found \(text)")
        }
        guard !dataDirectory.isEmpty else { throw ValidationError("--data-dir must name a directory") }
        guard (1...64).contains(loops) else { throw ValidationError("--loops must be 1 to 64; found \(loops)") }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("--log-level must be error, warning, info or debug; found \(logLevel)")
        }
    }

    func run() async throws {
        guard let api = ListenAddress(listen), let routes = ListenAddress(gatewayListen) else { return }
        var logger = Logger(label: "espalier") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        let signals = StopSignals()
        let options = ControlPlane.Options(
            dataDirectory: Self.absolute(dataDirectory), api: api, gateway: routes, loops: loops)
        do {
            let plane = try await ControlPlane.start(options, logger: logger)
            let reason = await signals.wait()
            logger.info("stopping", metadata: ["reason": "\(reason)"])
            await plane.stop(reason)
        } catch {
            logger.error("the server cannot serve", metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(Files.workingDirectory)/\(path)"
    }
}
