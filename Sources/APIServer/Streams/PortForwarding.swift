internal import Documents
internal import NIOCore
internal import NIOPosix

/// Ports of a pod forwarded over one connection. Each connection of the client's side is two streams: one for its data,
/// and one for the words when it cannot be made. In SPDY (`portforward.k8s.io`) the client opens both, with the same
/// `requestid`.
final class PortForwarding: StreamOwner, StreamEndOwner {
    static let version = "portforward.k8s.io"

    private struct Pair {
        var port = 0
        var data: UInt32?
        var error: UInt32?
    }

    private let connection: any StreamCarrier
    private let reach: any PodReach
    private let pod: ObjectKey
    private let files: Budget
    /// By `requestid`, until both streams are there.
    private var opening: [String: Pair] = [:]
    /// By the number of the data stream.
    private var sockets: [UInt32: Socket] = [:]

    private final class Socket {
        let pair: (port: Int, data: UInt32, error: UInt32)
        var channel: (any Channel)?
        var early: [ByteBuffer] = []
        var isEndedThere = false
        private let lease: Budget.Lease

        init(_ pair: (port: Int, data: UInt32, error: UInt32), _ lease: Budget.Lease) {
            self.pair = pair
            self.lease = lease
        }

        /// Whether it takes what the client sends.
        var isOpen: Bool { early.isEmpty && channel?.isWritable ?? true }
    }

    init(_ connection: any StreamCarrier, _ reach: any PodReach, _ pod: ObjectKey, _ files: Budget) {
        self.files = files
        self.connection = connection
        self.reach = reach
        self.pod = pod
    }

    /// Forwards what the client of `connection` asks for.
    static func serve(_ connection: SPDYConnection, _ reach: any PodReach, _ pod: ObjectKey, _ files: Budget) {
        let forwarding = PortForwarding(connection, reach, pod, files)
        connection.setOwner(forwarding) { [weak forwarding] in forwarding?.open($0, $1) }
    }

    private var eventLoop: any EventLoop { connection.channel.eventLoop }

    private func open(_ stream: UInt32, _ headers: [SPDYFrame.Header]) -> String? {
        guard let port = Int(headers["port"]), (1...65535).contains(port) else { return "expected a header port" }
        let type = headers["streamtype"]
        guard ["data", "error"].contains(type) else { return "invalid stream type \(type)" }
        // Clients of old send no requestid, and the data stream behind the error stream.
        let given = headers["requestid"]
        if given.utf8.count > APIServerLimits.streamNameBytes { return "expected a shorter requestid" }
        let request = given.isEmpty ? "stream \(type == "error" ? stream : stream &- 2)" : given
        var pair = opening[request] ?? Pair()
        if type == "data" { pair.data = stream } else { pair.error = stream }
        pair.port = port
        opening[request] = pair
        guard let data = pair.data, let error = pair.error else { return nil }
        opening[request] = nil
        forward(port, data: data, error: error)
        return nil
    }

    /// Makes a connection to a port for two streams that are open.
    func forward(_ port: Int, data: UInt32, error: UInt32) {
        guard let lease = files.lease(1) else {
            connection.send(ByteBuffer(string: "too many forwarded connections at once"), on: error, isLast: true)
            return connection.send(ByteBuffer(), on: data, isLast: true)
        }
        let socket = Socket((port, data, error), lease)
        sockets[data] = socket
        connect(socket)
    }

    private func connect(_ socket: Socket) {
        let bound = NIOLoopBound((self, socket), eventLoop: eventLoop)
        let (reach, pod, port) = (reach, pod, socket.pair.port)
        // Bridges the event loop to the node, which waits for the connection.
        Task {
            let result: Result<Int32, APIError>
            do throws(APIError) {
                result = .success(try await reach.connect(namespace: pod.namespace, pod: pod.name, port: port))
            } catch {
                result = .failure(error)
            }
            bound.eventLoop.execute {
                let (forwarding, socket) = bound.value
                forwarding.onConnect(socket, result)
            }
        }
    }

    private func onConnect(_ socket: Socket, _ result: Result<Int32, APIError>) {
        switch result {
        case .failure(let error):
            let words = "error forwarding port \(socket.pair.port) to pod \(pod.name): \(error.message)"
            connection.send(ByteBuffer(string: words), on: socket.pair.error)
            close(socket)
        case .success(let descriptor):
            let bound = NIOLoopBound((self, socket), eventLoop: eventLoop)
            ClientBootstrap(group: eventLoop)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let (forwarding, socket) = bound.value
                        try channel.pipeline.syncOperations.addHandler(
                            StreamEnd(forwarding, socket.pair.data))
                    }
                }
                .withConnectedSocket(descriptor)
                .whenComplete { result in
                    let (forwarding, socket) = bound.value
                    forwarding.onOpen(socket, try? result.get())
                }
        }
    }

    private func onOpen(_ socket: Socket, _ channel: (any Channel)?) {
        guard let channel, sockets[socket.pair.data] === socket, channel.isActive else {
            channel?.close(promise: nil)
            return close(socket)
        }
        socket.channel = channel
        for bytes in socket.early { channel.writeAndFlush(bytes, promise: nil) }
        socket.early = []
        if socket.isEndedThere { channel.closeBehindWrites(.output) }
        if !connection.channel.isWritable { channel.setReading(false) }
        resumeReading()
    }

    /// The client is heard as long as every connection takes what it sends: they share one way.
    private func resumeReading() {
        if sockets.values.allSatisfy(\.isOpen) { connection.channel.setReading(true) }
    }

    private func close(_ socket: Socket) {
        sockets[socket.pair.data] = nil
        connection.send(ByteBuffer(), on: socket.pair.data, isLast: true)
        connection.send(ByteBuffer(), on: socket.pair.error, isLast: true)
        resumeReading()
    }

    // MARK: From the client

    func receive(_ bytes: ByteBuffer, on stream: UInt32) {
        guard let socket = sockets[stream] else { return }
        guard let channel = socket.channel else {
            socket.early.append(bytes)
            return connection.channel.setReading(false)
        }
        channel.writeAndFlush(bytes, promise: nil)
        if !channel.isWritable { connection.channel.setReading(false) }
    }

    func end(_ stream: UInt32, isReset: Bool) {
        opening = opening.filter { $0.value.data != stream && $0.value.error != stream || !isReset }
        guard let socket = sockets[stream] else { return }
        socket.isEndedThere = true
        if !isReset { return socket.channel.map { $0.closeBehindWrites(.output) } ?? () }
        sockets[stream] = nil
        socket.channel?.close(promise: nil)
        resumeReading()
    }

    func onWritable() { for socket in sockets.values { socket.channel?.setReading(true) } }

    func onClose() {
        for socket in sockets.values { socket.channel?.close(promise: nil) }
        (sockets, opening) = ([:], [:])
    }

    // MARK: From the pod

    func onRead(_ bytes: ByteBuffer, _ stream: UInt32) {
        connection.send(bytes, on: stream)
        if !connection.channel.isWritable {
            for socket in sockets.values { socket.channel?.setReading(false) }
        }
    }

    func onEndWritable() { resumeReading() }

    func onEnd(_ stream: UInt32) { connection.send(ByteBuffer(), on: stream, isLast: true) }

    func onEndClose(_: any Channel, _ stream: UInt32) { if let socket = sockets[stream] { close(socket) } }
}
