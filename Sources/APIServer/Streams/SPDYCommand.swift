internal import NIOCore

/// A remote command over SPDY (`v4.channel.k8s.io`): a stream for each of its own, named by the header `streamtype`.
/// What it says is heard when all that were asked for are there.
final class SPDYCommand: StreamOwner, CommandCarrier {
    static let version = "v4.channel.k8s.io"

    private let connection: SPDYConnection
    /// What is asked for and has not come.
    private var missing: Set<CommandStream>
    private var streams: [CommandStream: UInt32] = [:]
    private var session: CommandSession?
    private var timeout: Scheduled<Void>?

    var channel: any Channel { connection.channel }

    init(
        _ connection: SPDYConnection, _ command: any PodCommand, _ request: PodCommandRequest, _ lease: Budget.Lease
    ) {
        self.connection = connection
        missing = [.status]
        if request.hasInput { missing.insert(.input) }
        if request.hasOutput { missing.insert(.output) }
        if request.hasErrors, !request.isTerminal { missing.insert(.errors) }
        if request.isTerminal { missing.insert(.resize) }
        session = CommandSession(command, request, carrier: self, lease)
        connection.setOwner(self) { [weak self] stream, headers in self?.open(stream, headers["streamtype"]) }
        timeout = channel.eventLoop.scheduleTask(in: APIServerLimits.streamOpeningTime) { [channel] in
            channel.close(promise: nil)
        }
    }

    private func open(_ number: UInt32, _ type: String) -> String? {
        let names: [String: CommandStream] = [
            "stdin": .input, "stdout": .output, "stderr": .errors, "error": .status, "resize": .resize,
        ]
        guard let stream = names[type], missing.remove(stream) != nil else { return "no stream \(type) is expected" }
        streams[stream] = number
        if missing.isEmpty {
            timeout?.cancel()
            // Behind the answer to this stream.
            let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
            channel.eventLoop.execute { bound.value.session?.start() }
        }
        return nil
    }

    func receive(_ bytes: ByteBuffer, on stream: UInt32) {
        if let known = streams.first(where: { $0.value == stream })?.key { session?.receive(bytes, on: known) }
    }

    func end(_ stream: UInt32, isReset: Bool) {
        if streams[.input] == stream { session?.endInput() }
    }

    func onWritable() { session?.onWritable() }

    func onClose() {
        timeout?.cancel()
        session?.onClose()
        session = nil
    }

    func send(_ bytes: ByteBuffer, on stream: CommandStream) {
        if let number = streams[stream] { connection.send(bytes, on: number) }
    }

    func finish(_ status: ByteBuffer) {
        for stream in [CommandStream.output, .errors] {
            if let number = streams[stream] { connection.send(ByteBuffer(), on: number, isLast: true) }
        }
        if let number = streams[.status] { connection.send(status, on: number, isLast: true) }
        connection.finish()
    }
}
