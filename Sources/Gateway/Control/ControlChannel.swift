internal import Documents
internal import NIOCore

/// Cuts the control socket's bytes into messages, and hands them on. Used at both ends. A message that is too long or
/// cannot be read ends the connection: the other end is not what it should be.
// SAFETY: touched on its channel's event loop only.
final class ControlChannel: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let onOpen: @Sendable (ControlSender) -> Void
    private let onMessage: @Sendable (ControlMessage, ControlSender) -> Void
    private let onClose: @Sendable (String) -> Void
    private var buffer = ByteBuffer()
    private var reason = "the other end closed the connection"

    init(
        onOpen: @escaping @Sendable (ControlSender) -> Void = { _ in },
        onMessage: @escaping @Sendable (ControlMessage, ControlSender) -> Void,
        onClose: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.onOpen = onOpen
        self.onMessage = onMessage
        self.onClose = onClose
    }

    func channelActive(context: ChannelHandlerContext) { onOpen(ControlSender(channel: context.channel)) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        buffer.writeBuffer(&bytes)
        do throws(GatewayMessageError) {
            while let message = try Self.next(&buffer) { onMessage(message, ControlSender(channel: context.channel)) }
        } catch {
            reason = error.message
            context.close(promise: nil)
        }
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
    }

    func channelInactive(context: ChannelHandlerContext) { onClose(reason) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = "\(error)"
        context.close(promise: nil)
    }

    /// Takes one whole message out of the buffer; `nil` while there is none.
    static func next(_ buffer: inout ByteBuffer) throws(GatewayMessageError) -> ControlMessage? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length <= GatewayLimits.controlMessageBytes else {
            throw GatewayMessageError(message: "a control message of \(length) bytes, above the limit")
        }
        guard buffer.readableBytes >= 4 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        let body = buffer.readBytes(length: Int(length)) ?? []
        let json: JSON
        do { json = try JSONParser.parse(body, maximumBytes: GatewayLimits.controlMessageBytes) } catch {
            throw GatewayMessageError(message: "a control message that is no JSON: \(error)")
        }
        return try ControlMessage(json: json)
    }
}

/// Sends messages over a control connection. Any thread.
struct ControlSender: Sendable {
    let channel: any Channel

    func send(_ message: ControlMessage) { channel.writeAndFlush(ByteBuffer(bytes: message.frame), promise: nil) }
    func close() { channel.close(promise: nil) }
    func isSame(as other: ControlSender) -> Bool { channel === other.channel }
}
