internal import NIOCore

/// A client's connection: reads request after request, passes each on, and writes the answers in order. The parts that
/// send a request on and bring its response back are in `ClientConnection+Request` and `ClientConnection+Response`.
// SAFETY: touched on its channel's event loop only.
final class ClientConnection: ChannelDuplexHandler, ProxiedConnection, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Waiting for a request head, or in the middle of one.
        case head
        case exchange
        /// Bytes pass both ways as they come.
        case tunnel(UpstreamConnection)
        /// The last response is out; what still comes is read and thrown away.
        case lingering
        case closed
    }

    let loop: ProxyLoop
    var slot = -1
    var phase = Phase.head
    /// Received and not yet consumed: part of a head, or what the client sent ahead.
    var buffer = ByteBuffer()
    var scan = HeadScan()
    var exchange: Exchange?
    var context: ChannelHandlerContext?
    var clientAddress: [UInt8] = []
    /// When the current wait has lasted too long.
    var deadline = NIODeadline.distantFuture
    private var isReadHeld = false
    private var isReadingHeads = false
    private(set) var isInputClosed = false

    init(loop: ProxyLoop) { self.loop = loop }

    // MARK: Reading requests

    private func onBytes(_ bytes: ByteBuffer) {
        switch phase {
        case .head:
            if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeImmutableBuffer(bytes) }
            readHeads()
        case .exchange:
            if let exchange, !exchange.request.isDone {
                forwardBody(bytes, exchange)
            } else if buffer.readableBytes == 0 {
                buffer = bytes
            } else {
                buffer.writeImmutableBuffer(bytes)
            }
        case .tunnel(let upstream):
            deadline = loop.now + loop.timeouts.tunnelIdle
            upstream.write(bytes)
        case .lingering, .closed: break
        }
    }

    /// Takes requests out of the buffer while there are whole heads and nothing else is under way.
    func readHeads() {
        if isReadingHeads { return }
        isReadingHeads = true
        defer { isReadingHeads = false }
        while case .head = phase, buffer.readableBytes > 0, context?.channel.isWritable ?? false {
            skipEmptyLine()
            switch buffer.withUnsafeReadableBytes({ self.readHead($0) }) {
            case .incomplete:
                // A head has its time from its first byte on, however slowly the rest comes.
                if deadline > loop.now + loop.timeouts.requestHead { deadline = loop.now + loop.timeouts.requestHead }
                return
            case .violation(let violation):
                loop.unrouted += 1
                buffer.clear()
                refuse(violation.status, violation.reason + "\n", keepsAlive: false, isHead: false)
                return
            case .refused(let length, let status, let text, let keepsAlive):
                loop.unrouted += 1
                buffer.moveReaderIndex(forwardBy: length)
                scan = HeadScan()
                refuse(status, text, keepsAlive: keepsAlive)
            case .accepted(let length, let exchange):
                buffer.moveReaderIndex(forwardBy: length)
                scan = HeadScan()
                start(exchange)
            }
        }
    }

    /// An empty line before a request is what some clients send after a body.
    private func skipEmptyLine() {
        if buffer.readableBytes >= 2, buffer.getInteger(at: buffer.readerIndex, as: UInt16.self) == 0x0D0A {
            buffer.moveReaderIndex(forwardBy: 2)
            scan = HeadScan()
        }
    }

    // MARK: Time

    func onTick(now: NIODeadline) {
        if let exchange, now >= exchange.deadline { return onTimeout() }
        if now >= deadline { onTimeout() }
    }

    private func onTimeout() {
        switch phase {
        case .head:
            if buffer.readableBytes > 0 {
                refuse(408, "the request head did not arrive in time\n", keepsAlive: false, isHead: false)
            } else {
                close()
            }
        case .exchange:
            guard let exchange else { return close() }
            if exchange.hasResponseStarted { return close() }
            if exchange.request.isDone || loop.now >= exchange.deadline {
                let waited = (NIODeadline.now() - exchange.started).nanoseconds / 1_000_000
                fail(504, "\(exchange.endpoint?.name ?? exchange.backend.name) did not answer within \(waited) ms\n")
            } else {
                fail(408, "the request body did not arrive in time\n")
            }
        case .tunnel, .lingering, .closed: close()
        }
    }

    func onDrain() {
        if case .head = phase, buffer.readableBytes == 0 { close() } else { exchange?.keepsAlive = false }
    }

    func onDeadline() { close() }

    // MARK: Closing

    /// Ends the connection and whatever it was doing, now.
    func close() {
        abandonExchange()
        if case .tunnel(let upstream) = phase { upstream.close() }
        phase = .closed
        context?.close(promise: nil)
    }

    /// Ends the connection after what was written has gone out, which takes a slow client its time. Where the client may
    /// still be sending, its bytes are then taken in for a while: closing at once would make the kernel reset the
    /// connection and destroy the answer.
    func closeAfterWrite() {
        guard let context else { return }
        phase = .lingering
        deadline = loop.now + loop.timeouts.responseStall
        buffer.clear()
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            self.deadline = self.loop.now + self.loop.timeouts.linger
            self.context?.close(mode: .output, promise: nil)
            if self.isInputClosed { self.close() }
        }
        resumeReading()
    }

    // MARK: Back-pressure

    private var holdsReads: Bool {
        switch phase {
        case .head: return !(context?.channel.isWritable ?? true)
        case .exchange:
            guard let exchange, !exchange.request.isDone else { return buffer.readableBytes > GatewayLimits.headBytes }
            return !(exchange.upstream?.isWritable ?? false)
        case .tunnel(let upstream): return !upstream.isWritable
        case .lingering, .closed: return false
        }
    }

    func resumeReading() {
        guard isReadHeld, !holdsReads else { return }
        isReadHeld = false
        context?.read()
    }

    func read(context: ChannelHandlerContext) {
        if holdsReads { isReadHeld = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        switch phase {
        case .exchange: exchange?.upstream?.resumeReading()
        case .tunnel(let upstream): upstream.resumeReading()
        case .head:
            readHeads()
            resumeReading()
        case .lingering, .closed: break
        }
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        clientAddress = Array((context.remoteAddress?.ipAddress ?? "unknown").utf8)
        loop.add(self)
        deadline = loop.now + loop.timeouts.clientIdle
    }

    /// The last thing a connection sees, also one that was never active.
    func handlerRemoved(context: ChannelHandlerContext) {
        loop.remove(self)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { onBytes(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {
        switch phase {
        case .exchange: exchange?.upstream?.flush()
        case .tunnel(let upstream): upstream.flush()
        default: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        isInputClosed = true
        switch phase {
        case .head, .lingering, .closed: close()
        case .exchange:
            // A client that has sent its request may close its side and still wait for the answer.
            if let exchange, exchange.request.isDone { exchange.keepsAlive = false } else { close() }
        case .tunnel(let upstream): upstream.closeOutput()
        }
    }

    func channelInactive(context: ChannelHandlerContext) { close() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close() }
}
