internal import Documents
internal import Glibc
internal import NIOCore
internal import NIOPosix

/// The streams of a remote command, by the numbers they have where they share one connection.
enum CommandStream: UInt8 {
    case input = 0
    case output = 1
    case errors = 2
    /// A Status document, once: how it ended.
    case status = 3
    /// `{"Width": 80, "Height": 24}`
    case resize = 4
}

/// What carries a command's streams to its client: a WebSocket, or SPDY. Belongs to the event loop of the connection.
protocol CommandCarrier: AnyObject {
    var channel: any Channel { get }
    func send(_ bytes: ByteBuffer, on stream: CommandStream)
    /// Sends how the command ended, and closes the connection.
    func finish(_ status: ByteBuffer)
}

/// One remote command: carries bytes between its descriptors and its client, neither faster than the other takes them.
/// Belongs to the event loop of the connection.
final class CommandSession: StreamEndOwner {
    private let command: any PodCommand
    private let request: PodCommandRequest
    private let carrier: any CommandCarrier
    private let eventLoop: any EventLoop
    /// What it has of the server's descriptors.
    private let lease: Budget.Lease
    private var input: (any Channel)?
    private var outputs: [any Channel] = []
    private var opening = 0
    private var exitCode: Int32?
    private var isStarted = false
    private var isOver = false
    private var hasMoved = false
    /// What came before the command could take it.
    private var early: [ByteBuffer] = []
    private var isInputEnded = false

    init(
        _ command: any PodCommand, _ request: PodCommandRequest, carrier: any CommandCarrier, _ lease: Budget.Lease
    ) {
        self.lease = lease
        self.command = command
        self.request = request
        self.carrier = carrier
        eventLoop = carrier.channel.eventLoop
    }

    func start() {
        isStarted = true
        isInputEnded = command.input == nil
        if let descriptor = command.output { open(.output, reading: descriptor) }
        if let descriptor = command.errors { open(.errors, reading: descriptor) }
        if let descriptor = command.input { open(.input, writing: descriptor) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let command = command
        // Bridges the event loop to the node, which waits for processes.
        Task {
            let code = await command.wait()
            bound.eventLoop.execute { bound.value.onExit(code) }
        }
    }

    // MARK: From the client

    func receive(_ bytes: ByteBuffer, on stream: CommandStream) {
        switch stream {
        case .input:
            guard !isInputEnded, !isOver else { return }
            guard let input else {
                early.append(bytes)
                return carrier.channel.setReading(false)
            }
            input.writeAndFlush(bytes, promise: nil)
            if !input.isWritable { carrier.channel.setReading(false) }
        case .resize:
            guard let size = try? JSONParser.parse(Array(buffer: bytes)), !isOver else { return }
            let (columns, rows) = (size["Width"]?.integerValue ?? 0, size["Height"]?.integerValue ?? 0)
            command.resize(columns: Int(clamping: columns), rows: Int(clamping: rows))
        case .output, .errors, .status: break
        }
    }

    /// The client has nothing more to say. A terminal has no end of input but the one that is typed.
    func endInput() {
        isInputEnded = true
        if early.isEmpty, !request.isTerminal { input?.closeBehindWrites(.all) }
    }

    func onWritable() { for output in outputs { output.setReading(true) } }

    func onClose() {
        if isOver { return }
        isOver = true
        if !isStarted { return Self.discard(command) }
        command.cancel()
        closeAll()
    }

    /// Ends a command whose client went before it could be carried anywhere.
    static func discard(_ command: any PodCommand) {
        command.cancel()
        for descriptor in [command.input, command.output, command.errors] { descriptor.map { _ = close($0) } }
        // A process that has ended is one to be waited for.
        Task { await command.wait() }
    }

    // MARK: From the command

    func onRead(_ bytes: ByteBuffer, _ stream: CommandStream) {
        if isOver { return }
        hasMoved = true
        carrier.send(bytes, on: stream)
        if !carrier.channel.isWritable { for output in outputs { output.setReading(false) } }
    }

    func onEndWritable() { carrier.channel.setReading(true) }

    /// Its pipes end as a whole.
    func onEnd(_ stream: CommandStream) {}

    func onEndClose(_ channel: any Channel, _ stream: CommandStream) {
        outputs.removeAll { $0 === channel }
        if input === channel { (input, isInputEnded, early) = (nil, true, []) }
        // Nobody reads what the client still sends.
        carrier.channel.setReading(true)
        finishIfDone()
    }

    private func onExit(_ code: Int32) {
        exitCode = code
        finishIfDone()
        if !isOver { drain(APIServerLimits.commandDrainPauses) }
    }

    /// A process it has left behind may hold its output open, as we hold its terminal: what it wrote itself is there
    /// once nothing moves any more.
    private func drain(_ pauses: Int) {
        hasMoved = false
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: APIServerLimits.commandDrainPause) {
            let session = bound.value
            if session.isOver { return }
            // A client that is behind is waited for.
            if !session.carrier.channel.isWritable { return session.drain(pauses) }
            if session.hasMoved, pauses > 0 { return session.drain(pauses - 1) }
            for output in session.outputs { output.close(promise: nil) }
        }
    }

    private func finishIfDone() {
        guard let exitCode, opening == 0, outputs.isEmpty, !isOver else { return }
        isOver = true
        closeAll()
        carrier.finish(ByteBuffer(bytes: Self.status(exitCode).encoded))
    }

    /// How a command ended, as clients read it.
    static func status(_ code: Int32) -> JSON {
        if code == 0 { return ["metadata": [:], "status": "Success"] }
        return [
            "metadata": [:], "status": "Failure",
            "message": .string("command terminated with non-zero exit code: exit status \(code)"),
            "reason": "NonZeroExitCode",
            "details": ["causes": [["reason": "ExitCode", "message": .string(String(code))]]],
        ]
    }

    // MARK: Descriptors

    private func open(_ stream: CommandStream, reading: Int32? = nil, writing: Int32? = nil) {
        opening += 1
        let bound = NIOLoopBound((self, stream), eventLoop: eventLoop)
        let bootstrap = NIOPipeBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (session, stream) = bound.value
                    try channel.pipeline.syncOperations.addHandler(StreamEnd(session, stream))
                }
            }
        let opened =
            if let reading {
                bootstrap.takingOwnershipOfDescriptor(input: reading)
            } else {
                bootstrap.takingOwnershipOfDescriptor(output: writing ?? -1)
            }
        opened.hop(to: eventLoop).whenComplete { result in
            let (session, _) = bound.value
            session.onOpen(try? result.get(), isInput: reading == nil)
        }
    }

    private func onOpen(_ channel: (any Channel)?, isInput: Bool) {
        opening -= 1
        if let channel, !isOver, channel.isActive {
            if isInput { begin(channel) } else { outputs.append(channel) }
            if !isInput, !carrier.channel.isWritable { channel.setReading(false) }
        } else {
            channel?.close(promise: nil)
            if isInput { (isInputEnded, early) = (true, []) }
        }
        carrier.channel.setReading(true)
        finishIfDone()
    }

    /// What has come for the command goes to it.
    private func begin(_ channel: any Channel) {
        input = channel
        for bytes in early { channel.writeAndFlush(bytes, promise: nil) }
        early = []
        if isInputEnded { endInput() }
    }

    private func closeAll() {
        input?.close(promise: nil)
        for output in outputs { output.close(promise: nil) }
        (input, outputs, early) = (nil, [], [])
    }
}
