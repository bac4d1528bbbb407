package import Client
internal import Documents
package import Logging
internal import NIOCore
internal import NIOPosix
package import Seams
internal import Synchronization

/// The server's side of the gateway: starts the gateway process or adopts the one that is there, sends it the table that
/// follows from HTTPRoutes, Services and EndpointSlices, and writes into each route what became of it.
///
/// Start it with `launch`, which answers once the gateway serves, and keep it going with `run`. When `run` is cancelled
/// the gateway goes on serving its last table; `stopGateway` ends it.
package final class GatewayAgent: Sendable {
    /// What the agent reacts to, one after the other.
    private enum Event: Sendable {
        case documents([WatchEvent], isFirst: Bool)
        case message(ControlMessage, ControlSender)
        case linkLost(String)
        case retry
    }

    private struct Link: Sendable {
        var sender: ControlSender?
        var hello: ControlMessage.Hello?
        var pid: Int32?
    }

    private let configuration: GatewayConfiguration
    private let client: any Client
    private let clock: any Clock
    private let logger: Logger
    private let launcher: GatewayLauncher
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let link = Mutex(Link())
    private let events: AsyncStream<Event>
    private let feed: AsyncStream<Event>.Continuation

    package init(configuration: GatewayConfiguration, client: any Client, clock: any Clock, logger: Logger) {
        self.configuration = configuration
        self.client = client
        self.clock = clock
        self.logger = logger
        launcher = GatewayLauncher(configuration: configuration)
        (events, feed) = AsyncStream.makeStream(of: Event.self)
    }

    /// `address:port` on which the gateway serves routes; `nil` before `launch` has returned.
    package var address: ListenAddress? { link.withLock { $0.hello.flatMap { ListenAddress($0.address) } } }

    // MARK: Starting or adopting

    /// Adopts the gateway that serves this data directory, or starts one. Answers the address it serves on.
    @discardableResult
    package func launch() async throws -> ListenAddress {
        if let address = try await adopt() { return address }
        for _ in 0..<3 {
            let pid = try launcher.start()
            link.withLock { $0.pid = pid }
            let deadline = clock.monotonic() + .seconds(10)
            while clock.monotonic() < deadline {
                if let address = try await connect() { return address }
                if launcher.reap(pid) { break }
                try await clock.sleep(for: .milliseconds(5))
            }
            // It ended, or hangs: perhaps because one that no longer answers still holds the socket's lock.
            launcher.killStray()
            _ = launcher.reap(pid)
        }
        throw GatewayMessageError(message: "the gateway does not start; its last words are in \(configuration.logPath)")
    }

    /// Connects to a gateway of an earlier server. One that speaks another protocol or serves another address is ended.
    private func adopt() async throws -> ListenAddress? {
        guard let address = try await connect() else {
            launcher.killStray()
            return nil
        }
        let (hello, sender) = link.withLock { ($0.hello, $0.sender) }
        let wanted = ListenAddress(configuration.listen)
        let isWanted = wanted.map { $0.host == address.host && ($0.port == 0 || $0.port == address.port) } ?? true
        if hello?.protocolVersion == ControlMessage.protocolVersion, isWanted {
            logger.info("adopted the gateway", metadata: ["pid": "\(hello?.pid ?? 0)", "address": "\(address)"])
            return address
        }
        logger.info(
            "the gateway that is there is replaced", metadata: ["pid": "\(hello?.pid ?? 0)", "address": "\(address)"])
        sender?.send(.shutdown)
        await waitUntilGone(for: .seconds(12))
        return nil
    }

    /// One attempt to connect. `nil` where nobody answers.
    private func connect() async throws -> ListenAddress? {
        let feed = feed
        let hello = group.any().makePromise(of: ControlMessage.Hello.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: group)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            ControlChannel(
                                onMessage: { message, sender in
                                    if case .hello(let greeting) = message { hello.succeed(greeting) }
                                    feed.yield(.message(message, sender))
                                },
                                onClose: { reason in
                                    hello.fail(GatewayMessageError(message: reason))
                                    feed.yield(.linkLost(reason))
                                }))
                    }
                }
                .connect(unixDomainSocketPath: configuration.socketPath).get()
        } catch {
            hello.fail(error)
            return nil
        }
        let timeout = group.any().scheduleTask(in: .seconds(2)) {
            hello.fail(GatewayMessageError(message: "no greeting within two seconds"))
        }
        defer { timeout.cancel() }
        let greeting: ControlMessage.Hello
        do { greeting = try await hello.futureResult.get() } catch {
            channel.close(promise: nil)
            return nil
        }
        link.withLock {
            $0.sender = ControlSender(channel: channel)
            $0.hello = greeting
        }
        return ListenAddress(greeting.address)
    }

    // MARK: Running

    /// Keeps gateway and documents in step until cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.watch() }
            group.addTask { await self.react() }
        }
    }

    /// Feeds watch events, and starts over whenever a watch ends.
    private func watch() async {
        while !Task.isCancelled {
            do {
                let stream = try await client.watch(
                    GatewayPlan.watched,
                    options: WatchOptions(visibility: .durable))
                defer { stream.cancel() }
                feed.yield(.documents(try stream.poll(), isFirst: true))
                while !Task.isCancelled {
                    await stream.wait()
                    let events = try stream.poll()
                    if !events.isEmpty { feed.yield(.documents(events, isFirst: false)) }
                }
            } catch {
                logger.warning("the gateway's watch ended, starting again", metadata: ["error": "\(error)"])
                do { try await clock.sleep(for: .milliseconds(200)) } catch { return }
            }
        }
    }

    private func react() async {
        var plan = GatewayPlan()
        var isLinked = false
        var retryPause = Duration.milliseconds(100)
        for await event in events {
            if Task.isCancelled { return }
            switch event {
            case .documents(let documents, let isFirst): plan.onEvents(documents, isFirst: isFirst)
            case .message(let message, let sender):
                guard link.withLock({ $0.sender?.isSame(as: sender) ?? true }) else { continue }
                if case .hello = message { isLinked = true }
                take(message, &plan)
            case .linkLost(let reason):
                guard isLinked, link.withLock({ $0.sender?.channel.isActive != true }) else { continue }
                isLinked = false
                plan.onLinkLost()
                logger.warning("the gateway is gone, starting it again", metadata: ["reason": "\(reason)"])
                await relaunch()
            case .retry: break
            }
            if let (generation, table) = plan.nextTable() {
                link.withLock { $0.sender }?.send(.table(generation: generation, table))
            }
            if await writeStatuses(&plan) {
                retryPause = .milliseconds(100)
            } else {
                retryLater(retryPause)
                retryPause = min(retryPause * 2, .seconds(5))
            }
        }
    }

    private func take(_ message: ControlMessage, _ plan: inout GatewayPlan) {
        switch message {
        case .hello(let hello): plan.onLinked(generation: hello.generation)
        case .acknowledged(let generation, let failures):
            for failure in failures {
                logger.warning(
                    "a service address cannot be opened",
                    metadata: ["address": "\(failure.address)", "error": "\(failure.message)"])
            }
            plan.onAcknowledged(generation: generation)
        case .refused(let generation, let message):
            logger.error(
                "the gateway refused a table", metadata: ["generation": "\(generation)", "error": "\(message)"])
            plan.onRefused(generation: generation)
        case .table, .statisticsWanted, .statistics, .shutdown: break
        }
    }

    private func relaunch() async {
        if let pid = link.withLock({ $0.pid }) { _ = launcher.reap(pid) }
        while !Task.isCancelled {
            do {
                try await launch()
                return
            } catch {
                logger.error("the gateway does not start", metadata: ["error": "\(error)"])
                do { try await clock.sleep(for: .seconds(1)) } catch { return }
            }
        }
    }

    /// Writes what routes should say of themselves; answers false where some must be tried again.
    private func writeStatuses(_ plan: inout GatewayPlan) async -> Bool {
        var options = WriteOptions(fieldManager: "espalier-gateway")
        options.force = true
        var isDone = true
        for (key, uid, document) in plan.nextStatuses(now: clock.now()) {
            do throws(APIError) {
                _ = try await client.apply(document, subresource: .status, options: options)
            } catch  where error.reason == .notFound {
                continue
            } catch  where error.reason == .conflict {
                // It has changed meanwhile; what it is now is on its way here.
                plan.onWriteFailed(key, uid: uid)
                isDone = false
            } catch {
                logger.warning(
                    "a route's status could not be written", metadata: ["route": "\(key)", "error": "\(error)"])
                plan.onWriteFailed(key, uid: uid)
                isDone = false
            }
        }
        return isDone
    }

    /// Bridges a timer into the event stream; ends with it.
    private func retryLater(_ pause: Duration) {
        let feed = feed
        group.any().scheduleTask(in: .nanoseconds(pause.wholeNanoseconds)) { feed.yield(.retry) }
    }

    // MARK: Stopping

    /// Asks the gateway to finish its requests and end, and waits until it has. After `run` was cancelled.
    package func stopGateway() async {
        link.withLock { $0.sender }?.send(.shutdown)
        await waitUntilGone(for: .seconds(15))
        await leaveGateway()
    }

    /// Lets go of the gateway, which goes on serving. After `run` was cancelled; the agent is of no use afterwards.
    package func leaveGateway() async {
        link.withLock { $0.sender }?.close()
        do { try await group.shutdownGracefully() } catch {
            logger.warning("the gateway link's event loop did not end", metadata: ["error": "\(error)"])
        }
    }

    private func waitUntilGone(for limit: Duration) async {
        let deadline = clock.monotonic() + limit
        while clock.monotonic() < deadline {
            if let pid = link.withLock({ $0.pid }) { _ = launcher.reap(pid) }
            if launcher.strays().isEmpty { return }
            do { try await clock.sleep(for: .milliseconds(10)) } catch { break }
        }
        launcher.killStray()
    }
}
