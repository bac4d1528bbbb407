internal import NIOCore

/// A connection that carries numbered streams. Belongs to its event loop.
protocol StreamCarrier: AnyObject {
    var channel: any Channel { get }
    /// Sends bytes on a stream, and with `isLast` that there will be no more.
    func send(_ bytes: ByteBuffer, on stream: UInt32, isLast: Bool)
}

extension StreamCarrier {
    func send(_ bytes: ByteBuffer, on stream: UInt32) { send(bytes, on: stream, isLast: false) }
}

/// What the owner of streams hears. Each call comes on the event loop of the connection.
protocol StreamOwner: AnyObject {
    func receive(_ bytes: ByteBuffer, on stream: UInt32)
    /// The client has nothing more to say on it, or has given it up.
    func end(_ stream: UInt32, isReset: Bool)
    func onWritable()
    func onClose()
}

/// The server's side of one SPDY/3.1 connection, over whatever carries bytes. Streams are opened by the client alone.
/// Like the implementation that kubectl uses, it knows no windows: who cannot take more stops the whole connection.
final class SPDYConnection: ChannelInboundHandler, StreamCarrier {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private struct Stream {
        var isEndedHere = false
        var isEndedThere = false
    }

    let channel: any Channel
    private var reader = SPDYFrameReader()
    private var writer = SPDYFrameWriter()
    private var streams: [UInt32: Stream] = [:]
    private var lastStream: UInt32 = 0
    private var owner: (any StreamOwner)?
    /// Decides about a stream the client wants: why not, or nothing.
    private var onOpen: ((UInt32, [SPDYFrame.Header]) -> String?)?

    init(_ channel: any Channel) { self.channel = channel }

    /// Both hold each other until the connection closes.
    func setOwner(
        _ owner: any StreamOwner, onOpen: @escaping (UInt32, [SPDYFrame.Header]) -> String?
    ) {
        self.owner = owner
        self.onOpen = onOpen
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reader.append(unwrapInboundIn(data).readableBytesView)
        do {
            while let frame = try reader.next() { receive(frame) }
        } catch {
            channel.close(promise: nil)
        }
    }

    private func receive(_ frame: SPDYFrame) {
        switch frame {
        case .open(let stream, let headers, let isLast): open(stream, headers, isLast)
        case .data(let stream, let bytes, let isLast):
            guard let known = streams[stream], !known.isEndedThere else { return }
            if !bytes.isEmpty { owner?.receive(ByteBuffer(bytes: bytes), on: stream) }
            if isLast { end(stream) }
        case .reset(let stream, _):
            guard streams.removeValue(forKey: stream) != nil else { return }
            owner?.end(stream, isReset: true)
        // Odd numbers are the client's, to be sent back; even ones would be answers to ours.
        case .ping(let number): if number % 2 == 1, channel.isWritable { write(.ping(number)) }
        case .reply, .goAway, .ignored: break
        }
    }

    private func open(_ stream: UInt32, _ headers: [SPDYFrame.Header], _ isLast: Bool) {
        let protocolError: UInt32 = 1, refused: UInt32 = 3
        guard stream % 2 == 1, stream > lastStream else { return write(.reset(stream: stream, status: protocolError)) }
        lastStream = stream
        guard streams.count < APIServerLimits.spdyStreams, onOpen?(stream, headers) == nil else {
            return write(.reset(stream: stream, status: refused))
        }
        streams[stream] = Stream()
        write(.reply(stream: stream, headers: [], isLast: false))
        if isLast { end(stream) }
    }

    private func end(_ stream: UInt32) {
        streams[stream]?.isEndedThere = true
        owner?.end(stream, isReset: false)
        forgetIfEnded(stream)
    }

    private func forgetIfEnded(_ stream: UInt32) {
        if let known = streams[stream], known.isEndedHere, known.isEndedThere { streams[stream] = nil }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        channel.setReading(true)
        owner?.onWritable()
    }

    func channelInactive(context: ChannelHandlerContext) {
        owner?.onClose()
        (owner, onOpen) = (nil, nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: To the client

    func send(_ bytes: ByteBuffer, on stream: UInt32, isLast: Bool) {
        guard let known = streams[stream], !known.isEndedHere else { return }
        write(.data(stream: stream, bytes: Array(buffer: bytes), isLast: isLast))
        if isLast {
            streams[stream]?.isEndedHere = true
            forgetIfEnded(stream)
        }
    }

    /// Says that no stream will be taken any more, and closes.
    func finish() { channel.closeBehind(ByteBuffer(bytes: writer.bytes(.goAway(lastStream: lastStream)))) }

    private func write(_ frame: SPDYFrame) {
        channel.writeAndFlush(ByteBuffer(bytes: writer.bytes(frame)), promise: nil)
        // Who does not read what is answered is not heard either.
        if !channel.isWritable { channel.setReading(false) }
    }
}

extension [SPDYFrame.Header] {
    /// The value of a header; empty where it is missing.
    subscript(name: String) -> String { first { $0.name == name }?.value ?? "" }
}
