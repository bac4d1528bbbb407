internal import NIOCore
internal import NIOPosix

/// What a connection to an endpoint tells the connection it serves. On the event loop both belong to.
protocol UpstreamOwner: AnyObject {
    func onUpstreamRead(_ bytes: ByteBuffer)
    func onUpstreamReadComplete()
    /// The endpoint will send no more.
    func onUpstreamEnd()
    /// The connection has gone, by an error or because it was closed.
    func onUpstreamClosed()
    func onUpstreamWritable()
    /// Whether reading must wait until the other side has taken what it was sent.
    var holdsUpstreamReads: Bool { get }
}

/// A connection to an endpoint: serves one owner at a time, and waits in its endpoint's pool in between.
// SAFETY: touched on its channel's event loop only.
final class UpstreamConnection: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let endpoint: Endpoint
    private(set) var idleSince = NIODeadline.now()
    private(set) var isReused = false
    private var owner: (any UpstreamOwner)?
    private var context: ChannelHandlerContext?
    private var isReadHeld = false
    private var isEnded = false

    private init(endpoint: Endpoint) { self.endpoint = endpoint }

    /// Opens a connection on `loop`.
    static func connect(to endpoint: Endpoint, on loop: ProxyLoop) -> EventLoopFuture<UpstreamConnection> {
        guard let address = endpoint.address else {
            return loop.eventLoop.makeFailedFuture(GatewayMessageError(message: "`\(endpoint.name)` is no address"))
        }
        let connection = UpstreamConnection(endpoint: endpoint)
        return ClientBootstrap(group: loop.eventLoop)
            .connectTimeout(loop.timeouts.connect)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(connection) }
            }
            .connect(to: address)
            .map { _ in connection }
    }

    var isUsable: Bool { context != nil && !isEnded }
    var isWritable: Bool { context?.channel.isWritable ?? false }

    func attach(_ owner: any UpstreamOwner) { self.owner = owner }

    func write(_ bytes: ByteBuffer) { context?.write(wrapOutboundOut(bytes), promise: nil) }
    func writeAndFlush(_ bytes: ByteBuffer) { context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil) }
    func flush() { context?.flush() }

    /// No more will be sent; the endpoint may still answer.
    func closeOutput() { context?.close(mode: .output, promise: nil) }

    func close() {
        owner = nil
        context?.close(promise: nil)
    }

    /// Ends the service of an owner: back to the pool, or closed where it may not serve another.
    func release(reusable: Bool, now: NIODeadline) {
        owner = nil
        resumeReading()
        guard reusable, isUsable else { return close() }
        idleSince = now
        isReused = true
        if !endpoint.keep(self) { close() }
    }

    func resumeReading() {
        guard isReadHeld, !(owner?.holdsUpstreamReads ?? false) else { return }
        isReadHeld = false
        context?.read()
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func read(context: ChannelHandlerContext) {
        if owner?.holdsUpstreamReads ?? false { isReadHeld = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Bytes that nobody asked for: whatever they answer, it is not the next request.
        guard let owner else { return discard() }
        owner.onUpstreamRead(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) { owner?.onUpstreamReadComplete() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { owner?.onUpstreamWritable() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        isEnded = true
        if let owner { owner.onUpstreamEnd() } else { discard() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        isEnded = true
        endpoint.forget(self)
        let owner = owner
        self.owner = nil
        owner?.onUpstreamClosed()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func discard() {
        endpoint.forget(self)
        close()
    }
}
