internal import NIOCore
internal import Seams

/// Everything one event loop needs to serve requests by itself: the table in force, endpoints with their idle
/// connections, counters, and the connections it serves. No request ever hops to another loop.
// SAFETY: every member but `eventLoop` is touched on `eventLoop` only.
final class ProxyLoop: @unchecked Sendable {
    /// The rule of a request as this loop sees it.
    final class Rule {
        let rule: RoutingTable.Rule
        let backends: [Backend]
        var draw: WeightedDraw

        init(rule: RoutingTable.Rule, backends: [Backend], draw: WeightedDraw) {
            self.rule = rule
            self.backends = backends
            self.draw = draw
        }

        /// The backend that takes the next request. A backend without a ready endpoint gives its share to the others.
        func drawBackend() -> Backend? {
            if backends.count == 1 { return rule.backends[0].weight > 0 ? backends[0] : nil }
            guard let drawn = draw.next(rule.backends.lazy.map(\.weight)) else { return nil }
            let backend = backends[drawn]
            if !backend.endpoints.isEmpty || backend.isMissing { return backend }
            let weights = rule.backends.indices.map { backends[$0].endpoints.isEmpty ? 0 : rule.backends[$0].weight }
            return draw.next(weights).map { backends[$0] } ?? backend
        }
    }

    let eventLoop: any EventLoop
    let timeouts: GatewayTimeouts
    private let random: any RandomSource

    private(set) var index: RouteIndex
    private(set) var rules: [Rule] = []
    private var backends: [Backend] = []
    private var backendsByName: [String: Backend] = [:]
    private var endpointsByName: [String: Endpoint] = [:]

    /// Parsed into again and again; valid within one call only.
    var requestHead = RequestHead()
    var responseHead = ResponseHead()
    /// Written into again and again: once a write has gone out, nobody else holds its bytes.
    var scratch: ByteBuffer

    /// The clock for time-outs, good to one tick.
    private(set) var now = NIODeadline.now()
    private var connections: [any ProxiedConnection] = []
    private var ticking: Scheduled<Void>?
    private(set) var isDraining = false
    /// Whether there ever was a table: before, nothing is known of any host.
    private(set) var hasTable = false
    /// Requests answered without a backend: no route, bad request, no endpoint.
    var unrouted = 0

    init(eventLoop: any EventLoop, timeouts: GatewayTimeouts, random: any RandomSource) {
        self.eventLoop = eventLoop
        self.timeouts = timeouts
        self.random = random
        index = RouteIndex(RoutingTable())
        scratch = ByteBufferAllocator().buffer(capacity: 4096)
    }

    // MARK: The table

    /// Puts a table in force, in one step between two events. Requests under way keep what they have.
    func swap(to index: RouteIndex) {
        let table = index.table
        var endpoints: [String: Endpoint] = [:]
        backends = table.backends.map { wanted in
            let backend = backendsByName[wanted.name] ?? Backend(name: wanted.name)
            backend.isMissing = wanted.isMissing
            backend.endpoints = wanted.endpoints.map { name in
                let endpoint = endpoints[name] ?? endpointsByName[name] ?? Endpoint(name: name)
                endpoint.revive()
                endpoints[name] = endpoint
                return endpoint
            }
            return backend
        }
        backendsByName = Dictionary(backends.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (name, endpoint) in endpointsByName where endpoints[name] == nil { endpoint.retire() }
        endpointsByName = endpoints
        let old = Dictionary(rules.map { ($0.rule.name, $0.draw) }, uniquingKeysWith: { first, _ in first })
        rules = table.rules.map { rule in
            Rule(
                rule: rule, backends: rule.backends.map { backends[$0.backend] },
                draw: old[rule.name] ?? WeightedDraw(seed: random.next()))
        }
        self.index = index
        hasTable = true
    }

    func backend(named name: String) -> Backend? { backendsByName[name] }

    // MARK: Connections

    /// Serves a connection's time-outs until `remove`.
    func add(_ connection: any ProxiedConnection) {
        connection.slot = connections.count
        connections.append(connection)
        if ticking == nil {
            now = .now()
            tickLater()
        }
    }

    func remove(_ connection: any ProxiedConnection) {
        let slot = connection.slot
        guard slot >= 0, slot < connections.count, connections[slot] === connection else { return }
        let last = connections.removeLast()
        if last !== connection {
            connections[slot] = last
            last.slot = slot
        }
        connection.slot = -1
    }

    private func tickLater() {
        ticking = eventLoop.assumeIsolated().scheduleTask(in: timeouts.tick) { self.tick() }
    }

    private func tick() {
        now = .now()
        for connection in connections { connection.onTick(now: now) }
        let before = now - timeouts.upstreamIdle
        for endpoint in endpointsByName.values { endpoint.closeIdle(before: before) }
        if connections.isEmpty { ticking = nil } else { tickLater() }
    }

    /// No further requests on connections that are there; answers when the last one has gone.
    func drain() {
        isDraining = true
        for connection in connections { connection.onDrain() }
    }

    func closeAll() {
        for connection in connections { connection.onDeadline() }
        for endpoint in endpointsByName.values { endpoint.retire() }
    }

    var connectionsOpen: Int { connections.count }

    // MARK: Counters

    func statistics() -> GatewayStatistics {
        var result = GatewayStatistics()
        result.connections = connections.count
        result.unrouted = unrouted
        for backend in backends {
            var entry = GatewayStatistics.Entry(counters: backend.counters)
            entry.inFlight = backend.endpoints.reduce(0) { $0 + $1.inFlight }
            result.backends[backend.name] = entry
        }
        return result
    }
}

/// A connection whose time-outs a `ProxyLoop` watches over. On its event loop only.
protocol ProxiedConnection: AnyObject {
    /// Its place in the loop's list; the loop's to change.
    var slot: Int { get set }
    func onTick(now: NIODeadline)
    /// The process is about to end: finish what is under way, take nothing new.
    func onDrain()
    /// The process ends now.
    func onDeadline()
}

/// What the gateway has done since it started. Measurements stay here; only verdicts become documents.
package struct GatewayStatistics: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var counters: BackendCounters
        package var inFlight = 0
        package init(counters: BackendCounters) { self.counters = counters }
    }

    package var connections = 0
    package var unrouted = 0
    package var backends: [String: Entry] = [:]

    package init() {}

    package mutating func add(_ other: GatewayStatistics) {
        connections += other.connections
        unrouted += other.unrouted
        for (name, entry) in other.backends {
            backends[name, default: Entry(counters: BackendCounters())].counters.add(entry.counters)
            backends[name]?.inFlight += entry.inFlight
        }
    }
}
