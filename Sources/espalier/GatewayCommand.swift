internal import ArgumentParser
internal import Gateway
internal import Glibc
internal import Logging
internal import Seams

/// `espalier gateway`: the data plane as a process of its own. The server starts it; people need not.
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Serve the routing table that a server sends (started by `espalier serve`).",
        shouldDisplay: false)

    @Option(help: "The control socket to open.")
    var socket: String

    @Option(help: "Address and port for routes; port 0 picks a free one.")
    var listen: String

    @Option(name: .customLong("state"), help: "The file that keeps the last table.")
    var stateFile: String

    @Option(help: "The file that will say on which address routes are served.")
    var addressFile: String

    @Option(help: "Event loops.")
    var loops: Int = 2

    func validate() throws {
        guard ListenAddress(listen) != nil else {
            throw ValidationError("--listen must be ADDRESS:PORT, for example 127.0.0.1:8080; found \(listen)")
        }
        guard (1...64).contains(loops) else { throw ValidationError("--loops must be 1 to 64; found \(loops)") }
    }

    func run() async throws {
        guard let address = ListenAddress(listen) else { return }
        var logger = Logger(label: "espalier.gateway") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .info
        let process = GatewayProcess(
            options: GatewayProcess.Options(
                socket: socket, host: address.host, port: address.port, stateFile: stateFile, addressFile: addressFile,
                loops: loops),
            clock: SystemClock(), fileSystem: LinuxFileSystem(), random: SystemRandomSource(), logger: logger)
        do { try await process.run() } catch {
            logger.error("the gateway cannot serve", metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }
}
