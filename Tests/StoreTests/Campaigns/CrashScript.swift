import Journal
import Seams
import Simulation
import Store
import Testing

/// What a crash campaign hit.
struct CrashReport {
    var recoveries = 0, kills = 0, nested = 0, deepest = 0, inWrites = 0, kept = 0, continued = 0
    var problems: [String] = []

    func kinds(_ points: [CrashScript.Point]) -> String {
        var counts: [String: Int] = [:]
        for point in points { counts[point.operation, default: 0] += 1 }
        return counts.keys.sorted().map { "\(counts[$0] ?? 0) in \($0)" }.joined(separator: ", ")
    }
}

/// A script of transactions, what each revision of it holds, and the disk in the middle of each of its operations.
struct CrashScript {
    /// The disk in the middle of an operation, and what had been promised by then.
    struct Point {
        let disk: CrashingDisk
        let operation: String
        let acknowledged: UInt64
        let sequenced: UInt64
    }

    private let seed: UInt64
    private let random: SeededRandom
    private let keys = SealingKeys.ephemeral()
    /// Keys and values at each revision, from 1 on.
    private var states: [[StoreKey: [UInt8]]] = [[:]]
    private(set) var acknowledgedInAll = 0

    init(seed: UInt64) {
        self.seed = seed
        random = SeededRandom(seed: seed &* 43)
    }

    private func open(_ disk: CrashingDisk) throws -> Keyspace {
        try Keyspace.simulated(on: disk, keys: keys) { configuration in
            configuration.segmentsPerTable = 2
            configuration.historyRevisions = 12
            configuration.journal.segmentBytes = 4096
            configuration.journal.growthBytes = 1024
        }
    }

    /// Runs the script to its end and returns every crash point on the way.
    mutating func run(transactions: Int) throws -> [Point] {
        let disk = CrashingDisk(random: SeededRandom(seed: seed))
        let progress = Progress()
        disk.observe { clone, operation in progress.add(clone, operation) }
        let store = try open(disk)
        progress.store = store
        for _ in 0..<transactions {
            let (transaction, state) = next(states[states.count - 1])
            if transaction.operations.isEmpty { continue }
            let revision = try store.commit(transaction)
            states.append(state)
            #expect(Int(revision.rawValue) == states.count)
            progress.sequenced = revision.rawValue
            if random.oneIn(2) { store.flush() }
        }
        store.flush()
        disk.observe(nil)
        progress.store = nil
        acknowledgedInAll = Int(store.durableRevision.rawValue) - 1
        return progress.points
    }

    private func next(_ before: [StoreKey: [UInt8]]) -> (Transaction, [StoreKey: [UInt8]]) {
        var (state, transaction) = (before, Transaction(operations: []))
        for name in Set((0...random.next(below: 3)).map { _ in random.next(below: 12) }).sorted() {
            let key = key("k\(name)", name < 3 ? secrets : configMaps)
            if random.oneIn(4), state[key] != nil {
                transaction.operations.append(.delete(key))
                state[key] = nil
            } else {
                let value =
                    Array("value \(states.count) ".utf8) + Array(repeating: UInt8(name), count: random.next(below: 700))
                transaction.operations.append(.put(key, value: value, revisionOffset: nil, sealed: name < 3))
                state[key] = value
            }
        }
        return (transaction, state)
    }

    /// Brings one outcome of a crash point back, crashing again on the way up to `nested` times, and compares.
    func recover(_ point: Point, nested: Int, _ report: inout CrashReport) throws {
        report.recoveries += 1
        let isKill = random.oneIn(5)
        if isKill { report.kills += 1 }
        var disk = isKill ? point.disk.copied() : point.disk.restarted()
        var depth = 0
        for _ in 0..<nested {
            disk.crash(atOperation: disk.operations + 1 + random.next(below: 8))
            do { _ = try open(disk) } catch StoreError.fileSystem {}
            if disk.hasCrashed { depth += 1 }
            disk = random.oneIn(4) ? disk.copied() : disk.restarted()
        }
        report.nested += depth
        report.deepest = max(report.deepest, depth)
        if point.sequenced > point.acknowledged { report.inWrites += 1 }
        do {
            let store = try open(disk)
            try compare(store, point, &report)
            try writeOn(store, disk, &report)
        } catch {
            report.problems.append("in \(point.operation), acknowledged \(point.acknowledged): \(error)")
        }
    }

    /// The store is exactly that of one revision, no older than what was acknowledged and no newer than what was asked.
    private func compare(_ store: Keyspace, _ point: Point, _ report: inout CrashReport) throws {
        let revision = store.sequencedRevision.rawValue
        if revision < point.acknowledged || revision > point.sequenced {
            report.problems.append(
                "in \(point.operation): revision \(revision), acknowledged \(point.acknowledged) of \(point.sequenced)")
            return
        }
        if revision > point.acknowledged { report.kept += 1 }
        let compacted = store.compactedRevision.rawValue
        for past in Set([compacted, (compacted + revision) / 2, revision]) {
            let entries = try store.snapshot(at: Revision(rawValue: past)).list(prefix: [])
            let found = try Dictionary(uniqueKeysWithValues: entries.map { ($0.key, try $0.value.array) })
            if found != states[Int(past) - 1] { report.problems.append("in \(point.operation): not revision \(past)") }
        }
        let cursor = try store.watch(prefixes: [[]], after: Revision(rawValue: compacted), visibility: .durable)
        var seen: Set<UInt64> = []
        while case let changes = try cursor.poll(), !changes.isEmpty {
            for change in changes {
                seen.insert(change.revision.rawValue)
                if states[Int(change.revision.rawValue) - 1][change.key] != (try change.entry?.value.array) {
                    report.problems.append("in \(point.operation): the history of \(change.revision) is another")
                }
            }
        }
        if seen.count != Int(revision - compacted) { report.problems.append("in \(point.operation): a gap in history") }
    }

    /// A store that came back must also go on: the next revisions are new ones, and another power cut keeps them.
    private func writeOn(_ store: Keyspace, _ disk: CrashingDisk, _ report: inout CrashReport) throws {
        let before = store.sequencedRevision.rawValue
        var state = states[Int(before) - 1]
        for number in 1...2 as ClosedRange<UInt64> {
            let value = Array("afterwards \(number)".utf8)
            let revision = try store.commit(
                Transaction(operations: [.put(key("after"), value: value, revisionOffset: nil, sealed: false)]))
            if revision.rawValue != before + number { report.problems.append("revision \(revision) after \(before)") }
            state[key("after")] = value
            report.continued += 1
        }
        store.flush()
        let again = try open(disk.restarted())
        let entries = try again.snapshot(.durable).list(prefix: []).map { ($0.key, try $0.value.array) }
        if Dictionary(uniqueKeysWithValues: entries) != state { report.problems.append("what was written on is lost") }
    }
}

/// Collects crash points while a script runs; its numbers are what had been promised when a point came.
private final class Progress: @unchecked Sendable {
    // SAFETY: the script and its disk run on one thread.
    var store: Keyspace?
    var sequenced: UInt64 = 1
    private(set) var points: [CrashScript.Point] = []

    func add(_ disk: CrashingDisk, _ operation: String) {
        let acknowledged = store?.durableRevision.rawValue ?? 1
        points.append(.init(disk: disk, operation: operation, acknowledged: acknowledged, sequenced: sequenced))
    }
}
