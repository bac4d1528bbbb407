internal import NIOCore

/// Ports that the request names, forwarded over one WebSocket (`v4.channel.k8s.io`, as the Python client does it): port
/// number `i` has the streams `2i` for its data and `2i + 1` for errors, and the first message on each is the port, two
/// bytes, the lower first. It closes when the last connection to the pod has.
final class WebSocketPorts: ChannelInboundHandler, StreamCarrier {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    static let version = "v4.channel.k8s.io"
    /// Stream numbers are one byte.
    static let most = 128

    let channel: any Channel
    private let ports: [Int]
    private var open: Set<UInt32>
    private var forwarding: PortForwarding?

    init(_ channel: any Channel, _ ports: [Int], _ make: (any StreamCarrier) -> PortForwarding) {
        self.channel = channel
        self.ports = ports
        open = Set((0..<UInt32(ports.count)).map { $0 * 2 })
        forwarding = make(self)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        for (index, port) in ports.enumerated() {
            let streams = (data: UInt32(index) * 2, error: UInt32(index) * 2 + 1)
            let number = [UInt8(truncatingIfNeeded: port), UInt8(truncatingIfNeeded: port >> 8)]
            for stream in [streams.data, streams.error] { send(ByteBuffer(bytes: number), on: stream) }
            forwarding?.forward(port, data: streams.data, error: streams.error)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var message = unwrapInboundIn(data)
        guard let stream = message.readInteger(as: UInt8.self), message.readableBytes > 0 else { return }
        forwarding?.receive(message, on: UInt32(stream))
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { forwarding?.onWritable() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        forwarding?.onClose()
        forwarding = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func send(_ bytes: ByteBuffer, on stream: UInt32, isLast: Bool) {
        if bytes.readableBytes > 0 {
            channel.writeAndFlush(channel.numbered(UInt8(truncatingIfNeeded: stream), bytes), promise: nil)
        }
        guard isLast, open.remove(stream) != nil, open.isEmpty else { return }
        // That client forgets what it has not handed on when the connection closes.
        channel.eventLoop.scheduleTask(in: APIServerLimits.handOnTime) { [channel] in
            channel.close(promise: nil)
        }
    }
}
