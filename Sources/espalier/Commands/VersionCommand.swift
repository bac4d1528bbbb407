internal import ArgumentParser
internal import Client
internal import Documents

/// Says which version this binary is, and which Kubernetes version the server it finds speaks as.
struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Prints the version of this binary and of the server's API.")

    /// The version of this source. `-dev` until it is released.
    static let current = "0.1.0-dev"

    @Flag(help: "Does not ask the server.") var client = false
    @OptionGroup var connection: Connection

    func run() async throws {
        Terminal.print("espalier \(Self.current)")
        if client { return }
        // Without a server in reach the binary's own version is all there is to say.
        guard let session = try? connection.open() else { return }
        let version = try await session.client.version()
        let endpoint = session.client.endpoint
        Terminal.print("server   Kubernetes API \(version) at https://\(endpoint.host):\(endpoint.port)")
    }
}
