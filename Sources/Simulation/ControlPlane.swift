package import APIServer
package import Client
package import ControlLoop
package import Documents
internal import Logging
internal import Reconcilers
internal import Seams
package import Store

/// How loops, agents and people reach the API: in its process, as with `serve`, or by HTTP, as with `operate`.
package enum Mode: String, CaseIterable, Sendable { case embedded, remote }

/// The whole control plane in one thread under a seed: the real store on a simulated disk, the real API, the real loops, a
/// node and a gateway that do as the test says, and virtual time. The same seed runs the same way; once everybody has been
/// put on the other side of a socket, it ends the same way.
package final class ControlPlane {
    package let seed: UInt64
    package let clock = SimulatedClock()
    package let random: SeededRandom
    package private(set) var disk: CrashingDisk
    package private(set) var store: Keyspace
    package private(set) var pipeline: APIPipeline
    /// What the loops write through.
    package private(set) var loopClient: CrashingClient
    package private(set) var engine: Engine
    package var node: FakeNode
    package var gateway: FakeGateway
    /// Every change the store has made since the start, as one hash.
    package private(set) var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    private let keys: SealingKeys
    private let bundled: BundledDefinitions
    private let decidesTwice: Bool
    private var cursor: Cursor
    private var stepsToPowerCut: Int?
    private var server: LoopbackServer?
    /// The newest revision of each resource.
    private var newest: [GroupResource: UInt64] = [:]
    private static let directory = "/data"

    /// `decidesTwice` has every decision taken twice and compared, which costs more than everything else a loop does.
    package init(seed: UInt64, bundled: BundledDefinitions, decidesTwice: Bool = true) throws {
        self.seed = seed
        self.decidesTwice = decidesTwice
        self.bundled = bundled
        random = SeededRandom(seed: seed)
        disk = CrashingDisk(random: random)
        keys = .ephemeral()
        (store, pipeline) = try Self.open(disk, clock, random, keys, bundled)
        loopClient = CrashingClient(InProcessClient(pipeline: pipeline))
        engine = Self.engine(loopClient, decidesTwice)
        node = FakeNode(client: InProcessClient(pipeline: pipeline))
        gateway = FakeGateway(client: InProcessClient(pipeline: pipeline))
        cursor = try store.watch(prefixes: [[]], after: store.sequencedRevision, visibility: .sequenced)
    }

    private static func open(
        _ disk: CrashingDisk, _ clock: SimulatedClock, _ random: SeededRandom, _ keys: SealingKeys,
        _ bundled: BundledDefinitions
    ) throws -> (Keyspace, APIPipeline) {
        var configuration = StoreConfiguration()
        configuration.committing = .inline
        let store = try Keyspace.open(
            directory: directory, fileSystem: disk, clock: clock, keys: keys, configuration: configuration)
        let pipeline = try APIPipeline(store: store, clock: clock, random: random, bundled: bundled)
        return (store, pipeline)
    }

    private static func engine(_ client: any Client, _ decidesTwice: Bool) -> Engine {
        let settings = LoopSettings(secretKey: Array(repeating: 7, count: 32), publicPort: 8080)
        let reconcilers = Loops.reconcilers(settings)
        return Engine(
            client: client, reconcilers: decidesTwice ? reconcilers.map(\.twice) : reconcilers,
            logger: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() })
    }

    deinit { server?.stop() }

    /// A client as a person has one.
    package var client: any Client { server?.client ?? InProcessClient(pipeline: pipeline) }

    /// Serves the API on a socket of this machine, and has everybody reach it there from now on.
    package func serve() async throws {
        server = try await LoopbackServer.start(pipeline)
        restartLoops()
        node = FakeNode(client: client)
        gateway = FakeGateway(client: client)
    }

    /// Kills the loops and starts them again; the API, the node and the gateway live on. `crash` is where they die next.
    package func restartLoops(crash: CrashPoint? = nil) {
        engine.disconnect()
        loopClient = CrashingClient(client, crash: crash)
        engine = Self.engine(loopClient, decidesTwice)
    }

    /// Kills the loops and starts them with a client of the test's choice.
    package func restartLoops(with client: any Client) {
        engine.disconnect()
        loopClient = CrashingClient(client)
        engine = Self.engine(loopClient, decidesTwice)
    }

    /// The resources the loops watch.
    package var watchedResources: [GroupResource] { engine.watchedResources }

    /// Cuts the power: what was not on disk is gone or not, as the seed decides, and everything starts again.
    package func cutPower() throws {
        precondition(server == nil, "the power of a plane with a socket is not cut")
        engine.disconnect()
        let fate = (node.fate, node.startTime, gateway.confirms, gateway.delay)
        disk = disk.restarted()
        (store, pipeline) = try Self.open(disk, clock, random, keys, bundled)
        restartLoops()
        node = FakeNode(client: InProcessClient(pipeline: pipeline))
        gateway = FakeGateway(client: InProcessClient(pipeline: pipeline))
        (node.fate, node.startTime, gateway.confirms, gateway.delay) = fate
        cursor = try store.watch(prefixes: [[]], after: store.sequencedRevision, visibility: .sequenced)
    }

    /// Cuts the power after this many more steps.
    package func powerCutIn(steps: Int) { stepsToPowerCut = steps }

    /// Lets one actor, drawn by the seed, do one thing. False when nobody has anything to do at this time.
    package func step() async throws -> Bool {
        if let steps = stepsToPowerCut {
            stepsToPowerCut = steps > 1 ? steps - 1 : nil
            if steps <= 1 { try cutPower() }
        }
        let first = random.next(below: 5)
        for offset in 0..<5 {
            let didWork = try await act((first + offset) % 5)
            if loopClient.isDead { restartLoops() }
            if didWork {
                record()
                return true
            }
        }
        return await waitForWatches()
    }

    /// What was written takes a moment to come through sockets. True when there was something to wait for.
    private func waitForWatches() async -> Bool {
        if server == nil { return false }
        record()
        for case let stream as HTTPWatch in [engine.currentStream, node.stream, gateway.stream]
        where stream.isBehind(newest) {
            await stream.wait()
            return true
        }
        return false
    }

    private func act(_ actor: Int) async throws -> Bool {
        let now = clock.now()
        switch actor {
        case 0:
            return await engine.step(now: now) == .worked
        case 1: return try await node.step(now: now)
        case 2: return try await gateway.step(now: now)
        case 3:
            let before = store.sequencedRevision
            let more = pipeline.tidy(limit: 1)
            return more || store.sequencedRevision != before
        default:
            if store.durableRevision == store.sequencedRevision { return false }
            store.flush()
            return true
        }
    }

    private func record() {
        guard let changes = try? cursor.poll() else { return }  // compacted: the trace goes on from there
        for change in changes {
            newest[change.key.objectKey.resource] = change.revision.rawValue
            trace = (trace ^ StableHash.of(change.key.bytes)) &* 0x100_0000_01b3
            // A simulated disk whose values cannot be read has no trace to compare.
            let value = (try? change.value)?.array ?? []
            trace = (trace ^ StableHash.of(value)) &* 0x100_0000_01b3
        }
    }

    /// Runs until nobody has anything to do at this time. Fails after `limit` steps: something never comes to rest.
    package func settle(limit: Int = 20_000) async throws {
        for _ in 0..<limit where try await !step() { return }
        throw APIError(code: 500, reason: .internalError, message: "no rest after \(limit) steps (seed \(seed))")
    }

    /// Lets time pass, stopping wherever somebody is due.
    package func run(for duration: Duration) async throws {
        let end = clock.now() + duration
        try await settle()
        while let next = nextTimer, next <= end {
            if next > clock.now() { clock.advance(by: next - clock.now()) }
            try await settle()
            if let again = nextTimer, again <= clock.now() { clock.advance(by: .milliseconds(1)) }
        }
        if clock.now() < end { clock.advance(by: end - clock.now()) }
        try await settle()
    }

    private var nextTimer: Instant? { [node.nextTimer, gateway.nextTimer, engine.nextTimer].compactMap { $0 }.min() }
}
