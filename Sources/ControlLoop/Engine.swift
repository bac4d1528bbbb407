package import Client
package import Documents
package import Logging
package import Seams

/// Runs reconcilers: watches every kind they read, keeps one cache and one queue, and brings outcomes about through
/// `Client`. One owner drives it step by step: `EngineTask` in production, a seeded scheduler in simulation. It holds
/// nothing that a restart could not rebuild from the documents.
package struct Engine {
    /// One primary of one loop.
    struct Item: Hashable, Sendable {
        let loop: Int
        let name: PrimaryName
    }

    /// What a step did.
    package enum Progress: Sendable, Equatable {
        case worked
        /// Nothing to do before `until`, or before the next change where that is `nil`.
        case idle(until: Instant?)
    }

    let client: any Client
    let reconcilers: [any Reconciler]
    let logger: Logger
    package internal(set) var statistics = EngineStatistics()
    var cache = Cache()
    var queue = WorkQueue<Item>()
    var ownWrites = OwnWrites<Item>()
    /// What was last applied to each child, as a hash, with the child's UID: for lists in which the server fills in defaults.
    var remembered: [ObjectKey: (uid: String, hash: UInt64)] = [:]
    private var stream: (any WatchStream)?
    private var reconnectAt: Instant?
    private var reconnectFailures = 0
    private let jitter: @Sendable () -> Double
    private let primaries: [GroupResource: [Int]]
    private let interests: [GroupResource: [(loop: Int, interest: Interest)]]

    /// `jitter` is a number from 0 to 1, by how much longer to wait before connecting again: not all at once, where many
    /// lost the same server.
    package init(
        client: any Client, reconcilers: [any Reconciler], logger: Logger,
        jitter: @escaping @Sendable () -> Double = { 0 }
    ) {
        self.client = client
        self.jitter = jitter
        self.reconcilers = reconcilers
        self.logger = logger
        var primaries: [GroupResource: [Int]] = [:]
        var interests: [GroupResource: [(loop: Int, interest: Interest)]] = [:]
        for (index, reconciler) in reconcilers.enumerated() {
            primaries[reconciler.primary.resource, default: []].append(index)
            for interest in reconciler.interests { interests[interest.resource, default: []].append((index, interest)) }
        }
        self.primaries = primaries
        self.interests = interests
    }

    /// Takes in what changed, then reconciles at most one primary. Never throws: what fails is tried again later.
    package mutating func step(now: Instant) async -> Progress {
        guard await observe(now: now) else { return .idle(until: reconnectAt) }
        guard let item = queue.next(now: now) else { return .idle(until: queue.nextTimer) }
        if ownWrites.isWaiting(item) {
            if ownWrites.isOverdue(item, now: now) {
                logger.warning("own writes never seen, listing again", metadata: metadata(item))
                disconnect()
                return .worked
            }
            queue.add(item, at: ownWrites.deadline(item) ?? now)
            return .worked
        }
        await reconcile(item, now: now)
        return .worked
    }

    /// Every kind some loop reads, in a fixed order.
    package var watchedResources: [GroupResource] { Set(primaries.keys).union(interests.keys).sorted() }

    /// When something is due though nothing changes; `nil` where nothing is.
    package var nextTimer: Instant? { reconnectAt ?? queue.nextTimer }

    /// The running watch, to wait on between steps.
    package var currentStream: (any WatchStream)? { stream }

    package mutating func disconnect() {
        stream?.cancel()
        stream = nil
        cache = Cache()
        queue = WorkQueue()
        ownWrites = OwnWrites()
    }

    private mutating func observe(now: Instant) async -> Bool {
        if let reconnectAt, now < reconnectAt { return false }
        do {
            let stream = try await connected()
            let events = try stream.poll()
            reconnectAt = nil
            reconnectFailures = 0
            for event in events { take(event) }
            return true
        } catch {
            logger.warning("watch ended, starting again", metadata: ["error": "\(error)"])
            disconnect()
            let wait = ControlLoopLimits.firstBackOff * (1 << min(reconnectFailures, 20))
            reconnectAt = now + min(wait, ControlLoopLimits.longestBackOff) * (1 + jitter())
            reconnectFailures += 1
            return false
        }
    }

    private mutating func connected() async throws(APIError) -> any WatchStream {
        if let stream { return stream }
        let opened = try await client.watch(watchedResources, options: WatchOptions(visibility: .sequenced))
        stream = opened
        return opened
    }

    private mutating func take(_ event: WatchEvent) {
        let document = event.document
        let key = ObjectKey(event.resource, namespace: document.namespace, name: document.name)
        let previous = cache.apply(event)
        if event.kind == .deleted { remembered[key] = nil }
        for item in ownWrites.seen(key, cache.get(key)) { queue.add(item) }
        for loop in primaries[event.resource] ?? [] { queue.add(Item(loop: loop, name: PrimaryName(document))) }
        let view = View(cache)
        for (loop, interest) in interests[event.resource] ?? [] {
            for version in [previous, document].compactMap({ $0 }) {
                if interest.isChild, let owner = version.controller, owner.kind == reconcilers[loop].primary.kind {
                    queue.add(Item(loop: loop, name: PrimaryName(namespace: version.namespace, name: owner.name)))
                }
                for name in interest.trigger?(version, view) ?? [] { queue.add(Item(loop: loop, name: name)) }
            }
        }
    }

    func key(_ item: Item) -> ObjectKey {
        ObjectKey(reconcilers[item.loop].primary.resource, namespace: item.name.namespace, name: item.name.name)
    }

    func metadata(_ item: Item) -> Logger.Metadata {
        ["loop": "\(reconcilers[item.loop].owner.name)", "primary": "\(key(item))"]
    }
}

/// Counts of what an engine did since it started.
package struct EngineStatistics: Sendable, Equatable {
    package var reconciles = 0
    package var childWrites = 0
    package var childDeletes = 0
    package var primaryWrites = 0
    package var statusWrites = 0
    package var events = 0
    package var failures = 0

    /// Requests that may have changed something.
    package var writes: Int { childWrites + childDeletes + primaryWrites + statusWrites + events }
}
