internal import Logging
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Seams
internal import Synchronization

/// The TLS socket the API is served on. Accepts connections on the event loops of `group` and hands each request to
/// `handler`; knows nothing of what requests mean.
package final class HTTPListener: Sendable {
    private let channel: any Channel
    private let connections: ConnectionSet

    /// The port the socket got, where 0 was asked for.
    package let port: Int

    private init(channel: any Channel, connections: ConnectionSet) {
        self.channel = channel
        self.connections = connections
        port = channel.localAddress?.port ?? 0
    }

    /// What a client may take of the server's memory and time.
    package struct Limits: Sendable {
        /// Bytes of one body, and of all that are being received at once.
        package var bodyBytes = APIServerLimits.bodyBytes
        package var bodiesBytes = APIServerLimits.bodiesBytes
        package var bodyTimeout = APIServerLimits.bodyTimeout
        package var drainTimeout = APIServerLimits.drainTimeout
        /// Connections at once; fewer where the process may not open so many files.
        package var connections = APIServerLimits.connections

        package init() {}
    }

    /// Binds and begins to accept. `certificate` and `key` are PEM.
    package static func start(
        host: String, port: Int, certificate: [UInt8], key: [UInt8], group: any EventLoopGroup,
        handler: any HTTPRequestHandler, limits: Limits = Limits()
    ) async throws -> HTTPListener {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        let tls = try NIOSSLContext(configuration: configuration)
        let connections = ConnectionSet(
            limit: min(limits.connections, max(1, OpenFiles.limit - APIServerLimits.otherFiles)))
        let budget = Budget(limits.bodiesBytes)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: APIServerLimits.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A stream may say nothing for hours, and its client be gone without a word.
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: APIServerLimits.streamHighWatermark / 2, high: APIServerLimits.streamHighWatermark)
            )
            .childChannelInitializer { channel in
                guard connections.insert(channel) else {
                    return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
                }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLServerHandler(context: tls))
                    try HTTPConnectionHandler.install(
                        on: pipeline, handler: handler, limits: limits, budget: budget)
                }
            }
            .bind(host: host, port: port).get()
        return HTTPListener(channel: channel, connections: connections)
    }

    /// Stops accepting, and closes what is open: streams end where they are, clients resume them elsewhere or later.
    package func stop() async {
        try? await channel.close()
        await connections.closeAll()
    }
}

/// The open connections of a listener, of which there is a limited number.
private final class ConnectionSet: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// False where there are too many already.
    func insert(_ channel: any Channel) -> Bool {
        let identifier = ObjectIdentifier(channel)
        let fits = channels.withLock { channels in
            if channels.count >= limit { return false }
            channels[identifier] = channel
            return true
        }
        if fits {
            channel.closeFuture.whenComplete { [weak self] _ in self?.channels.withLock { $0[identifier] = nil } }
        }
        return fits
    }

    /// Closes all at once. A client that says nothing to the end of its TLS session, as one that is idle does, is not
    /// waited for: TLS alone would wait five seconds for each.
    func closeAll() async {
        await withDiscardingTaskGroup { group in
            for channel in channels.withLock({ Array($0.values) }) {
                channel.close(promise: nil)
                let cut = channel.eventLoop.scheduleTask(in: APIServerLimits.goodbyeTimeout) {
                    // Below TLS, which is done with what it had to say. Where it is gone, so is the connection.
                    let tls = try? channel.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
                    tls?.close(promise: nil)
                }
                group.addTask {
                    try? await channel.closeFuture.get()  // however it ended, it has
                    cut.cancel()
                }
            }
        }
    }
}

/// What many may take of one thing together: the bytes of bodies on their way in, the descriptors of streams.
final class Budget: Sendable {
    private let left: Mutex<Int>

    init(_ amount: Int) { left = Mutex(amount) }

    /// False, with nothing taken, where there is not so much.
    func take(_ amount: Int) -> Bool {
        left.withLock { left in
            if left < amount { return false }
            left -= amount
            return true
        }
    }

    func give(_ amount: Int) { left.withLock { $0 += amount } }

    /// Takes `amount` for as long as what is returned lives; `nil` where there is not so much.
    func lease(_ amount: Int) -> Lease? { take(amount) ? Lease(self, amount) : nil }

    final class Lease: Sendable {
        private let budget: Budget
        private let amount: Int

        fileprivate init(_ budget: Budget, _ amount: Int) {
            self.budget = budget
            self.amount = amount
        }

        deinit { budget.give(amount) }
    }
}
