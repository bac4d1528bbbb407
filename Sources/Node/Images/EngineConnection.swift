internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// A request to an engine.
struct EngineRequest: Sendable {
    enum Body: Sendable {
        case empty
        case json([UInt8])
        /// A tar archive of unknown length: `next` answers its next bytes, and `nil` at its end. Where its task is cancelled it
        /// must return, or the call outlasts its deadline.
        case tar(next: @Sendable () async throws(ImageError) -> [UInt8]?)
    }

    var method = HTTPMethod.GET
    /// Path and query, percent-encoded.
    var target: String
    var headers: [(String, String)] = []
    var body = Body.empty
    /// For the whole exchange, and for the longest pause in it.
    var deadline: Duration
    var silence: Duration?
}

/// HTTP/1.1 to the unix socket of an engine, with a connection of its own for every request: an engine that hangs holds
/// nobody up but who asked, and one that was started again is simply there.
struct EngineConnection: Sendable {
    let socket: String

    /// Sends `request` and hands the answer's body to `receive` as it arrives, with the answer's status. Answers the status.
    func perform(
        _ request: EngineRequest, receive: @escaping @Sendable (Int, ByteBuffer) throws(ImageError) -> Void
    ) async throws(ImageError) -> Int {
        let failure = SendFailure()
        do {
            let connection = try await connect(request)
            let channel = connection.channel
            return try await connection.executeThenClose { inbound, outbound in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    // An engine may refuse before it has read all, and what is sent may end in an error of its own.
                    group.addTask {
                        do throws(ImageError) {
                            try await send(request, outbound)
                        } catch {
                            failure.error.withLock { $0 = error }
                            channel.close(promise: nil)
                        }
                    }
                    let status = try await answer(inbound, receive)
                    group.cancelAll()
                    return status
                }
            }
        } catch {
            if Task.isCancelled { throw .cancelled }
            throw failure.error.withLock { $0 } ?? words(for: error)
        }
    }

    private final class SendFailure: Sendable {
        let error = Mutex<ImageError?>(nil)
    }

    private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private func connect(_ request: EngineRequest) async throws -> Connection {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(unixDomainSocketPath: socket) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(
                        DeadlineHandler(socket: socket, deadline: request.deadline, silence: request.silence))
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
    }

    /// Errors of the transport are left to the reading side, which hears of them as well and may hold an answer.
    private func send(
        _ request: EngineRequest, _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
    ) async throws(ImageError) {
        var head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.target)
        // The address of a socket has no host; engines only want the header to be there.
        head.headers = ["Host": "localhost", "User-Agent": "espalier", "Connection": "close"]
        for (name, value) in request.headers { head.headers.add(name: name, value: value) }
        switch request.body {
        case .empty:
            if request.method != .GET { head.headers.add(name: "Content-Length", value: "0") }
            await write([.head(head)], outbound)
        case .json(let bytes):
            head.headers.add(name: "Content-Type", value: "application/json")
            head.headers.add(name: "Content-Length", value: String(bytes.count))
            await write([.head(head), .body(.byteBuffer(ByteBuffer(bytes: bytes)))], outbound)
        case .tar(let next):
            head.headers.add(name: "Content-Type", value: "application/x-tar")
            head.headers.add(name: "Transfer-Encoding", value: "chunked")
            guard await write([.head(head)], outbound) else { return }
            while let bytes = try await next() {
                guard await write([.body(.byteBuffer(ByteBuffer(bytes: bytes)))], outbound) else { return }
            }
        }
        await write([.end(nil)], outbound)
    }

    @discardableResult
    private func write(
        _ parts: [HTTPClientRequestPart], _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
    ) async -> Bool {
        do {
            try await outbound.write(contentsOf: parts)
            return true
        } catch {
            return false
        }
    }

    private func answer(
        _ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>,
        _ receive: (Int, ByteBuffer) throws(ImageError) -> Void
    ) async throws -> Int {
        var status: Int?
        for try await part in inbound {
            switch part {
            case .head(let head) where head.status.code >= 200: status = Int(head.status.code)
            case .head: break
            case .body(let buffer): try receive(status ?? 0, buffer)
            case .end:
                guard let status else { throw ImageError.unreachable(socket, "its answer makes no sense") }
                return status
            }
        }
        throw ImageError.unreachable(socket, "it closed the connection in the middle of an answer")
    }

    private func words(for error: any Error) -> ImageError {
        switch error {
        case let error as ImageError: error
        case let error as IOError: .unreachable(socket, String(cString: strerror(error.errnoCode)))
        case is SocketAddressError: .unreachable(socket, "a socket's path is of 107 bytes at most")
        case is HTTPParserError: .unreachable(socket, "what answers there does not speak HTTP (\(error))")
        default: .unreachable(socket, "\(error)")
        }
    }
}

/// Ends a connection that lasts too long, or on which nothing moves for too long in either direction.
private final class DeadlineHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    private let socket: String
    private let deadline: Duration
    private let silence: Duration?
    private var whole: Scheduled<Void>?
    private var pause: Scheduled<Void>?

    init(socket: String, deadline: Duration, silence: Duration?) {
        self.socket = socket
        self.deadline = deadline
        self.silence = silence
    }

    func handlerAdded(context: ChannelHandlerContext) {
        whole = end(context, after: deadline)
        restart(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        whole?.cancel()
        pause?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        restart(context)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        restart(context)
        context.write(data, promise: promise)
    }

    private func restart(_ context: ChannelHandlerContext) {
        guard let silence else { return }
        pause?.cancel()
        pause = end(context, after: silence)
    }

    private func end(_ context: ChannelHandlerContext, after time: Duration) -> Scheduled<Void> {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let error = ImageError(
            .timeout,
            """
            the container engine at \(socket) did not answer within \(time); if it hangs, restart it \
            (`systemctl restart podman` or `systemctl restart docker`)
            """)
        return context.eventLoop.scheduleTask(in: TimeAmount(time)) {
            bound.value.fireErrorCaught(error)
            bound.value.close(promise: nil)
        }
    }
}
