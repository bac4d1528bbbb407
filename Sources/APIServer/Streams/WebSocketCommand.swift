internal import NIOCore

/// A remote command over one WebSocket: each message begins with the number of its stream (`v4.channel.k8s.io`, and
/// `v5`, in which 255 and a number end that stream).
final class WebSocketCommand: ChannelInboundHandler, CommandCarrier {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let endOfStream: UInt8 = 255

    let channel: any Channel
    /// Each holds the other until the connection closes.
    private var session: CommandSession?

    init(
        _ channel: any Channel, _ command: any PodCommand, _ request: PodCommandRequest, _ lease: Budget.Lease
    ) {
        self.channel = channel
        session = CommandSession(command, request, carrier: self, lease)
    }

    func handlerAdded(context: ChannelHandlerContext) { session?.start() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var message = unwrapInboundIn(data)
        guard let first = message.readInteger(as: UInt8.self) else { return }
        if first == Self.endOfStream {
            if message.readInteger(as: UInt8.self) == CommandStream.input.rawValue { session?.endInput() }
        } else if let stream = CommandStream(rawValue: first), message.readableBytes > 0 {
            session?.receive(message, on: stream)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { session?.onWritable() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        session?.onClose()
        session = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func send(_ bytes: ByteBuffer, on stream: CommandStream) {
        channel.writeAndFlush(channel.numbered(stream.rawValue, bytes), promise: nil)
    }

    func finish(_ status: ByteBuffer) {
        channel.closeBehind(channel.numbered(CommandStream.status.rawValue, status))
    }
}
