internal import Glibc
package import Logging
internal import NIOCore
internal import NIOPosix
package import Seams

/// The gateway as a process of its own: serves the last table it was given, whether or not a server is there, and takes
/// new ones over its control socket. It ends when it is asked to, by SIGTERM or over the socket, and for no other reason.
package struct GatewayProcess: Sendable {
    package struct Options: Sendable {
        /// Path of the control socket.
        package var socket: String
        package var host: String
        /// Zero picks a free port; the one used last where the address file still names it.
        package var port: Int
        package var stateFile: String
        package var addressFile: String
        package var loops: Int
        /// How long requests may take to finish at the end.
        package var grace: Duration = .seconds(10)

        package init(socket: String, host: String, port: Int, stateFile: String, addressFile: String, loops: Int) {
            self.socket = socket
            self.host = host
            self.port = port
            self.stateFile = stateFile
            self.addressFile = addressFile
            self.loops = loops
        }
    }

    /// What the process reacts to, one after the other.
    private enum Event: Sendable {
        case opened(ControlSender)
        case message(ControlMessage, ControlSender)
        case failuresChanged([ListenFailure])
        case terminate
    }

    private let options: Options
    private let clock: any Clock
    private let fileSystem: any FileSystem
    private let random: any RandomSource
    private let logger: Logger

    package init(
        options: Options, clock: any Clock, fileSystem: any FileSystem, random: any RandomSource, logger: Logger
    ) {
        self.options = options
        self.clock = clock
        self.fileSystem = fileSystem
        self.random = random
        self.logger = logger
    }

    /// Serves until asked to end. Throws when it cannot start: another gateway serves this socket, or the address is taken.
    package func run() async throws {
        let lock = try fileSystem.lock(options.socket + ".lock")
        defer { lock.release() }
        umask(0o077)
        if !OpenFiles.raiseLimit() { logger.warning("the limit on open files could not be raised") }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (events, feed) = AsyncStream.makeStream(of: Event.self)
        try await TerminationSignals.observe(on: group) { feed.yield(.terminate) }
        let proxy = ProxyServer(loops: options.loops, control: group.any(), random: random, logger: logger)
        proxy.setFailureObserver { feed.yield(.failuresChanged($0)) }

        let file = TableFile(path: options.stateFile, fileSystem: fileSystem)
        var service = Service(process: self, proxy: proxy, file: file)
        if let (generation, table) = file.load() { await service.restore(table, generation) }
        service.address = try await listen(proxy)
        try fileSystem.replaceFileUnsynced(
            options.addressFile, with: Array("\(service.address)\n".utf8), permissions: 0o600)
        let control = try await openControlSocket(group, feed)
        logger.info(
            "gateway serves", metadata: ["address": "\(service.address)", "generation": "\(service.generation)"])

        for await event in events { if await service.handle(event) { break } }

        logger.info("gateway ends")
        try? await control.close()  // closed already is closed too
        await proxy.stop(grace: options.grace, clock: clock)
        // A table outlives a crash, not an end: by the next start, its endpoints may belong to somebody else.
        file.remove()
        for path in [options.socket, options.addressFile] { try? fileSystem.remove(path) }  // gone is gone
        try await group.shutdownGracefully()
    }

    private func listen(_ proxy: ProxyServer) async throws -> String {
        if options.port == 0, let last = lastPort() {
            do { return Self.text(try await proxy.listen(host: options.host, port: last)) } catch {
                logger.info("the port used last is taken, picking another", metadata: ["port": "\(last)"])
            }
        }
        return Self.text(try await proxy.listen(host: options.host, port: options.port))
    }

    private static func text(_ address: SocketAddress) -> String {
        let host = address.ipAddress ?? ""
        return "\(host.contains(":") ? "[\(host)]" : host):\(address.port ?? 0)"
    }

    private func lastPort() -> Int? {
        guard let bytes = try? fileSystem.readFile(options.addressFile) else { return nil }  // the first start
        let text = String(decoding: bytes, as: UTF8.self)
        return text.split(separator: ":").last.flatMap { Int($0.filter(\.isNumber)) }
    }

    private func openControlSocket(
        _ group: MultiThreadedEventLoopGroup, _ feed: AsyncStream<Event>.Continuation
    ) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ControlChannel(
                            onOpen: { feed.yield(.opened($0)) },
                            onMessage: { feed.yield(.message($0, $1)) }))
                }
            }
            .bind(unixDomainSocketPath: options.socket, cleanupExistingSocketFile: true).get()
    }

    /// What the process knows while it serves. One task's own.
    private struct Service {
        let process: GatewayProcess
        let proxy: ProxyServer
        let file: TableFile
        var address = ""
        var generation: UInt64 = 0
        var failures: [ListenFailure] = []
        /// The server that speaks to us: always the one that connected last.
        var server: ControlSender?

        init(process: GatewayProcess, proxy: ProxyServer, file: TableFile) {
            self.process = process
            self.proxy = proxy
            self.file = file
        }

        mutating func restore(_ table: RoutingTable, _ generation: UInt64) async {
            do {
                failures = try await proxy.apply(table)
                self.generation = generation
            } catch {
                process.logger.warning("the saved table could not be put in force", metadata: ["error": "\(error)"])
            }
        }

        /// Answers true when the process is to end.
        mutating func handle(_ event: Event) async -> Bool {
            switch event {
            case .terminate: return true
            case .opened(let sender):
                server?.close()
                server = sender
                sender.send(
                    .hello(
                        ControlMessage.Hello(
                            protocolVersion: ControlMessage.protocolVersion, pid: Int(getpid()), address: address,
                            generation: generation, failures: failures)))
            case .failuresChanged(let failures):
                self.failures = failures
                server?.send(.acknowledged(generation: generation, failures: failures))
            case .message(let message, let sender):
                guard let server, server.isSame(as: sender) else { return false }
                return await handle(message, from: sender)
            }
            return false
        }

        private mutating func handle(_ message: ControlMessage, from sender: ControlSender) async -> Bool {
            switch message {
            case .table(let generation, let table):
                do {
                    failures = try await proxy.apply(table)
                    self.generation = generation
                } catch {
                    sender.send(.refused(generation: generation, message: "\(error)"))
                    return false
                }
                // Before it is acknowledged: a gateway that comes back serves what was confirmed.
                do { try file.save(table, generation: generation) } catch {
                    process.logger.warning("the table could not be saved", metadata: ["error": "\(error)"])
                }
                sender.send(.acknowledged(generation: generation, failures: failures))
            case .statisticsWanted:
                if let statistics = try? await proxy.statistics() {  // fails only when the loops have ended
                    sender.send(.statistics(statistics))
                }
            case .shutdown: return true
            case .hello, .acknowledged, .refused, .statistics: break
            }
            return false
        }
    }
}
