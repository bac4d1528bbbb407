internal import NIOCore

/// One endpoint as one event loop sees it: its idle connections, and how many requests it is working on. Lives as long as
/// a table names it or a request uses it; only its loop touches it.
final class Endpoint {
    let name: String
    let address: SocketAddress?
    var inFlight = 0
    /// No table names it any more: connections close as soon as their request is done.
    private(set) var isRetired = false
    /// A connection was refused; passed over until then while others are there.
    var suspectUntil = NIODeadline.uptimeNanoseconds(0)
    /// Idle connections, the one used last at the end.
    private var idle: [UpstreamConnection] = []

    init(name: String) {
        self.name = name
        address = Self.parse(name)
    }

    /// `address:port`, with an IPv6 address in brackets.
    static func parse(_ name: String) -> SocketAddress? {
        guard let colon = name.lastIndex(of: ":"), let port = Int(name[name.index(after: colon)...]) else { return nil }
        var host = name[..<colon]
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        return try? SocketAddress(ipAddress: String(host), port: port)  // nil says all there is to say
    }

    /// The idle connection used last, if it was used after `after`. Others that are too old stay for safe requests.
    func takeIdle(usedAfter after: NIODeadline) -> UpstreamConnection? {
        guard let last = idle.last, last.idleSince >= after else { return nil }
        idle.removeLast()
        return last
    }

    /// Keeps an idle connection for the next request. Answers false where it should be closed instead.
    func keep(_ connection: UpstreamConnection) -> Bool {
        guard !isRetired, idle.count < GatewayLimits.idleConnectionsPerEndpoint else { return false }
        idle.append(connection)
        return true
    }

    func forget(_ connection: UpstreamConnection) {
        idle.removeAll { $0 === connection }
    }

    func retire() {
        isRetired = true
        closeIdle(before: .distantFuture)
    }

    func revive() { isRetired = false }

    func closeIdle(before: NIODeadline) {
        guard let first = idle.first, first.idleSince < before else { return }
        let old = idle.prefix { $0.idleSince < before }
        idle.removeFirst(old.count)
        for connection in old { connection.close() }
    }
}

/// One backend as one event loop sees it: its endpoints and its counters. Keeps its identity from table to table.
final class Backend {
    let name: String
    var endpoints: [Endpoint] = []
    var isMissing = false
    var counters = BackendCounters()
    private var next = 0

    init(name: String) { self.name = name }

    /// The endpoint with the fewest requests under way, in turn where several have as few. Passes over endpoints that
    /// just refused a connection, and over `except`, while there are others.
    func pick(now: NIODeadline, except: [Endpoint]) -> Endpoint? {
        let count = endpoints.count
        if count == 0 { return nil }
        if count == 1 { return endpoints[0] }
        next = next &+ 1 < count ? next &+ 1 : 0
        var best: Endpoint?
        var bestScore = Int.max
        for offset in 0..<count {
            let position = next + offset < count ? next + offset : next + offset - count
            let endpoint = endpoints[position]
            var score = endpoint.inFlight
            if endpoint.suspectUntil > now { score += 1 << 32 }
            if !except.isEmpty, except.contains(where: { $0 === endpoint }) { score += 1 << 33 }
            if score < bestScore {
                best = endpoint
                bestScore = score
                if score == 0 { break }
            }
        }
        return best
    }
}

/// What a backend has answered, on one event loop or summed over all.
package struct BackendCounters: Sendable, Equatable {
    package var requests = 0
    /// Answers by class: 1xx at 0 … 5xx at 4. An answer the gateway made itself counts under `failures` only.
    package var statuses = [0, 0, 0, 0, 0]
    /// Requests that got no answer from an endpoint.
    package var failures = 0
    package var latency = LatencyHistogram()

    package init() {}

    package mutating func add(_ other: BackendCounters) {
        requests += other.requests
        failures += other.failures
        for position in 0..<5 { statuses[position] += other.statuses[position] }
        latency.add(other.latency)
    }
}

/// Latencies in buckets of a quarter of a power of two, from a microsecond to over an hour: at most 19 % off.
package struct LatencyHistogram: Sendable, Equatable {
    package static let bucketCount = 128
    package private(set) var counts: [UInt64] = Array(repeating: 0, count: bucketCount)

    package init() {}

    package static func bucket(microseconds: UInt64) -> Int {
        if microseconds < 4 { return Int(microseconds) }
        let exponent = 63 - microseconds.leadingZeroBitCount
        let quarter = Int(microseconds >> UInt64(exponent - 2)) & 3
        return min((exponent - 1) * 4 + quarter, bucketCount - 1)
    }

    /// The lowest latency of a bucket, in microseconds.
    package static func lowerBound(of bucket: Int) -> UInt64 {
        if bucket < 4 { return UInt64(bucket) }
        return UInt64(4 + bucket % 4) << UInt64(bucket / 4 - 1)
    }

    package mutating func record(nanoseconds: Int64) {
        counts[Self.bucket(microseconds: UInt64(max(0, nanoseconds)) / 1000)] += 1
    }

    package mutating func add(_ other: LatencyHistogram) {
        for position in counts.indices { counts[position] += other.counts[position] }
    }

    package mutating func add(count: UInt64, bucket: Int) {
        if counts.indices.contains(bucket) { counts[bucket] += count }
    }

    package var total: UInt64 { counts.reduce(0, +) }

    /// The latency in microseconds below which `share` (0…1) of the requests stayed; the lower bound of its bucket.
    package func quantile(_ share: Double) -> UInt64 {
        let wanted = UInt64((Double(total) * share).rounded(.up))
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen += count
            if seen >= wanted, seen > 0 { return Self.lowerBound(of: bucket) }
        }
        return 0
    }
}

/// Draws between weights. The draws follow the golden ratio's sequence from a random start, so that over any stretch of
/// requests each share is off by a few requests at most, without the fixed beat of a round robin.
package struct WeightedDraw: Sendable {
    private var position: UInt64

    package init(seed: UInt64) { position = seed }

    /// The index of the weight drawn; `nil` where all are zero.
    package mutating func next(_ weights: some Collection<Int>) -> Int? {
        let total = weights.reduce(0, +)
        guard total > 0 else { return nil }
        position &+= 0x9E37_79B9_7F4A_7C15
        var point = Int(position.multipliedFullWidth(by: UInt64(total)).high)
        for (index, weight) in weights.enumerated() {
            if point < weight { return index }
            point -= weight
        }
        return nil
    }
}
