internal import NIOCore

/// One request and its answer, from the head's last byte to the response's. Owned by its client connection, on its loop.
final class Exchange {
    enum Response {
        /// Nothing of the final response has come, or only part of its head.
        case head
        case body(BodyProgress, HeadWriter.BodyForm)
    }

    let rule: RoutingTable.Rule
    var backend: Backend
    let isHead: Bool
    let isIdempotent: Bool
    let isHTTP10: Bool
    let isUpgrade: Bool
    /// Whether the client's connection may stay open after the response.
    var keepsAlive: Bool
    let started: NIODeadline
    /// When the whole request must have been answered, by the rule.
    var deadline: NIODeadline

    /// The head for the endpoint with the body bytes that came with it: kept until the response starts, to send again.
    var requestBytes: ByteBuffer
    var request: BodyProgress
    /// Body that came before there was a connection to send it on.
    var waiting: [ByteBuffer] = []
    /// More was sent than `requestBytes`: the request cannot be sent again.
    var isBeyondReplay = false

    var endpoint: Endpoint?
    var upstream: UpstreamConnection?
    /// The connection had served another request before.
    var isOnReusedConnection = false
    var needsFreshConnection = false
    var failed: [Endpoint] = []
    var retriesLeft: Int
    /// When the first connection attempt failed.
    var troubledSince: NIODeadline?

    var response = Response.head
    var responseScan = HeadScan()
    var responseBuffer = ByteBuffer()
    var upstreamKeepsAlive = false
    var status = 0

    init(
        rule: RoutingTable.Rule, backend: Backend, head: borrowing RequestHead, isUpgrade: Bool, keepsAlive: Bool,
        requestBytes: ByteBuffer
    ) {
        self.rule = rule
        self.backend = backend
        isHead = head.knownMethod == .head
        isIdempotent = head.isIdempotent
        isHTTP10 = head.isHTTP10
        self.isUpgrade = isUpgrade
        self.keepsAlive = keepsAlive
        self.requestBytes = requestBytes
        request = BodyProgress(head.framing)
        retriesLeft = rule.retries
        started = .now()
        deadline =
            rule.requestTimeoutMilliseconds > 0
            ? started + .milliseconds(Int64(rule.requestTimeoutMilliseconds)) : .distantFuture
    }

    var hasResponseStarted: Bool { if case .body = response { true } else { false } }
}
