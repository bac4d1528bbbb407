internal import NIOCore

/// What the HTTP client refuses to go beyond.
package enum ClientLimits {
    /// Bytes of one buffered answer. A list of 10,000 documents of 4 KB fits.
    package static let responseBytes = 256 * 1024 * 1024
    /// Bytes of one watch event.
    package static let eventBytes = 8 * 1024 * 1024
    /// Bytes of a streamed answer that may wait for their reader before the connection stops reading.
    static let streamedBytes = 1024 * 1024
    /// Connections kept open for reuse.
    static let idleConnections = 8
    /// Connections that are made for one request, where they end before it is on them.
    static let freshConnections = 3
    /// Documents a page of a list asks for.
    static let pageSize = 500
    /// How often a request is sent again to a server that answers 429 and says when, and the longest such wait.
    static let busyRetries = 5
    static let busySeconds = 10
    static let connectTimeout = TimeAmount.seconds(10)
    /// How long a server may take to begin its answer, and to go on with one that is not a stream.
    package static let responseTimeout = Duration.seconds(60)
    /// How long a watch asks the server to last before it is resumed.
    static let watchSeconds = 300
    /// How long to wait after a watch that ended without a word.
    static let watchPause = Duration.seconds(1)
    /// How long a watch that begins with what is there may say nothing, and take in all, before a list is asked for instead.
    package static let watchPatience = Duration.seconds(10)
    static let watchBeginning = Duration.seconds(60)
    /// How often a watch is begun whose connection breaks before it has shown what is there.
    static let watchBeginnings = 3
}
