package import NIOCore
internal import Synchronization

/// Which endpoint each client of a Service with `sessionAffinity: ClientIP` stays with. Pure. A client that is new, or
/// was forgotten, gets the endpoint that its address and the endpoints' names lead to: the same one after the gateway was
/// started again, and most clients keep theirs when endpoints come and go.
package struct SessionAffinity: Sendable {
    private struct Key: Hashable {
        var backend: String
        var client: String
    }

    private var kept: [Key: (endpoint: String, until: NIODeadline)] = [:]

    package init() {}

    /// The endpoint of a client, out of those there are; `nil` where there are none.
    package mutating func endpoint(
        of client: String, backend: String, among endpoints: [String], seconds: Int, now: NIODeadline
    ) -> String? {
        let key = Key(backend: backend, client: client)
        var chosen = kept[key].flatMap { $0.until > now && endpoints.contains($0.endpoint) ? $0.endpoint : nil }
        chosen = chosen ?? endpoints.max { Self.weight(client, $0) < Self.weight(client, $1) }
        guard let chosen else { return nil }
        if kept[key] == nil, kept.count >= GatewayLimits.affinities { kept = kept.filter { $0.value.until > now } }
        if kept[key] != nil || kept.count < GatewayLimits.affinities {
            kept[key] = (chosen, now + .seconds(Int64(seconds)))
        }
        return chosen
    }

    /// FNV-1a over both, its bits mixed: names that differ in one digit must not be close together.
    private static func weight(_ client: String, _ endpoint: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for text in [client, endpoint] {
            for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
            hash = (hash ^ 0xFF) &* 0x0000_0100_0000_01B3
        }
        hash = (hash ^ hash >> 33) &* 0xFF51_AFD7_ED55_8CCD
        return hash ^ hash >> 33
    }
}

/// The affinities of a gateway: connections of one client come to any of its event loops.
final class SharedAffinity: Sendable {
    let table = Mutex(SessionAffinity())
}

/// Where a service address leads to.
struct ServiceTarget: Sendable {
    var backend: String
    var affinitySeconds: Int
    var affinity: SharedAffinity

    /// The endpoint for a new connection or exchange of datagrams of a client's.
    func pick(_ backend: Backend, client: String, now: NIODeadline, except failed: [Endpoint]) -> Endpoint? {
        guard affinitySeconds > 0, !client.isEmpty else { return backend.pick(now: now, except: failed) }
        let usable = backend.endpoints.filter { endpoint in !failed.contains { $0 === endpoint } }
        let names = (usable.isEmpty ? backend.endpoints : usable).map(\.name)
        // The loop's own clock stands still while it has no connections.
        let name = affinity.table.withLock {
            $0.endpoint(of: client, backend: backend.name, among: names, seconds: affinitySeconds, now: .now())
        }
        return backend.endpoints.first { $0.name == name }
    }
}
