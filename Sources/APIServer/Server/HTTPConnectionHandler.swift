package import Documents
internal import NIOCore
internal import NIOHTTP1

/// One connection: collects a request, hands it on, and waits for its answer before it looks at the next.
///
/// A request is refused from its head alone where its credentials or its declared length do not do; what it sends after
/// that is thrown away unread, and the connection closes.
final class HTTPConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        case receiving(head: HTTPRequestHead, identity: Identity, body: ByteBuffer)
        case answering(ResponseWriter)
        /// The answer is on its way and the connection will close; nothing more is read.
        case refused
    }

    private let handler: any HTTPRequestHandler
    private let bodyBytes: Int
    private var state = State.idle
    private var timeout: Scheduled<Void>?

    init(handler: any HTTPRequestHandler, bodyBytes: Int) {
        self.handler = handler
        self.bodyBytes = bodyBytes
    }

    func handlerAdded(context: ChannelHandlerContext) { restartTimeout(APIServerLimits.headTimeout, context.channel) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): receive(head, context)
        case .body(let part): receive(part, context)
        case .end: complete(context)
        }
    }

    private func receive(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard case .idle = state else { return }
        restartTimeout(APIServerLimits.bodyTimeout, context.channel)
        switch handler.authenticate(head) {
        case .failure(let error): refuse(error, head, context)
        case .success(let identity):
            let declared = head.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
            if declared > bodyBytes { return refuse(tooLarge, head, context) }
            state = .receiving(head: head, identity: identity, body: ByteBuffer())
            if head.headers.first(name: "Expect")?.lowercased() == "100-continue" {
                context.writeAndFlush(
                    wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
            }
        }
    }

    private func receive(_ part: ByteBuffer, _ context: ChannelHandlerContext) {
        guard case .receiving(let head, let identity, var body) = state else { return }
        state = .idle  // drops the state's reference, so that the buffer grows in place
        if body.readableBytes + part.readableBytes > bodyBytes {
            return refuse(tooLarge, head, context)
        }
        if body.readableBytes == 0 {
            body = part
        } else {
            body.writeImmutableBuffer(part)
        }
        state = .receiving(head: head, identity: identity, body: body)
    }

    private func complete(_ context: ChannelHandlerContext) {
        guard case .receiving(let head, let identity, let body) = state else { return }
        timeout?.cancel()
        let writer = writer(head, keepsAlive: head.isKeepAlive, context)
        state = .answering(writer)
        let request = HTTPRequest(method: head.method, target: head.uri, headers: head.headers, body: body)
        handler.handle(request, from: identity, response: writer)
    }

    private func writer(_ head: HTTPRequestHead, keepsAlive: Bool, _ context: ChannelHandlerContext) -> ResponseWriter {
        let channel = context.channel
        return ResponseWriter(channel: channel, isHead: head.method == .HEAD, keepsAlive: keepsAlive) { [self] in
            guard case .answering = state else { return }
            state = .idle
            restartTimeout(APIServerLimits.idleTimeout, channel)
        }
    }

    private func refuse(_ error: APIError, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        timeout?.cancel()
        let writer = writer(head, keepsAlive: false, context)
        state = .refused
        handler.refuse(error, head, response: writer)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .answering(let writer) = state { writer.writabilityChanged() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        if case .answering(let writer) = state { writer.connectionClosed() }
        state = .refused
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The client has closed its side. Nothing more is asked; a stream has no reader any more.
        if case ChannelEvent.inputClosed = event { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func restartTimeout(_ amount: TimeAmount, _ channel: any Channel) {
        timeout?.cancel()
        timeout = channel.eventLoop.scheduleTask(in: amount) { channel.close(promise: nil) }
    }

    private var tooLarge: APIError {
        APIError(
            code: 413, reason: .requestEntityTooLarge, message: "Request entity too large: limit is \(bodyBytes)")
    }
}

extension ResponseWriter {
    /// Answers with a Status document.
    package func send(_ error: APIError) {
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if error.retryAfterSeconds > 0 { headers.add(name: "Retry-After", value: String(error.retryAfterSeconds)) }
        send(HTTPResponseStatus(statusCode: error.code), headers, ByteBuffer(bytes: error.status.encoded))
    }
}
