import NIOCore
import NIOPosix
import Synchronization

/// One end of a TCP connection, for tests: sends text, waits for text. Any task.
final class Wire: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isEnded = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    struct Ended: Error, CustomStringConvertible {
        var received: String
        var description: String { "the connection ended; received until then: \(received)" }
    }

    private let channel: Mutex<(any Channel)?> = Mutex(nil)
    private let state = Mutex(State())

    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    static func connect(_ port: Int, host: String = "127.0.0.1", receiveBuffer: Int? = nil) async throws -> Wire {
        let wire = Wire()
        var bootstrap = ClientBootstrap(group: group).channelOption(.allowRemoteHalfClosure, value: true)
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBuffer))
        }
        let channel =
            try await bootstrap
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(wire.handler) }
            }
            .connect(host: host, port: port).get()
        wire.channel.withLock { $0 = channel }
        return wire
    }

    var handler: some ChannelHandler { Handler(wire: self) }
    func adopt(_ channel: any Channel) { self.channel.withLock { $0 = channel } }

    private final class Handler: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let wire: Wire
        init(wire: Wire) { self.wire = wire }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            wire.change { $0.bytes += unwrapInboundIn(data).readableBytesView }
        }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? ChannelEvent, event == .inputClosed { wire.change { $0.isEnded = true } }
        }
        func channelInactive(context: ChannelHandlerContext) { wire.change { $0.isEnded = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiter = state.withLock { state in
            body(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }
    func send(_ bytes: [UInt8]) async throws {
        guard let channel = channel.withLock({ $0 }) else { return }
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }
    func closeOutput() async throws { try await channel.withLock { $0 }?.close(mode: .output).get() }
    func close() { channel.withLock { $0 }?.close(promise: nil) }
    /// Stops taking bytes in, as a slow peer does.
    func setReading(_ isReading: Bool) async throws {
        try await channel.withLock { $0 }?.setOption(.autoRead, value: isReading).get()
    }
    var received: Int { state.withLock { $0.bytes.count } }
    var isEnded: Bool { state.withLock { $0.isEnded } }

    /// Waits until `isEnough` holds or the peer has ended; what it answers is removed from the buffer.
    private func take(_ length: @escaping @Sendable ([UInt8]) -> Int?) async throws -> [UInt8] {
        while true {
            let outcome: Result<[UInt8], Ended>? = state.withLock { state in
                if let count = length(state.bytes) {
                    let taken = Array(state.bytes[..<count])
                    state.bytes.removeFirst(count)
                    return .success(taken)
                }
                return state.isEnded ? .failure(Ended(received: String(decoding: state.bytes, as: UTF8.self))) : nil
            }
            if let outcome { return try outcome.get() }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.isEnded || length(state.bytes) != nil { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    /// Everything up to and including `marker`.
    func read(until marker: String) async throws -> String {
        let wanted = Array(marker.utf8)
        return String(
            decoding: try await take { bytes in
                guard bytes.count >= wanted.count else { return nil }
                for start in 0...(bytes.count - wanted.count)
                where bytes[start..<(start + wanted.count)].elementsEqual(wanted) {
                    return start + wanted.count
                }
                return nil
            }, as: UTF8.self)
    }

    func read(count: Int) async throws -> [UInt8] { try await take { $0.count >= count ? count : nil } }

    /// Everything until the peer ends.
    func readToEnd() async -> String {
        do {
            _ = try await take { _ in nil }
        } catch let ended as Ended {
            return ended.received
        } catch {}
        return ""
    }

    /// A head and a body of Content-Length.
    func readResponse() async throws -> (head: String, body: String) {
        let head = try await read(until: "\r\n\r\n")
        let line = head.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
        let length = line.flatMap { Int($0.split(separator: ":")[1].filter(\.isNumber)) } ?? 0
        return (head, String(decoding: try await read(count: length), as: UTF8.self))
    }

    func get(_ path: String = "/", host: String = "a.test", more: String = "") async throws -> (
        head: String, body: String
    ) {
        try await send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\(more)\r\n")
        return try await readResponse()
    }
}

/// A server on a free loopback port that runs a script for each connection.
final class ScriptedServer: Sendable {
    private final class Shared: Sendable {
        let script: @Sendable (Wire) async throws -> Void
        let opened = Mutex<[Wire]>([])
        init(script: @escaping @Sendable (Wire) async throws -> Void) { self.script = script }
    }

    let port: Int
    private let channel: any Channel
    private let shared: Shared

    private init(channel: any Channel, shared: Shared) {
        self.channel = channel
        self.shared = shared
        port = channel.localAddress?.port ?? 0
    }

    static func start(_ script: @escaping @Sendable (Wire) async throws -> Void) async throws -> ScriptedServer {
        let shared = Shared(script: script)
        let channel = try await ServerBootstrap(group: Wire.group)
            .serverChannelOption(.backlog, value: 512)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let wire = Wire()
                wire.adopt(channel)
                shared.opened.withLock { $0.append(wire) }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(wire.handler)
                    Task { try? await shared.script(wire) }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ScriptedServer(channel: channel, shared: shared)
    }

    var connections: Int { shared.opened.withLock { $0.count } }
    var endpoint: String { "127.0.0.1:\(port)" }

    func stop() async {
        await stopListening()
        for wire in shared.opened.withLock({ $0 }) { wire.close() }
    }

    /// Stops accepting; connections that are there stay.
    func stopListening() async { try? await channel.close().get() }
}

/// Answers every request without a body with its name, until its peer ends.
func answering(_ name: String) -> @Sendable (Wire) async throws -> Void {
    { wire in
        while true {
            _ = try await wire.read(until: "\r\n\r\n")
            try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: \(name.utf8.count)\r\n\r\n\(name)")
        }
    }
}
