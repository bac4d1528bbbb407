package import NIOCore

/// What the API server refuses to go beyond.
package enum APIServerLimits {
    /// Bytes of a request body, as in Kubernetes.
    package static let bodyBytes = 3 * 1024 * 1024
    /// Bytes of an AdmissionReview: a document as it was and as it is to be, and what is said around them.
    package static let reviewBytes = 8 * 1024 * 1024
    /// Bytes of a path with its query.
    package static let targetBytes = 64 * 1024
    package static let queryParameters = 256
    package static let pathSegments = 32
    /// Bytes of one document as it is stored; a larger one cannot be handed to a watch.
    package static let documentBytes = 3 * 1024 * 1024 / 2
    /// Bytes of the data of a Secret or a ConfigMap.
    package static let dataBytes = 1024 * 1024
    /// Bytes of the name of a field manager.
    package static let fieldManagerBytes = 128
    /// Bytes of a bearer token.
    package static let tokenBytes = 16 * 1024
    /// How often a write starts again because another was faster.
    package static let writeAttempts = 16
    /// How many documents one call of a write verb may tidy up after itself; the rest follows in the background.
    package static let tidyStepsPerWrite = 64
    /// Documents a page holds when the client asks for more or for no limit and for a continuation.
    package static let pageDocuments = 10_000
    /// How many entries of managedFields of operation Update stay apart.
    package static let updateManagers = 10
    /// Entries of protobuf messages, and how deep they may nest.
    package static let protobufDepth = 64
    /// Addresses tried for a Service before the range counts as full.
    package static let addressAttempts = 65_536
    /// Documents one review asks a conversion webhook for, bytes it may answer, and how long it may take.
    static let conversionDocuments = 500
    static let conversionBytes = 64 * 1024 * 1024
    static let conversionTimeout = Duration.seconds(30)
    /// Reviews for one request.
    static let conversionRounds = 256
    /// Webhooks whose connections are kept.
    static let conversionClients = 64
    /// How long events are kept.
    package static let eventAge = Duration.seconds(3600)

    /// Bytes of all bodies that are being received at once.
    package static let bodiesBytes = 256 * 1024 * 1024
    /// From the first byte of a connection, its handshake included, to the end of the first request's head.
    static let headTimeout = TimeAmount.seconds(30)
    static let idleTimeout = TimeAmount.seconds(180)
    /// How long a connection that is being closed may take to say so.
    static let goodbyeTimeout = TimeAmount.milliseconds(200)
    package static let bodyTimeout = TimeAmount.seconds(60)
    /// How long a complete answer may wait for a client that does not read it.
    package static let drainTimeout = TimeAmount.seconds(60)
    /// How long the rest of a refused request is read and thrown away, so that its sender gets to see why.
    static let lingerTime = TimeAmount.milliseconds(500)
    static let bookmarkInterval = TimeAmount.seconds(60)
    static let watchMinimumSeconds: Int64 = 1800
    /// Connections at once.
    package static let connections = 16_384
    /// Open files that connections leave to the store, the node and everything else.
    static let otherFiles = 2048
    /// Of those, what commands in pods and forwarded ports may have together, and what one command has at most.
    static let streamFiles = 1024
    static let commandFiles = 6
    /// Bytes of the name under which a client opens the two streams of a forwarded connection.
    static let streamNameBytes = 128
    /// Bytes a streamed answer may hold back before it waits for its reader.
    static let streamHighWatermark = 256 * 1024
    static let backlog: Int32 = 1024
    /// After a command has ended, what holds its output open has this long to write something more.
    static let commandDrainPause = TimeAmount.milliseconds(100)
    /// … and is read for so long at most.
    static let commandDrainPauses = 50
    /// After the last forwarded connection has ended, its client has this long to hand on what it was sent.
    static let handOnTime = TimeAmount.seconds(1)
    /// Streams of one SPDY connection at once: two for each connection that is forwarded.
    static let spdyStreams = 2048
    /// How long a client of SPDY may take to open the streams it has announced.
    static let streamOpeningTime = TimeAmount.seconds(30)
}
