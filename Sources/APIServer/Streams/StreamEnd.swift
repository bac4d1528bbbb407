internal import NIOCore

/// Who has the near end of a descriptor or a socket, and hears what happens at it.
protocol StreamEndOwner: AnyObject {
    associatedtype Stream
    func onRead(_ bytes: ByteBuffer, _ stream: Stream)
    /// It takes more.
    func onEndWritable()
    /// Nothing more will be read from it; it may still be written.
    func onEnd(_ stream: Stream)
    func onEndClose(_ channel: any Channel, _ stream: Stream)
}

/// The last handler of a pod's end of a stream: tells its owner.
final class StreamEnd<Owner: StreamEndOwner>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let owner: Owner
    private let stream: Owner.Stream

    init(_ owner: Owner, _ stream: Owner.Stream) {
        self.owner = owner
        self.stream = stream
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { owner.onRead(unwrapInboundIn(data), stream) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { owner.onEndWritable() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { owner.onEnd(stream) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) { owner.onEndClose(context.channel, stream) }

    /// A terminal whose last program has gone answers with an error; so does a pipe nobody reads.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

extension Channel {
    /// Whether what comes is read. A channel that is gone reads nothing anyway.
    func setReading(_ isOn: Bool) { try? syncOptions?.setOption(.autoRead, value: isOn) }

    /// A message that begins with the number of its stream.
    func numbered(_ stream: UInt8, _ bytes: ByteBuffer) -> ByteBuffer {
        var message = allocator.buffer(capacity: bytes.readableBytes + 1)
        message.writeInteger(stream)
        message.writeImmutableBuffer(bytes)
        return message
    }

    /// Closes once everything that was written has gone out.
    func closeBehindWrites(_ mode: CloseMode) {
        writeAndFlush(ByteBuffer()).whenComplete { _ in self.close(mode: mode, promise: nil) }
    }

    /// Sends `last` and closes once it has gone out, or after a while where nobody reads it.
    func closeBehind(_ last: ByteBuffer) {
        let timeout = eventLoop.scheduleTask(in: APIServerLimits.drainTimeout) { self.close(promise: nil) }
        writeAndFlush(last).whenComplete { _ in
            timeout.cancel()
            self.close(promise: nil)
        }
    }
}
