internal import NIOCore

/// A connection to a Service's address: its bytes go to one ready endpoint and back, whatever they mean.
// SAFETY: touched on its channel's event loop only.
final class ServiceConnection: ChannelDuplexHandler, ProxiedConnection, UpstreamOwner, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let loop: ProxyLoop
    private let target: ServiceTarget
    var slot = -1
    private var context: ChannelHandlerContext?
    private var backend: Backend?
    private var endpoint: Endpoint?
    private var upstream: UpstreamConnection?
    /// What the client sent before there was an endpoint.
    private var waiting: [ByteBuffer] = []
    private var failed: [Endpoint] = []
    private var troubledSince: NIODeadline?
    private var deadline = NIODeadline.distantFuture
    private var isReadHeld = false
    private var isInputClosed = false
    private var isUpstreamEnded = false
    private var isClosed = false

    init(loop: ProxyLoop, target: ServiceTarget) {
        self.loop = loop
        self.target = target
    }

    private func dispatch() {
        let client = context?.channel.remoteAddress?.ipAddress ?? ""
        guard let backend = loop.backend(named: target.backend),
            let endpoint = target.pick(backend, client: client, now: loop.now, except: failed)
        else {
            return close()
        }
        self.backend = backend
        self.endpoint = endpoint
        endpoint.inFlight += 1
        UpstreamConnection.connect(to: endpoint, on: loop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let upstream):
                if self.isClosed { upstream.close() } else { self.onConnected(upstream) }
            case .failure: if !self.isClosed { self.onRefused(endpoint) }
            }
        }
    }

    private func onConnected(_ upstream: UpstreamConnection) {
        self.upstream = upstream
        upstream.attach(self)
        for bytes in waiting { upstream.write(bytes) }
        upstream.flush()
        waiting = []
        if isInputClosed { upstream.closeOutput() }
        resumeReading()
        if !upstream.isUsable { onUpstreamClosed() }
    }

    private func onRefused(_ endpoint: Endpoint) {
        endpoint.inFlight -= 1
        endpoint.suspectUntil = loop.now + loop.timeouts.suspect
        self.endpoint = nil
        failed.append(endpoint)
        let now = NIODeadline.now()
        let since = troubledSince ?? now
        troubledSince = since
        let hasOthers = backend?.endpoints.contains { other in !failed.contains { $0 === other } } ?? false
        if hasOthers, failed.count < GatewayLimits.connectAttempts { return dispatch() }
        guard now < since + loop.timeouts.connectPatience else { return close() }
        loop.eventLoop.assumeIsolated().scheduleTask(in: loop.timeouts.connectPause) {
            if self.isClosed { return }
            self.failed = []
            self.dispatch()
        }
    }

    private func close() {
        if isClosed { return }
        isClosed = true
        backend = nil
        if let endpoint { endpoint.inFlight -= 1 }
        endpoint = nil
        upstream?.close()
        upstream = nil
        context?.close(promise: nil)
    }

    // MARK: Time

    func onTick(now: NIODeadline) { if now >= deadline { close() } }
    func onDrain() {}
    func onDeadline() { close() }

    // MARK: From the endpoint

    var holdsUpstreamReads: Bool { !(context?.channel.isWritable ?? true) }

    func onUpstreamRead(_ bytes: ByteBuffer) {
        deadline = loop.now + loop.timeouts.tunnelIdle
        context?.write(wrapOutboundOut(bytes), promise: nil)
    }

    func onUpstreamReadComplete() { context?.flush() }
    func onUpstreamWritable() { resumeReading() }

    func onUpstreamEnd() {
        isUpstreamEnded = true
        guard let context else { return close() }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            if self.isInputClosed { self.close() } else { self.context?.close(mode: .output, promise: nil) }
        }
    }

    func onUpstreamClosed() {
        upstream = nil
        if isUpstreamEnded, isInputClosed == false { return }
        guard let context else { return close() }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in self.close() }
    }

    // MARK: From the client

    private var holdsReads: Bool { upstream.map { !$0.isWritable } ?? !waiting.isEmpty }

    private func resumeReading() {
        guard isReadHeld, !holdsReads else { return }
        isReadHeld = false
        context?.read()
    }

    func read(context: ChannelHandlerContext) {
        if holdsReads { isReadHeld = true } else { context.read() }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.add(self)
        deadline = loop.now + loop.timeouts.tunnelIdle
        dispatch()
    }

    /// The last thing a connection sees, also one that was never active.
    func handlerRemoved(context: ChannelHandlerContext) {
        loop.remove(self)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        deadline = loop.now + loop.timeouts.tunnelIdle
        let bytes = unwrapInboundIn(data)
        if let upstream { upstream.write(bytes) } else if !isUpstreamEnded { waiting.append(bytes) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { upstream?.flush() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { upstream?.resumeReading() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        isInputClosed = true
        if isUpstreamEnded { close() } else { upstream?.closeOutput() }
    }

    func channelInactive(context: ChannelHandlerContext) { close() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close() }
}
