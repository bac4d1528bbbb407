package import NIOCore

/// What this module refuses to go beyond. Everything that comes from a network peer has a limit.
package enum GatewayLimits {
    /// Bytes of a request or response head, request line included.
    package static let headBytes = 64 * 1024
    package static let headerFields = 128
    /// Bytes of a chunk-size line with its extensions, and of each trailer section.
    package static let chunkLineBytes = 1024
    package static let trailerBytes = 8 * 1024
    /// Bytes of a host with its port: 253 of a name, its last dot, a colon, five digits.
    package static let hostBytes = 260
    /// Client connections over all listeners; further ones are closed at once.
    package static let connections = 10_000
    /// Idle connections kept to one endpoint, per event loop.
    package static let idleConnectionsPerEndpoint = 256
    /// Endpoints tried for one request before it fails.
    package static let connectAttempts = 4
    /// Times a rule may have a request sent again.
    package static let retries = 10
    /// A body chunk of up to this size is copied behind the head it came with, so that both are one write.
    package static let coalescedBodyBytes = 16 * 1024

    /// Bytes of one control message, and how many tables may wait.
    package static let controlMessageBytes = 64 * 1024 * 1024
    package static let tableHosts = 50_000
    package static let tableRules = 100_000
    package static let tableBackends = 50_000
    package static let endpointsPerBackend = 2_000
    package static let serviceAddresses = 20_000

    /// Bytes of a datagram, and how many wait until there is a socket to the endpoint.
    package static let datagramBytes = 65_507
    package static let waitingDatagrams = 16
    /// Clients of one service address that are answered by datagram, of all hosts and of one; others are not heard.
    package static let datagramSessions = 4096
    package static let datagramSessionsPerHost = 256
    /// Clients whose endpoint is remembered, over all Services; others are led by a hash of theirs.
    package static let affinities = 65_536
}

/// How long the proxy waits for each thing. Measured on the loop's coarse clock, which ticks every `tick`.
package struct GatewayTimeouts: Sendable {
    package var tick: TimeAmount = .milliseconds(100)
    package var connect: TimeAmount = .seconds(3)
    /// From the first byte of a head to its last.
    package var requestHead: TimeAmount = .seconds(10)
    /// From the whole request having been sent to the response head, where the rule sets no timeout.
    package var responseHead: TimeAmount = .seconds(60)
    /// Without a byte in either direction while a body is under way.
    package var bodyStall: TimeAmount = .seconds(60)
    package var responseStall: TimeAmount = .minutes(10)
    package var tunnelIdle: TimeAmount = .hours(1)
    /// A client of a service address that sends and gets no datagram is forgotten.
    package var datagramIdle: TimeAmount = .seconds(60)
    /// A keep-alive client connection between two requests.
    package var clientIdle: TimeAmount = .seconds(75)
    /// Shorter than the five seconds after which common servers close an idle connection under the next request.
    package var upstreamIdle: TimeAmount = .seconds(4)
    /// A request that must not be sent twice takes only a connection that was used this recently.
    package var upstreamIdleForUnsafe: TimeAmount = .seconds(1)
    /// How long an endpoint that refused a connection is passed over while others are there.
    package var suspect: TimeAmount = .seconds(1)
    /// Where no endpoint accepts a connection: how long, and how often, to try again before the request fails.
    package var connectPatience: TimeAmount = .milliseconds(1500)
    package var connectPause: TimeAmount = .milliseconds(50)
    /// How long to take in what a refused client still sends, so that the answer reaches it before the reset.
    package var linger: TimeAmount = .seconds(2)

    package init() {}
}
