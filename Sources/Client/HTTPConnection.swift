internal import Documents
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// What a request says, without the headers every request carries.
struct HTTPRequest: Sendable {
    var method: HTTPMethod
    /// Path and query, percent-encoded.
    var target: String
    var headers: [(String, String)] = []
    var body: [UInt8]?
    /// Whether it may be sent again where a kept connection turns out closed.
    var isRepeatable = false
}

/// An answer, whole or still arriving.
struct HTTPAnswer: Sendable {
    enum Body: Sendable {
        case whole([UInt8])
        case stream(ByteStream)
    }
    var status: Int
    var headers: HTTPHeaders
    var body: Body
}

/// Why there is no answer, and whether the server may have seen the request.
struct ExchangeFailure: Error {
    var error: APIError
    var wasSent = true

    /// The connection was over before anything of the request was on it.
    static let unsent = ExchangeFailure(error: .unreachable("the connection has ended"), wasSent: false)
}

/// The far end of one connection's pipeline: at most one exchange at a time, all on the connection's event loop.
final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private struct Exchange {
        let streams: Bool
        let promise: EventLoopPromise<HTTPAnswer>
        var head: HTTPResponseHead?
        var bytes: [UInt8] = []
        var stream: ByteStream?
        var timeout: Scheduled<Void>?
    }

    private var exchange: Exchange?
    /// Called when an exchange is over: true when the connection can carry another.
    private let onIdle: (_ isReusable: Bool) -> Void
    private(set) var sawBytes = false

    private let timeout: TimeAmount

    init(timeout: TimeAmount, onIdle: @escaping (_ isReusable: Bool) -> Void) {
        self.timeout = timeout
        self.onIdle = onIdle
    }

    /// Sends a request. With `streams`, a successful answer's body arrives as a stream; any other body is collected.
    func start(
        _ request: HTTPRequest, host: String, streams: Bool, promise: EventLoopPromise<HTTPAnswer>, channel: any Channel
    ) {
        precondition(exchange == nil, "a connection carries one exchange at a time")
        // It may have ended since it was made or kept; then nothing more is heard of it.
        guard channel.isActive else { return promise.fail(ExchangeFailure.unsent) }
        sawBytes = false
        exchange = Exchange(streams: streams, promise: promise)
        restartTimeout(on: channel.eventLoop, channel)
        var head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.target)
        head.headers.add(name: "Host", value: host)
        for (name, value) in request.headers { head.headers.add(name: name, value: value) }
        if let body = request.body { head.headers.add(name: "Content-Length", value: String(body.count)) }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if let body = request.body {
            channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
        }
        // The close fails the exchange, with what the server said if it said something.
        channel.writeAndFlush(HTTPClientRequestPart.end(nil)).whenFailure { _ in channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard exchange != nil else { return context.close(promise: nil) }
        sawBytes = true
        switch unwrapInboundIn(data) {
        case .head(let head):
            if head.status.code >= 100, head.status.code < 200 { return }
            begin(head, context)
        case .body(let buffer):
            if let stream = exchange?.stream { return stream.push(buffer) }
            restartTimeout(on: context.eventLoop, context.channel)
            exchange?.bytes.append(contentsOf: buffer.readableBytesView)
            if (exchange?.bytes.count ?? 0) > ClientLimits.responseBytes {
                fail("expected an answer of at most \(ClientLimits.responseBytes) bytes, found more", context)
            }
        case .end: complete(context)
        }
    }

    private func begin(_ head: HTTPResponseHead, _ context: ChannelHandlerContext) {
        exchange?.head = head
        guard let current = exchange, current.streams, head.status.code < 300 else { return }
        current.timeout?.cancel()
        let stream = ByteStream(channel: context.channel)
        exchange?.stream = stream
        current.promise.succeed(HTTPAnswer(status: Int(head.status.code), headers: head.headers, body: .stream(stream)))
    }

    private func complete(_ context: ChannelHandlerContext) {
        guard let done = exchange, let head = done.head else { return context.close(promise: nil) }
        exchange = nil
        done.timeout?.cancel()
        if let stream = done.stream {
            stream.finish(.success(()))
        } else {
            done.promise.succeed(
                HTTPAnswer(status: Int(head.status.code), headers: head.headers, body: .whole(done.bytes)))
        }
        let isReusable = head.isKeepAlive && context.channel.isActive
        if !isReusable { context.close(promise: nil) }
        onIdle(isReusable)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(APIError.words(for: error), context) }

    func channelInactive(context: ChannelHandlerContext) {
        fail("the server closed the connection", context)
        onIdle(false)
        context.fireChannelInactive()
    }

    private func fail(_ why: String, _ context: ChannelHandlerContext) {
        if let failed = exchange {
            exchange = nil
            failed.timeout?.cancel()
            let error = APIError.unreachable(why)
            failed.stream?.finish(.failure(error))
            failed.promise.fail(error)
        }
        context.close(promise: nil)
    }

    private func restartTimeout(on loop: any EventLoop, _ channel: any Channel) {
        exchange?.timeout?.cancel()
        exchange?.timeout = loop.scheduleTask(in: timeout) { channel.close(promise: nil) }
    }
}

extension APIError {
    /// The server could not be asked, or did not answer: the request may or may not have been carried out.
    static func unreachable(_ why: String) -> APIError {
        APIError(code: 503, reason: .serviceUnavailable, message: "the server did not answer: \(why)")
    }

    /// A transport's error as a person would say it.
    static func words(for error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let failed = error.connectionErrors.first { return words(for: failed.error) }
            return "\(error.host) is no name that is known here"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case NIOSSLError.uncleanShutdown: return "the server closed the connection"
        case NIOSSLError.handshakeFailed where "\(error)".contains("CERTIFICATE_VERIFY_FAILED"):
            return "its certificate is not one of the certificate authority in the kubeconfig"
        case NIOSSLError.handshakeFailed: return "it does not speak TLS as expected (\(error))"
        default: return "\(error)"
        }
    }
}
