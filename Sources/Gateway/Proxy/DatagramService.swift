internal import NIOCore
internal import NIOPosix

/// A Service's address for datagrams. Each client, an address with its port, has a socket of its own to one ready
/// endpoint, so that answers find their way back; when the endpoint has gone, or refuses, its next datagram goes to
/// another. On one event loop, which the address decides.
// SAFETY: touched on its channel's event loop only.
final class DatagramService: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private final class Session {
        let endpoint: Endpoint
        let address: SocketAddress
        var lastUsed = NIODeadline.now()
        var channel: (any Channel)?
        /// What came before there was a socket.
        var waiting: [ByteBuffer] = []

        init(_ endpoint: Endpoint, _ address: SocketAddress) {
            self.endpoint = endpoint
            self.address = address
        }
    }

    private let loop: ProxyLoop
    private let target: @Sendable () -> ServiceTarget
    private var context: ChannelHandlerContext?
    private var sessions: [SocketAddress: Session] = [:]
    private var sessionsOfHost: [String: Int] = [:]
    private var sweeping: Scheduled<Void>?

    private init(loop: ProxyLoop, target: @escaping @Sendable () -> ServiceTarget) {
        self.loop = loop
        self.target = target
    }

    static func bind(
        _ address: ServiceListenerSet.Address, on loop: ProxyLoop, target: @escaping @Sendable () -> ServiceTarget
    ) -> EventLoopFuture<any Channel> {
        bootstrap(loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(DatagramService(loop: loop, target: target))
            }
        }.bind(host: address.host, port: address.port)
    }

    private static func bootstrap(_ loop: ProxyLoop) -> DatagramBootstrap {
        DatagramBootstrap(group: loop.eventLoop)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: GatewayLimits.datagramBytes))
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        sweeping?.cancel()
        for client in Array(sessions.keys) { end(client) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let datagram = unwrapInboundIn(data)
        guard let session = session(of: datagram.remoteAddress) else { return }
        session.lastUsed = .now()
        guard let channel = session.channel else {
            if session.waiting.count < GatewayLimits.waitingDatagrams { session.waiting.append(datagram.data) }
            return
        }
        channel.writeAndFlush(AddressedEnvelope(remoteAddress: session.address, data: datagram.data), promise: nil)
    }

    /// A datagram that an unreachable client refused is no reason to end the service.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}

    // MARK: Sessions

    /// The session of a client, made anew where its endpoint is no longer one; `nil` where there is none to be had.
    private func session(of client: SocketAddress) -> Session? {
        let target = target()
        guard let backend = loop.backend(named: target.backend) else { return nil }
        if let known = sessions[client] {
            if backend.endpoints.contains(where: { $0 === known.endpoint }) { return known }
            end(client)
        }
        let host = client.ipAddress ?? ""
        guard sessions.count < GatewayLimits.datagramSessions,
            sessionsOfHost[host, default: 0] < GatewayLimits.datagramSessionsPerHost,
            let endpoint = target.pick(backend, client: host, now: .now(), except: []),
            let address = endpoint.address
        else { return nil }
        let session = Session(endpoint, address)
        endpoint.inFlight += 1
        sessions[client] = session
        sessionsOfHost[host, default: 0] += 1
        sweepLater()
        Self.bootstrap(loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(DatagramAnswers(service: self, client: client))
            }
        }.connect(to: address).assumeIsolated().whenComplete { result in
            guard case .success(let channel) = result else { return self.end(client, session) }
            guard self.sessions[client] === session else { return channel.close(promise: nil) }
            session.channel = channel
            for bytes in session.waiting {
                channel.write(AddressedEnvelope(remoteAddress: address, data: bytes), promise: nil)
            }
            channel.flush()
            session.waiting = []
        }
        return session
    }

    fileprivate func onAnswer(_ bytes: ByteBuffer, to client: SocketAddress) {
        sessions[client]?.lastUsed = .now()
        context?.writeAndFlush(
            wrapOutboundOut(AddressedEnvelope(remoteAddress: client, data: bytes)), promise: nil)
    }

    /// The endpoint refuses: it is passed over for a while, and the client's next datagram goes to another.
    fileprivate func onRefused(_ client: SocketAddress, _ channel: any Channel) {
        guard let session = sessions[client], session.channel === channel else { return }
        session.endpoint.suspectUntil = .now() + loop.timeouts.suspect
        end(client)
    }

    fileprivate func onClosed(_ client: SocketAddress, _ channel: any Channel) {
        if let session = sessions[client], session.channel === channel { end(client) }
    }

    private func end(_ client: SocketAddress, _ session: Session? = nil) {
        guard let known = sessions[client], session == nil || session === known else { return }
        sessions[client] = nil
        known.endpoint.inFlight -= 1
        known.channel?.close(promise: nil)
        let host = client.ipAddress ?? ""
        let left = sessionsOfHost[host, default: 1] - 1
        sessionsOfHost[host] = left > 0 ? left : nil
    }

    /// A quiet service is woken by nobody.
    private func sweepLater() {
        guard sweeping == nil else { return }
        sweeping = loop.eventLoop.assumeIsolated().scheduleTask(in: loop.timeouts.datagramIdle) {
            self.sweeping = nil
            let before = NIODeadline.now() - self.loop.timeouts.datagramIdle
            for (client, session) in self.sessions where session.lastUsed <= before { self.end(client) }
            if !self.sessions.isEmpty { self.sweepLater() }
        }
    }
}

/// What an endpoint answers to one client.
private final class DatagramAnswers: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let service: DatagramService
    private let client: SocketAddress

    init(service: DatagramService, client: SocketAddress) {
        self.service = service
        self.client = client
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        service.onAnswer(unwrapInboundIn(data).data, to: client)
    }

    func channelInactive(context: ChannelHandlerContext) { service.onClosed(client, context.channel) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { service.onRefused(client, context.channel) }
}
