internal import Journal

/// What a replica holds, from the names of its objects alone: what a point in it needs, and what no point needs. One
/// replica may hold several lives of a store: a restored one begins above all that the one before gave out.
struct ReplicaCatalogue {
    private(set) var tables: Set<RevisionRange> = []
    private(set) var segments: [Revision: ReplicaObject.Segment] = [:]
    private(set) var tails: [Revision: Set<ReplicaObject.Tail>] = [:]
    private(set) var times: Set<Revision> = []
    private(set) var owners: Set<UInt64> = []

    init(_ objects: some Sequence<ReplicaObject> = []) {
        for object in objects { insert(object) }
    }

    var isEmpty: Bool { tables.isEmpty && segments.isEmpty && tails.isEmpty }

    mutating func insert(_ object: ReplicaObject) {
        switch object {
        case .table(let range): tables.insert(range)
        case .segment(let segment): segments[segment.first] = segment
        case .tail(let tail): tails[tail.first, default: []].insert(tail)
        case .times(let first): times.insert(first)
        case .owner(let identity): owners.insert(identity)
        }
    }

    mutating func remove(_ object: ReplicaObject) {
        switch object {
        case .table(let range): tables.remove(range)
        case .segment(let segment): segments[segment.first] = nil
        case .tail(let tail):
            tails[tail.first]?.remove(tail)
            if tails[tail.first]?.isEmpty == true { tails[tail.first] = nil }
        case .times(let first): times.remove(first)
        case .owner(let identity): owners.remove(identity)
        }
    }

    /// The newest revision in any object.
    var newest: Revision {
        max(tables.map(\.last).max() ?? .empty, points.map(\.last).max() ?? .empty)
    }

    /// When which revision was copied, as far as names say it.
    private var points: [(time: UInt64, last: Revision)] {
        segments.values.map { ($0.time, $0.last) } + tails.values.joined().map { ($0.time, $0.last) }
    }

    // MARK: Points

    /// The tables that make up the state at the newest of their ends that is not after `revision`.
    func chain(until revision: Revision) -> [RevisionRange] {
        var chain: [RevisionRange] = []
        var end = Revision.empty
        while let next = tables.filter({ $0.first == end && $0.last <= revision }).max(by: { $0.last < $1.last }) {
            chain.append(next)
            end = next.last
        }
        return chain
    }

    /// The pieces of a tail that follow each other from its beginning, in order.
    func pieces(of first: Revision) -> [ReplicaObject.Tail] {
        var pieces: [ReplicaObject.Tail] = []
        var end = 0
        let all = tails[first] ?? []
        while let next = all.filter({ $0.start <= end && $0.end > end }).max(by: { $0.end < $1.end }) {
            pieces.append(next)
            end = next.end
        }
        return pieces
    }

    /// The last revision of the segment that begins with `first`, as far as it is here; `nil` when nothing is.
    private func last(of first: Revision) -> Revision? { segments[first]?.last ?? pieces(of: first).last?.last }

    /// The segments that go on behind `end` up to `revision`, without a gap, and where they end.
    func segments(after end: Revision, until revision: Revision) -> (firsts: [Revision], end: Revision) {
        var (firsts, end): ([Revision], Revision) = ([], end)
        for first in Set(segments.keys).union(tails.keys).sorted() where first <= revision.next {
            guard let last = last(of: first), last >= end else { continue }
            if first > end.next { break }
            if last == end, first != end.next { continue }
            firsts.append(first)
            end = last
        }
        return (firsts, end)
    }

    /// The newest revision that can be restored.
    var reach: Revision {
        let chain = chain(until: Revision(rawValue: .max))
        return segments(after: chain.last?.last ?? .empty, until: Revision(rawValue: .max - 1)).end
    }

    /// The newest revision that was copied by `time`, as far as names say it, and the segment that may know more.
    func revision(at time: UInt64) -> (revision: Revision?, unsure: Revision?) {
        let known = points.filter { $0.time <= time }.map(\.last).max()
        let later = segments.values.filter { $0.time > time }.map(\.first)
        let folded = tails.keys.filter { times.contains($0) }
        return (known, (later + folded).filter { $0 >= known ?? .empty }.min())
    }

    // MARK: What nobody needs

    /// Objects that no point after `time` needs: what newer tables stand for, and pieces of what is there whole.
    func garbage(before time: UInt64) -> [ReplicaObject] {
        let pieces = tails.filter { segments[$0.key] != nil }.values.joined().map { ReplicaObject.tail($0) }
        guard let kept = points.filter({ $0.time <= time }).map(\.last).max() else { return pieces }
        let chain = chain(until: kept)
        guard let end = chain.last?.last else { return pieces }
        let old = segments.values.filter { $0.last <= end }
        return pieces + tables.filter { $0.last <= end && !chain.contains($0) }.map { .table($0) }
            + old.flatMap { [.segment($0)] + (times.contains($0.first) ? [.times($0.first)] : []) }
            + tails.values.joined().filter { $0.last <= end && $0.last >= $0.first }.map { .tail($0) }
    }
}
