/// What the resolver of the pods refuses to go beyond.
enum DNSLimits {
    /// Questions being answered at once; further ones are not heard, and asked again by whoever asks.
    static let questions = 512
    /// Questions of one pod that wait for somebody else's answer; further ones are answered SERVFAIL.
    static let forwardedPerPod = 64
    static let connections = 64
    /// A connection lives this long, whatever is said on it.
    static let connectionLife = Duration.seconds(10)
    /// For one answer of one of the host's resolvers.
    static let upstreamTimeout = Duration.seconds(2)
    /// Resolvers of the host that are asked, one after the other.
    static let upstreams = 3
    /// Names that lead from one to the next.
    static let aliases = 8
    /// Until the address is tried again where it cannot be listened on.
    static let listenRetry = Duration.seconds(5)
    /// Bytes of an answer by datagram where the question does not say, and at most.
    static let datagramBytes = 512
    static let largestDatagramBytes = 1232
    static let messageBytes = 65_535
    static let nameBytes = 255
    static let recordsRead = 256
    static let recordsSent = 128
    static let timeToLiveSeconds: UInt32 = 5
    /// An address of an allowed name stays reachable for at least this long after it was found.
    static let shortestLearnedSeconds = 120
}
