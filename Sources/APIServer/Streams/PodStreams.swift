package import Documents

/// A command somebody wants to run beside a container's process, or the process itself that they want to attach to.
package struct PodCommandRequest: Sendable, Equatable {
    package var namespace: String
    package var pod: String
    /// Empty: the only one.
    package var container = ""
    /// Empty: attach.
    package var command: [String] = []
    package var hasInput = false
    package var hasOutput = false
    package var hasErrors = false
    package var isTerminal = false

    package init(namespace: String, pod: String) {
        self.namespace = namespace
        self.pod = pod
    }
}

/// A command that has started. The descriptors are the receiver's, who closes them, each by itself.
package protocol PodCommand: Sendable {
    var input: Int32? { get }
    var output: Int32? { get }
    var errors: Int32? { get }
    /// Does nothing without a terminal.
    func resize(columns: Int, rows: Int)
    /// The exit code, once it has ended.
    func wait() async -> Int32
    /// Ends it: whoever asked for it has gone.
    func cancel()
}

/// What reaches into pods: the node that runs them.
package protocol PodReach: Sendable {
    func start(_ request: PodCommandRequest) async throws(APIError) -> any PodCommand
    /// A connected TCP socket, which is the caller's.
    func connect(namespace: String, pod: String, port: Int) async throws(APIError) -> Int32
}
