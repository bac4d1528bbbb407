package import Logging
package import NIOCore
internal import NIOPosix
package import Seams
internal import Synchronization

/// The data plane: one listener for routes, one for each service address, and the event loops that serve them. Tables are
/// put in force on every loop before `apply` returns.
// SAFETY: `state` is touched on `control` only.
package final class ProxyServer: @unchecked Sendable {
    private struct State {
        var listeners = ServiceListenerSet()
        var channels: [ServiceListenerSet.Address: any Channel] = [:]
        /// Listeners on their way out.
        var closing = 0
        /// Kept when every address has been tried, and every one that was given up is closed.
        var settled: [EventLoopPromise<Void>] = []
        var isStopping = false
    }

    private let group: MultiThreadedEventLoopGroup
    private let control: any EventLoop
    private let loops: [ProxyLoop]
    private let connectionCount = ConnectionCount()
    private let logger: Logger
    /// Where each service address leads to; read by connections as they are accepted.
    private let targets = Mutex<[ServiceListenerSet.Address: ServiceTarget]>([:])
    private let affinity = SharedAffinity()
    private var state = State()
    private var listener: (any Channel)?
    /// Called on the control loop when the failures of service addresses have changed after an `apply`.
    private let onFailuresChanged = Mutex<(@Sendable ([ListenFailure]) -> Void)?>(nil)

    /// `control` is the loop on which listeners are looked after; `loops` threads serve requests.
    package init(
        loops count: Int, control: any EventLoop, timeouts: GatewayTimeouts = GatewayTimeouts(),
        random: any RandomSource,
        logger: Logger
    ) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: count)
        self.group = group
        self.control = control
        self.logger = logger
        loops = group.makeIterator().map {
            ProxyLoop(eventLoop: $0, timeouts: timeouts, random: random)
        }
    }

    /// Opens the routes' listener and answers its address.
    package func listen(host: String, port: Int) async throws -> SocketAddress {
        let channel = try await bootstrap { loop in ClientConnection(loop: loop) }.bind(host: host, port: port).get()
        try await control.submit { self.listener = channel }.get()
        guard let address = channel.localAddress else { throw ChannelError.unknownLocalAddress }
        return address
    }

    private func bootstrap(_ handler: @escaping @Sendable (ProxyLoop) -> some ChannelHandler) -> ServerBootstrap {
        let loops = loops
        let connectionCount = connectionCount
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let loop = loops.first(where: { $0.eventLoop === channel.eventLoop }), connectionCount.enter()
                    else {
                        throw ChannelError.operationUnsupported
                    }
                    channel.closeFuture.whenComplete { _ in connectionCount.leave() }
                    try channel.pipeline.syncOperations.addHandler(handler(loop))
                }
            }
    }

    // MARK: Tables

    /// Puts a table in force. Returns when every loop serves by it and every service address has been tried; answers
    /// the addresses that could not be opened, which are tried again later.
    package func apply(_ table: RoutingTable) async throws -> [ListenFailure] {
        let index = RouteIndex(table)
        var targets: [ServiceListenerSet.Address: ServiceTarget] = [:]
        for service in table.services {
            targets[ServiceListenerSet.Address(service)] = ServiceTarget(
                backend: table.backends[service.backend].name, affinitySeconds: service.affinitySeconds,
                affinity: affinity)
        }
        self.targets.withLock { $0 = targets }
        let swaps = loops.map { loop in loop.eventLoop.submit { loop.swap(to: index) } }
        for swap in swaps { try await swap.get() }
        let settled = control.makePromise(of: Void.self)
        control.execute {
            self.perform(self.state.listeners.onTable(table))
            self.state.settled.append(settled)
            self.checkSettled()
        }
        try await settled.futureResult.get()
        return try await control.submit { self.state.listeners.failures }.get()
    }

    /// Sets what is called when an address that could not be opened was opened after all, or the other way round.
    package func setFailureObserver(_ observer: @escaping @Sendable ([ListenFailure]) -> Void) {
        onFailuresChanged.withLock { $0 = observer }
    }

    private func perform(_ actions: [ServiceListenerSet.Action]) {
        for action in actions {
            switch action {
            case .open(let address): open(address)
            case .close(let address): close(address)
            case .retry(let milliseconds):
                control.assumeIsolated().scheduleTask(in: .milliseconds(Int64(milliseconds))) {
                    if !self.state.isStopping { self.perform(self.state.listeners.onRetry()) }
                }
            }
        }
    }

    private func open(_ address: ServiceListenerSet.Address) {
        let affinity = affinity
        let target = { @Sendable [weak self] in
            self?.targets.withLock { $0[address] } ?? ServiceTarget(backend: "", affinitySeconds: 0, affinity: affinity)
        }
        let binding =
            address.isUDP
            ? DatagramService.bind(address, on: loops[address.port % loops.count], target: target)
            : bootstrap { loop in ServiceConnection(loop: loop, target: target()) }
                .bind(host: address.host, port: address.port)
        binding.hop(to: control).assumeIsolated()
            .whenComplete { result in
                let before = self.state.listeners.failures
                switch result {
                case .success(let channel):
                    self.state.channels[address] = channel
                    self.perform(self.state.listeners.onOpened(address))
                case .failure(let error):
                    self.perform(self.state.listeners.onFailed(address, "\(error)"))
                }
                self.checkSettled()
                let after = self.state.listeners.failures
                if before != after, self.state.listeners.isSettled {
                    self.onFailuresChanged.withLock { $0 }?(after)
                }
            }
    }

    private func close(_ address: ServiceListenerSet.Address) {
        guard let channel = state.channels.removeValue(forKey: address) else { return }
        state.closing += 1
        channel.close().hop(to: control).assumeIsolated().whenComplete { _ in
            self.state.closing -= 1
            self.checkSettled()
        }
    }

    private func checkSettled() {
        guard state.listeners.isSettled, state.closing == 0 else { return }
        for promise in state.settled { promise.succeed() }
        state.settled = []
    }

    // MARK: Counters

    package func statistics() async throws -> GatewayStatistics {
        var sum = GatewayStatistics()
        for loop in loops { sum.add(try await loop.eventLoop.submit { loop.statistics() }.get()) }
        return sum
    }

    // MARK: The end

    /// Takes no new connection, lets requests finish for up to `grace`, then ends everything.
    package func stop(grace: Duration, clock: any Clock) async {
        control.execute {
            self.state.isStopping = true
            for channel in self.state.channels.values { channel.close(promise: nil) }
            self.state.channels = [:]
            self.listener?.close(promise: nil)
        }
        for loop in loops { loop.eventLoop.execute { loop.drain() } }
        let deadline = clock.monotonic() + grace
        while clock.monotonic() < deadline {
            var open = 0
            for loop in loops { open += (try? await loop.eventLoop.submit { loop.connectionsOpen }.get()) ?? 0 }
            if open == 0 { break }
            do { try await clock.sleep(for: .milliseconds(20)) } catch { break }
        }
        for loop in loops { loop.eventLoop.execute { loop.closeAll() } }
        do { try await group.shutdownGracefully() } catch {
            logger.warning("event loops did not end", metadata: ["error": "\(error)"])
        }
    }
}
