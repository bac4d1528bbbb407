internal import NIOCore
internal import NIOPosix
package import Seams

/// Connections over SwiftNIO, on the process's own event loops.
package struct SystemNetwork: Network {
    package init() {}

    package func connect(host: String, port: Int, timeout: Duration) async throws(NetworkError) {
        do {
            let channel = try await bootstrap(timeout).connect(host: host, port: port).get()
            try? await channel.close()  // The connection has served; how it closes is of no interest.
        } catch {
            throw NetworkError(message: describe(error, host, port))
        }
    }

    package func exchange(
        host: String, port: Int, request: [UInt8], timeout: Duration
    ) async throws(NetworkError) -> [UInt8] {
        do {
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let promise = loop.makePromise(of: [UInt8].self)
            let deadline = loop.scheduleTask(in: .nanoseconds(timeout.wholeNanoseconds)) {
                promise.fail(NetworkError(message: "no answer from \(host):\(port) within \(timeout)"))
            }
            let connecting = bootstrap(timeout, on: loop).channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FirstLineHandler(promise))
                }
            }.connect(host: host, port: port)
            connecting.whenFailure { promise.fail($0) }
            connecting.whenSuccess { $0.writeAndFlush(ByteBuffer(bytes: request), promise: nil) }
            defer {
                deadline.cancel()
                connecting.whenSuccess { $0.close(promise: nil) }
            }
            return try await promise.futureResult.get()
        } catch let error as NetworkError {
            throw error
        } catch {
            throw NetworkError(message: describe(error, host, port))
        }
    }

    private func bootstrap(_ timeout: Duration, on loop: (any EventLoop)? = nil) -> ClientBootstrap {
        ClientBootstrap(group: loop ?? MultiThreadedEventLoopGroup.singleton.next())
            .connectTimeout(.nanoseconds(timeout.wholeNanoseconds))
    }

    private func describe(_ error: any Error, _ host: String, _ port: Int) -> String {
        if let failure = error as? IOError { return "\(host):\(port): \(systemMessage(failure.errnoCode))" }
        if let failure = error as? NIOConnectionError, let first = failure.connectionErrors.first {
            return describe(first.error, host, port)
        }
        return "\(host):\(port): \(error)"
    }
}

/// Completes its promise with the first line of the answer. Lives on its channel's event loop.
private final class FirstLineHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let promise: EventLoopPromise<[UInt8]>
    private var line: [UInt8] = []

    init(_ promise: EventLoopPromise<[UInt8]>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        line += unwrapInboundIn(data).readableBytesView
        if let end = line.firstIndex(of: 0x0A) {
            let isReturn = end > 0 && line[end - 1] == 0x0D
            promise.succeed(Array(line[..<(isReturn ? end - 1 : end)]))
        } else if line.count > Limits.probeAnswerBytes {
            promise.fail(
                NetworkError(message: "the answer's first line is longer than \(Limits.probeAnswerBytes) bytes"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(NetworkError(message: "the connection was closed without an answer"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }
}
