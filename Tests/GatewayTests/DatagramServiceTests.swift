import Gateway
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// Datagrams to a service address, over real sockets on loopback addresses.
@Suite(.timeLimit(.minutes(1))) struct DatagramServiceTests {
    /// A socket that sends and is sent datagrams. With a `name` it answers each with `name:` and what it was sent.
    final class Peer: Sendable {
        let channel: any Channel
        private let received: AsyncStream<String>

        init(name: String? = nil, port: Int = 0) async throws {
            let (stream, feed) = AsyncStream.makeStream(of: String.self)
            received = stream
            let allocator = FixedSizeRecvByteBufferAllocator(capacity: 65_507)
            channel = try await DatagramBootstrap(group: Wire.group)
                .channelOption(.recvAllocator, value: allocator).channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Handler(name: name, feed: feed))
                    }
                }.bind(host: "127.0.0.1", port: port).get()
        }

        var endpoint: String { "127.0.0.1:\(channel.localAddress?.port ?? 0)" }

        func send(_ text: String, to address: String, _ port: Int) async throws {
            let envelope = AddressedEnvelope(
                remoteAddress: try SocketAddress(ipAddress: address, port: port), data: ByteBuffer(string: text))
            try await channel.writeAndFlush(envelope)
        }

        func next() async -> String? { await received.first { _ in true } }
        /// Passes over answers that came twice.
        func next(_ text: String) async -> String? { await received.first { $0 == text } }

        /// Sends until there is an answer: a datagram may be lost while an endpoint goes.
        func ask(_ text: String, at address: String, _ port: Int) async throws -> String? {
            let again = channel.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(50)) { _ in
                let address = try SocketAddress(ipAddress: address, port: port)
                self.channel.writeAndFlush(
                    AddressedEnvelope(remoteAddress: address, data: ByteBuffer(string: text)), promise: nil)
            }
            defer { again.cancel() }
            return await next()
        }

        func close() async throws { try await channel.close() }

        private final class Handler: ChannelInboundHandler, Sendable {
            typealias InboundIn = AddressedEnvelope<ByteBuffer>
            typealias OutboundOut = AddressedEnvelope<ByteBuffer>
            let name: String?
            let feed: AsyncStream<String>.Continuation

            init(name: String?, feed: AsyncStream<String>.Continuation) {
                self.name = name
                self.feed = feed
            }

            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                let datagram = unwrapInboundIn(data)
                guard let name else {
                    feed.yield(String(buffer: datagram.data))
                    return
                }
                let answer = ByteBuffer(string: "\(name):\(String(buffer: datagram.data))")
                context.writeAndFlush(
                    wrapOutboundOut(AddressedEnvelope(remoteAddress: datagram.remoteAddress, data: answer)),
                    promise: nil)
            }

            func errorCaught(context: ChannelHandlerContext, error: any Error) {}
        }
    }

    static let address = "127.96.77.1"

    static func serve(
        _ proxy: ProxyFixture, _ port: Int, _ endpoints: [String], affinity: Int = 0
    ) async throws -> [ListenFailure] {
        try await proxy.proxy.apply(
            RoutingTable(
                backends: [.init(name: "n/s:53/UDP", endpoints: endpoints)],
                services: [
                    .init(address: address, port: port, backend: 0, isUDP: true, affinitySeconds: affinity)
                ]))
    }

    @Test func answersFindTheirWayBack() async throws {
        try await withProxy { proxy in
            let endpoint = try await Peer(name: "a")
            #expect(try await Self.serve(proxy, 5301, [endpoint.endpoint]) == [])
            let clients = [try await Peer(), try await Peer()]
            for (number, client) in clients.enumerated() {
                for text in ["one\(number)", String(repeating: "x", count: 20_000)] {
                    try await client.send(text, to: Self.address, 5301)
                    #expect(await client.next() == "a:\(text)")
                }
            }
            for peer in clients + [endpoint] { try await peer.close() }
        }
    }

    @Test func aClientWhoseEndpointGoesIsGivenAnother() async throws {
        try await withProxy { proxy in
            let (a, b) = (try await Peer(name: "a"), try await Peer(name: "b"))
            let client = try await Peer()
            #expect(try await Self.serve(proxy, 5302, [a.endpoint]) == [])
            #expect(try await client.ask("1", at: Self.address, 5302) == "a:1")
            _ = try await Self.serve(proxy, 5302, [b.endpoint])
            try await client.send("2", to: Self.address, 5302)
            #expect(await client.next("b:2") != nil)
            // One that refuses, though the table still names it, is passed over.
            _ = try await Self.serve(proxy, 5302, [a.endpoint, b.endpoint])
            let gone = a.endpoint
            try await a.close()
            _ = try await Self.serve(proxy, 5302, [gone, b.endpoint])
            for _ in 0..<4 {
                let other = try await Peer()
                #expect(try await other.ask("3", at: Self.address, 5302) == "b:3")
                try await other.close()
            }
            for peer in [client, b] { try await peer.close() }
        }
    }

    @Test func affinityHoldsByHostWhateverThePort() async throws {
        try await withProxy { proxy in
            var endpoints: [Peer] = []
            for name in ["a", "b", "c", "d"] { endpoints.append(try await Peer(name: name)) }
            let names = endpoints.map(\.endpoint)
            #expect(try await Self.serve(proxy, 5303, names, affinity: 60) == [])
            var heard: Set<String?> = []
            for _ in 0..<8 {
                let client = try await Peer()
                heard.insert(try await client.ask("1", at: Self.address, 5303))
                try await client.close()
            }
            #expect(heard.count == 1)
            _ = try await Self.serve(proxy, 5303, names)
            for _ in 0..<8 {
                let client = try await Peer()
                heard.insert(try await client.ask("1", at: Self.address, 5303))
                try await client.close()
            }
            #expect(heard.count > 1)
            for peer in endpoints { try await peer.close() }
        }
    }
}

/// Who stays with which endpoint.
@Suite struct SessionAffinityTests {
    static let endpoints = (1...5).map { "10.0.0.\($0):80" }
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func aClientStaysWhileItIsHeardOf() {
        var table = SessionAffinity()
        let first = table.endpoint(of: "1.1.1.1", backend: "b", among: Self.endpoints, seconds: 10, now: start)
        for step in 1...5 {
            let more = Self.endpoints + ["10.0.0.\(10 + step):80"]
            let now = start + .seconds(Int64(step * 9))
            #expect(table.endpoint(of: "1.1.1.1", backend: "b", among: more, seconds: 10, now: now) == first)
        }
        let others = Self.endpoints.filter { $0 != first }
        let second = table.endpoint(of: "1.1.1.1", backend: "b", among: others, seconds: 10, now: start)
        #expect(second != first && second != nil)
        #expect(table.endpoint(of: "1.1.1.1", backend: "b", among: [], seconds: 10, now: start) == nil)
    }

    @Test func clientsAreSpreadAndFoundAgainByAnother() {
        var (one, another) = (SessionAffinity(), SessionAffinity())
        var counts: [String: Int] = [:]
        for number in 0..<1000 {
            let client = "10.97.\(number / 250).\(number % 250)"
            let chosen = one.endpoint(of: client, backend: "b", among: Self.endpoints, seconds: 10, now: start)
            let same = another.endpoint(of: client, backend: "b", among: Self.endpoints, seconds: 10, now: start)
            #expect(chosen == same)
            counts[chosen ?? "", default: 0] += 1
        }
        #expect(counts.count == 5 && counts.values.allSatisfy { (140...260).contains($0) }, "\(counts)")
    }
}
