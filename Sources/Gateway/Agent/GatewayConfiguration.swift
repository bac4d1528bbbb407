/// How the server runs its gateway.
package struct GatewayConfiguration: Sendable {
    /// The espalier binary, as an absolute path.
    package var executable: String
    /// The data directory, as an absolute path.
    package var directory: String
    /// Address and port for routes. Port 0 picks a free one.
    package var listen: String
    package var loops: Int
    /// An environment entry by which the gateway is known as this server's, whatever can be seen of its files.
    package var mark: String?

    package init(executable: String, directory: String, listen: String, loops: Int = 2, mark: String? = nil) {
        self.mark = mark
        self.executable = executable
        self.directory = directory
        self.listen = listen
        self.loops = loops
    }

    package var socketPath: String { "\(directory)/gateway.sock" }
    package var tablePath: String { "\(directory)/gateway.table.json" }
    package var addressPath: String { "\(directory)/gateway.address" }
    package var logPath: String { "\(directory)/gateway.log" }
}
