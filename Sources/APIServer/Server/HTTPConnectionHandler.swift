package import Documents
internal import NIOCore
internal import NIOHTTP1

/// One connection: collects a request, hands it on, and waits for its answer before it looks at the next.
///
/// A request is refused from its head alone where its credentials, its declared length or its encoding do not do; what it
/// sends after that is thrown away unread, and the connection closes.
final class HTTPConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private typealias Decoder = ByteToMessageHandler<HTTPRequestDecoder>

    private enum State {
        case idle
        case receiving(head: HTTPRequestHead, identity: Identity, body: ByteBuffer)
        case answering(ResponseWriter)
        /// The answer is on its way and the connection will close; nothing more is read.
        case refused
    }

    private let handler: any HTTPRequestHandler
    private let limits: HTTPListener.Limits
    private let budget: Budget
    /// What this connection has of `budget`.
    private var reserved = 0
    private var state = State.idle
    private var timeout: Scheduled<Void>?
    /// What makes HTTP of the connection's bytes, from the outside in.
    private let http: [any RemovableChannelHandler]

    private init(handler: any HTTPRequestHandler, limits: HTTPListener.Limits, budget: Budget) {
        self.handler = handler
        self.limits = limits
        self.budget = budget
        // An upgrade hands on what came behind its head.
        let decoder = Decoder(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes))
        http = [HTTPResponseEncoder(), decoder, HTTPServerPipelineHandler(), NIOHTTPResponseHeadersValidator()]
    }

    /// Makes an accepted connection one that serves HTTP/1.1.
    static func install(
        on pipeline: ChannelPipeline.SynchronousOperations, handler: any HTTPRequestHandler,
        limits: HTTPListener.Limits, budget: Budget
    ) throws {
        let connection = HTTPConnectionHandler(handler: handler, limits: limits, budget: budget)
        try pipeline.addHandlers(connection.http)
        try pipeline.addHandler(connection)
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
        limitBodyTime(context)
        switch handler.authenticate(head) {
        case .failure(let error): refuse(error, head, context)
        case .success(let identity):
            let declared = head.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
            if declared > limits.bodyBytes { return refuse(tooLarge, head, context) }
            let encoding = head.headers.first(name: "Content-Encoding") ?? "identity"
            if encoding.lowercased() != "identity" { return refuse(Self.encoded(encoding), head, context) }
            state = .receiving(head: head, identity: identity, body: ByteBuffer())
            if head.headers.first(name: "Expect")?.lowercased() == "100-continue" {
                context.writeAndFlush(
                    wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
            }
        }
    }

    private func receive(_ part: ByteBuffer, _ context: ChannelHandlerContext) {
        guard case .receiving(let head, let identity, var body) = state else { return }
        // Reads have no body. What comes all the same is not kept.
        if head.method == .GET || head.method == .HEAD { return }
        state = .idle  // drops the state's reference, so that the buffer grows in place
        if body.readableBytes + part.readableBytes > limits.bodyBytes {
            return refuse(tooLarge, head, context)
        }
        guard budget.take(part.readableBytes) else { return refuse(Self.tooManyBodies, head, context) }
        reserved += part.readableBytes
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
        releaseBudget()
        // Behind a request for an upgrade nothing more is read as HTTP, whether it is granted or not.
        let keepsAlive = head.isKeepAlive && !head.headers.contains(name: "Upgrade")
        let writer = writer(head, keepsAlive: keepsAlive, context)
        state = .answering(writer)
        let request = HTTPRequest(method: head.method, target: head.uri, headers: head.headers, body: body)
        handler.handle(request, from: identity, response: writer)
    }

    private func writer(_ head: HTTPRequestHead, keepsAlive: Bool, _ context: ChannelHandlerContext) -> ResponseWriter {
        let channel = context.channel
        return ResponseWriter(channel: channel, isHead: head.method == .HEAD, keepsAlive: keepsAlive) { [self] event in
            guard case .answering = state else { return }
            switch event {
            case .waitsForReader: restartTimeout(limits.drainTimeout, channel)
            case .isDone:
                state = .idle
                restartTimeout(APIServerLimits.idleTimeout, channel)
            case .isUpgraded(let handlers):
                state = .refused
                timeout?.cancel()
                leave(channel, to: handlers)
            }
        }
    }

    /// Puts `handlers` in the place of HTTP. They write as soon as they are there, so nothing of HTTP may stand before
    /// them then but the decoder; it goes last, and what it has not read goes to them.
    private func leave(_ channel: any Channel, to handlers: [any ChannelHandler]) {
        let pipeline = channel.pipeline.syncOperations
        pipeline.removeHandler(self, promise: nil)
        let (decoders, others) = (http.filter { $0 is Decoder }, http.filter { !($0 is Decoder) })
        for handler in others { pipeline.removeHandler(handler, promise: nil) }
        do {
            try pipeline.addHandlers(handlers)
        } catch {
            return channel.close(promise: nil)
        }
        for handler in decoders { pipeline.removeHandler(handler, promise: nil) }
        channel.read()
    }

    private func refuse(_ error: APIError, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        restartTimeout(limits.drainTimeout, context.channel)
        releaseBudget()
        let writer = writer(head, keepsAlive: false, context)
        writer.lingers = true
        state = .refused
        handler.refuse(error, head, response: writer)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .answering(let writer) = state { writer.writabilityChanged() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        releaseBudget()
        if case .answering(let writer) = state { writer.connectionClosed() }
        state = .refused
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The client has closed its side. Nothing more is asked; a stream has no reader any more.
        if case ChannelEvent.inputClosed = event { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    /// What is no HTTP is told so, where no answer is under way.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
        switch (state, error as? HTTPParserError) {
        case (.idle, .headerOverflow?), (.receiving, .headerOverflow?): refuse(Self.headTooLarge, head, context)
        case (.idle, let error?), (.receiving, let error?):
            refuse(.badRequest("expected a request of HTTP/1.1: \(error)"), head, context)
        default: context.close(promise: nil)
        }
    }

    /// A body has its time in all, however often a byte of it comes.
    private func limitBodyTime(_ context: ChannelHandlerContext) {
        timeout?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timeout = context.eventLoop.scheduleTask(in: limits.bodyTimeout) {
            let (handler, context) = bound.value
            guard case .receiving(let head, _, _) = handler.state else { return }
            handler.refuse(Self.tooSlow, head, context)
        }
    }

    private func releaseBudget() {
        budget.give(reserved)
        reserved = 0
    }

    private func restartTimeout(_ amount: TimeAmount, _ channel: any Channel) {
        timeout?.cancel()
        timeout = channel.eventLoop.scheduleTask(in: amount) { channel.close(promise: nil) }
    }

    private var tooLarge: APIError {
        APIError(
            code: 413, reason: .requestEntityTooLarge,
            message: "Request entity too large: limit is \(limits.bodyBytes)")
    }

    private static let headTooLarge = APIError(
        code: 431, reason: .badRequest,
        message: "the head of the request is too large: expected at most 256 headers, none longer than 80 KiB")
    private static let tooSlow = APIError(
        code: 408, reason: .timeout, message: "the body of the request did not come in time")
    private static let tooManyBodies = APIError(
        code: 429, reason: .tooManyRequests, message: "too many large requests at once; please try again",
        retryAfterSeconds: 1)

    private static func encoded(_ encoding: String) -> APIError {
        APIError(
            code: 415, reason: .unsupportedMediaType,
            message: "expected a body without Content-Encoding, found \"\(encoding.prefix(64))\"")
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
