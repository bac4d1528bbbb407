internal import NIOCore
internal import NIOPosix
package import Seams
internal import Synchronization

/// Hears questions on port 53 of one address, by datagram and by connection, and hands them to the resolver. `run` until
/// cancelled. What is under way is bounded; what is beyond the bound is not heard, and asked again.
package struct DNSServer: Sendable {
    private typealias Datagrams = NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>>
    private typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private let resolver: PodResolver
    private let clock: any Clock

    package init(resolver: PodResolver, clock: any Clock) {
        self.resolver = resolver
        self.clock = clock
    }

    /// Throws where the address cannot be listened on; otherwise returns when the task is cancelled. `onListening` is
    /// called once questions are heard.
    package func run(
        address: IPv4Address, port: Int = 53, onListening: @Sendable () -> Void = {}
    ) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let datagrams = try await DatagramBootstrap(group: group)
            .channelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: address.description, port: port) { channel in
                channel.eventLoop.makeCompletedFuture { try Datagrams(wrappingChannelSynchronously: channel) }
            }
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: address.description, port: port) { channel in
                channel.eventLoop.makeCompletedFuture { try Connection(wrappingChannelSynchronously: channel) }
            }
        onListening()
        do {
            try await withThrowingDiscardingTaskGroup { tasks in
                tasks.addTask { try await self.serve(datagrams) }
                tasks.addTask { try await self.accept(listener) }
            }
        } catch {
            // How the sockets say that they were closed.
            if !Task.isCancelled { throw error }
        }
    }

    private func accept(_ listener: NIOAsyncChannel<Connection, Never>) async throws {
        let open = Counter(limit: DNSLimits.connections)
        try await withThrowingDiscardingTaskGroup { connections in
            try await listener.executeThenClose { inbound in
                for try await connection in inbound {
                    guard open.take() else {
                        connection.channel.close(promise: nil)
                        continue
                    }
                    connections.addTask {
                        await self.serve(connection)
                        open.giveBack()
                    }
                }
            }
        }
    }

    private func serve(_ datagrams: Datagrams) async throws {
        let open = Counter(limit: DNSLimits.questions)
        try await datagrams.executeThenClose { inbound, outbound in
            try await withThrowingDiscardingTaskGroup { questions in
                for try await datagram in inbound {
                    guard open.take() else { continue }
                    questions.addTask {
                        defer { open.giveBack() }
                        let message = Array(datagram.data.readableBytesView)
                        guard let answer = await self.answer(message, datagram.remoteAddress, isDatagram: true) else {
                            return
                        }
                        let envelope = AddressedEnvelope(
                            remoteAddress: datagram.remoteAddress, data: ByteBuffer(bytes: answer))
                        try? await outbound.write(envelope)  // Whoever asked has gone, or asks again.
                    }
                }
            }
        }
    }

    /// Questions with their length before them, one after the other, for a bounded time.
    private func serve(_ connection: Connection) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                try? await connection.executeThenClose { inbound, outbound in  // However it ends, it has ended.
                    var buffer = ByteBuffer()
                    for try await part in inbound {
                        buffer.writeImmutableBuffer(part)
                        while let length = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self),
                            buffer.readableBytes >= 2 + Int(length)
                        {
                            buffer.moveReaderIndex(forwardBy: 2)
                            let message = buffer.readBytes(length: Int(length)) ?? []
                            guard
                                let answer = await self.answer(
                                    message, connection.channel.remoteAddress, isDatagram: false)
                            else { return }
                            try await outbound.write(ByteBuffer(bytes: UInt16(answer.count).bytes + answer))
                        }
                        buffer.discardReadBytes()
                    }
                }
            }
            tasks.addTask { try? await self.clock.sleep(for: DNSLimits.connectionLife) }  // Cancelled: it has ended.
            await tasks.next()
            tasks.cancelAll()
        }
    }

    private func answer(_ message: [UInt8], _ address: SocketAddress?, isDatagram: Bool) async -> [UInt8]? {
        guard let address = (address?.ipAddress).flatMap(IPv4Address.init) else { return nil }
        return await resolver.answer(message, from: address, isDatagram: isDatagram)
    }
}

/// So many at once.
private final class Counter: Sendable {
    private let limit: Int
    private let count = Mutex(0)

    init(limit: Int) { self.limit = limit }

    func take() -> Bool {
        count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
    }

    func giveBack() { count.withLock { $0 -= 1 } }
}
