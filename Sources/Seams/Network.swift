/// A connection that could not be made or gave no answer in time.
package struct NetworkError: Error, Sendable, CustomStringConvertible {
    package var message: String
    package var description: String { message }
    package init(message: String) { self.message = message }
}

/// Outgoing connections of the agents: what probes need.
package protocol Network: Sendable {
    /// Connects and hangs up.
    func connect(host: String, port: Int, timeout: Duration) async throws(NetworkError)
    /// Connects, sends `request`, and answers the first line that comes back, without its line end.
    func exchange(
        host: String, port: Int, request: [UInt8], timeout: Duration
    ) async throws(NetworkError) -> [UInt8]
}
