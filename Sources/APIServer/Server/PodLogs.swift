package import Documents

/// What is asked of a container's log.
package struct PodLogRequest: Sendable, Equatable {
    package var namespace: String
    package var pod: String
    /// Empty: the only one.
    package var container = ""
    package var follows = false
    package var previous = false
    package var tailLines: Int?
    package var sinceSeconds: Int64?
    package var timestamps = false
    package var limitBytes: Int?

    package init(namespace: String, pod: String) {
        self.namespace = namespace
        self.pod = pod
    }
}

/// A log that is being read. One reader at a time; `next` waits for more while the log is followed.
package protocol PodLogStream: Sendable {
    /// The next piece; `nil` at the end.
    func next() async throws(APIError) -> [UInt8]?
    func cancel()
}

/// Where logs come from: the node that runs the pods.
package protocol PodLogSource: Sendable {
    func open(_ request: PodLogRequest) async throws(APIError) -> any PodLogStream
}
