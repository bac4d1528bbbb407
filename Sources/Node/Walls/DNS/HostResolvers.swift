internal import NIOCore
internal import NIOPosix
package import Seams

/// The resolvers of the host's own `/etc/resolv.conf`, one after the other. Each question goes out from a port and with a
/// number of its own, so that nobody answers in their place; an answer that was cut short is asked for by connection.
package struct HostResolvers: DNSUpstream {
    private let path: String
    private let port: Int
    private let clock: any Clock
    private let random: any RandomSource

    package init(
        path: String = "/etc/resolv.conf", port: Int = 53, clock: any Clock, random: any RandomSource
    ) {
        self.path = path
        self.port = port
        self.clock = clock
        self.random = random
    }

    package func ask(_ name: DNSName, _ type: DNSType) async -> DNSAnswer? {
        // Read each time: it changes when the machine's network does, and is a few lines.
        let servers = PodResolverConfiguration.servers(host: StateFiles.text(path) ?? "")
        var last: DNSAnswer?
        for server in servers.prefix(DNSLimits.upstreams) {
            guard let answer = await ask(server, name, type) else { continue }
            if answer.code == DNSCode.noError.rawValue || answer.code == DNSCode.noSuchName.rawValue { return answer }
            last = answer
        }
        return last
    }

    private func ask(_ server: String, _ name: DNSName, _ type: DNSType) async -> DNSAnswer? {
        let id = UInt16(truncatingIfNeeded: random.next())
        let size = UInt16(DNSLimits.largestDatagramBytes)
        let extensions: [UInt8] = [0] + DNSType.opt.rawValue.bytes + size.bytes + [0, 0, 0, 0, 0, 0]
        let question =
            id.bytes + [1, 0, 0, 1, 0, 0, 0, 0, 0, 1] + name.bytes + type.rawValue.bytes + [0, 1] + extensions
        @Sendable func isMeant(_ answer: DNSAnswer) -> Bool {
            answer.id == id && answer.name == name && answer.type == type
        }
        let byDatagram = await limited { try await self.exchangeDatagram(server, question, until: isMeant) }
        guard let byDatagram, byDatagram.isTruncated else { return byDatagram }
        return await limited { try await self.exchange(server, question) }.flatMap { isMeant($0) ? $0 : nil }
            ?? byDatagram
    }

    private func exchangeDatagram(
        _ server: String, _ question: [UInt8], until isMeant: @Sendable (DNSAnswer) -> Bool
    ) async throws -> DNSAnswer? {
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: server, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>>(
                        wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            guard let address = channel.channel.remoteAddress else { return nil }
            try await outbound.write(AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: question)))
            for try await datagram in inbound {
                // What cannot be read, and what answers something else, was not sent by the resolver.
                if let answer = try? DNSAnswer(Array(datagram.data.readableBytesView)), isMeant(answer) {
                    return answer
                }
            }
            return nil
        }
    }

    private func exchange(_ server: String, _ question: [UInt8]) async throws -> DNSAnswer? {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: server, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: UInt16(question.count).bytes + question))
            var buffer = ByteBuffer()
            for try await part in inbound {
                buffer.writeImmutableBuffer(part)
                if let length = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self),
                    let bytes = buffer.getBytes(at: buffer.readerIndex + 2, length: Int(length))
                {
                    return try DNSAnswer(bytes)
                }
            }
            return nil
        }
    }

    /// `nil` where it fails, or takes too long.
    private func limited(_ work: @escaping @Sendable () async throws -> DNSAnswer?) async -> DNSAnswer? {
        await withTaskGroup(of: DNSAnswer?.self) { tasks in
            tasks.addTask { try? await work() }  // Why a resolver does not answer is of no use to who asked.
            tasks.addTask {
                try? await self.clock.sleep(for: DNSLimits.upstreamTimeout)  // Cancelled: the answer has come.
                return nil
            }
            defer { tasks.cancelAll() }
            return await tasks.next() ?? nil
        }
    }
}
