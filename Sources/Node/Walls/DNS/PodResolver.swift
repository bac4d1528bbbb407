internal import Synchronization

/// Answers the questions of pods: names of the cluster from `ClusterNames`, others from the host's resolvers, as far as
/// the air gap of the asking pod lets it ask. Who asks is known by its address, which the walls vouch for. Thread-safe;
/// locks guard the names and the counts.
package final class PodResolver: Sendable {
    private let names: Mutex<ClusterNames>
    private let walls: Walls
    private let podRange: IPv4Range
    private let upstream: any DNSUpstream
    /// Forwarded questions under way, by asker.
    private let forwarded = Mutex<[IPv4Address: Int]>([:])

    package init(walls: Walls, podRange: IPv4Range, serviceRange: IPv4Range, upstream: any DNSUpstream) {
        names = Mutex(ClusterNames(ranges: [podRange, serviceRange]))
        self.walls = walls
        self.podRange = podRange
        self.upstream = upstream
    }

    /// Events of a watch of Services and EndpointSlices. With `isFirst` they are all there is.
    package func onChanges(_ changes: [Walls.Change], isFirst: Bool = false) {
        names.withLock { names in
            if isFirst { names.removeAll() }
            for change in changes { names.set(change) }
        }
    }

    /// The answer to a message from an address; `nil` for what is no question. By datagram the answer is cut to what the
    /// asker takes.
    package func answer(_ message: [UInt8], from address: IPv4Address, isDatagram: Bool) async -> [UInt8]? {
        switch DNSQuery.read(message) {
        case .ignored: return nil
        case .answer(let bytes): return bytes
        case .query(let query):
            let asker = walls.pod(at: address)
            // What comes from the pods' range and is no pod has no name, and no business here.
            if asker == nil, podRange.contains(address), address != podRange.address(1) {
                return query.answer(.refused)
            }
            let limit = isDatagram ? query.datagramBytes : DNSLimits.messageBytes
            let found = await resolve(query.name, query.type, asker, address, depth: 0)
            return query.answer(
                found.code, found.answers, authority: found.authority, additional: found.additional,
                isOurs: found.isOurs, limit: limit)
        }
    }

    private struct Found {
        var code = DNSCode.noError
        var answers: [DNSRecord] = []
        var authority: [DNSRecord] = []
        var additional: [DNSRecord] = []
        var isOurs = true
    }

    private typealias Asker = (pod: ClusterNetwork.Pod, rules: [EgressRule])

    private func resolve(_ name: DNSName, _ type: DNSType, _ asker: Asker?, _ address: IPv4Address, depth: Int) async
        -> Found
    {
        let who = ClusterNames.Asker(
            namespace: asker?.pod.namespace ?? "", partOf: asker?.pod.labels["app.kubernetes.io/part-of"] ?? "")
        let (answer, authority) = names.withLock { names in
            (
                names.answer(name, type, asker: who, podNamespace: { walls.pod(at: $0)?.pod.namespace }),
                names.authority
            )
        }
        switch answer {
        case .records(let records, let additional): return Found(answers: records, additional: additional)
        case .noData: return Found(authority: [authority])
        case .noSuchName: return Found(code: .noSuchName, authority: [authority])
        case .alias(let target):
            let alias = DNSRecord(name, .cname, target.bytes)
            guard depth < DNSLimits.aliases else { return Found(code: .failure) }
            if type == .cname { return Found(answers: [alias]) }
            // Askers do not follow a name themselves.
            var found = await resolve(target, type, asker, address, depth: depth + 1)
            found.answers.insert(alias, at: 0)
            return found
        case nil: return await forward(name, type, asker, address)
        }
    }

    private func forward(_ name: DNSName, _ type: DNSType, _ asker: Asker?, _ address: IPv4Address) async -> Found {
        let text = name.description
        var patterns: [String] = []
        for list in (asker?.rules ?? []).compactMap(\.names) {
            let matching = list.filter { EgressRule.matches(text, $0) }
            // Not REFUSED: libraries would then not go on along their search list, where an allowed name may follow.
            if matching.isEmpty { return Found(code: .noSuchName) }
            patterns += matching
        }
        let isFree = forwarded.withLock { counts in
            guard counts[address, default: 0] < DNSLimits.forwardedPerPod else { return false }
            counts[address, default: 0] += 1
            return true
        }
        guard isFree else { return Found(code: .failure) }
        defer {
            forwarded.withLock { counts in
                let left = counts[address, default: 1] - 1
                counts[address] = left == 0 ? nil : left
            }
        }
        guard let answer = await upstream.ask(name, type) else { return Found(code: .failure) }
        if let asker, !patterns.isEmpty {
            let (addresses, seconds) = answer.addresses
            for pattern in Set(patterns).sorted() {
                // An address that could not be opened is answered all the same, and refused when it is used.
                try? await walls.learn(
                    addresses, of: pattern, namespace: asker.pod.namespace,
                    seconds: max(seconds, DNSLimits.shortestLearnedSeconds))
            }
        }
        return Found(code: DNSCode(rawValue: answer.code) ?? .failure, answers: answer.answers, isOurs: false)
    }
}

/// Resolvers beyond our own.
package protocol DNSUpstream: Sendable {
    /// The answer to a question; `nil` where none came in time.
    func ask(_ name: DNSName, _ type: DNSType) async -> DNSAnswer?
}
