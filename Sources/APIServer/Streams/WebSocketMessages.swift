internal import NIOCore
internal import NIOWebSocket

/// Messages of a WebSocket (RFC 6455) as bytes, both ways: control frames end here, and closing says goodbye.
final class WebSocketMessages: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    /// Bytes of one message. Clients send what they read at once: kubectl 32 KiB, the Python client up to 1 MiB.
    static let messageBytes = 2 << 20

    private var isClosing = false

    /// All handlers between the bytes of a connection and its messages, in their order.
    static func handlers() -> [any ChannelHandler] {
        [
            WebSocketFrameEncoder(), ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: messageBytes)),
            NIOWebSocketFrameAggregator(
                minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 1024, maxAccumulatedFrameSize: messageBytes),
            WebSocketMessages(),
        ]
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .binary, .text: context.fireChannelRead(wrapInboundOut(frame.unmaskedData))
        // Who asks and does not read gets no answer.
        case .ping where context.channel.isWritable:
            let answer = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        case .connectionClose: context.channel.close(promise: nil)
        default: break
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let frame = WebSocketFrame(fin: true, opcode: .binary, data: unwrapOutboundIn(data))
        context.write(wrapOutboundOut(frame), promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if isClosing || !context.channel.isActive { return context.close(mode: mode, promise: promise) }
        isClosing = true
        var reason = context.channel.allocator.buffer(capacity: 2)
        reason.write(webSocketErrorCode: .normalClosure)
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, data: reason)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        // Behind a client that does not read the goodbye would wait for ever.
        let channel = context.channel
        context.eventLoop.scheduleTask(in: APIServerLimits.goodbyeTimeout) { channel.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(frame))
            .whenComplete { _ in bound.value.close(mode: mode, promise: promise) }
    }

    /// What is no WebSocket ends the connection.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
