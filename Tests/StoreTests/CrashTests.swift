import Documents
import Glibc
import Journal
import Seams
import Simulation
import Store
import Testing

/// Power fails at every operation of the disk, and again while the store recovers. What was acknowledged is there
/// afterwards, what is there is a prefix of what was written, and the store goes on from it.
struct CrashTests {
    /// How much harder than by default: `CRASH_SCALE=20` runs twenty times as many lives from other seeds.
    private static let scale = Int(environment("CRASH_SCALE") ?? "1") ?? 1

    static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// `SEED=…` replays; otherwise every run takes seeds of its own and prints the first.
    private static func firstSeed(_ name: String) -> UInt64 {
        let seed = environment("SEED").flatMap(UInt64.init) ?? UInt64.random(in: 1...1_000_000)
        print("\(name): SEED=\(seed)")
        return seed
    }

    @Test func everyOperationIsACrashPoint() throws {
        let seed = Self.firstSeed("every operation")
        var crashPoints = 0
        for script in 0..<UInt64(Self.scale) {
            let (seed, operations) = try Self.eventfulLife(from: seed &+ script &* 1000)
            for point in 1...operations {
                var store = CrashingStore(seed: seed, transactions: 45)
                guard try store.live(crashingAt: point) else { continue }
                crashPoints += 1
                try store.restart(nestedCrashes: 0)
                try store.verify("seed \(seed), crash at operation \(point)")
            }
        }
        print("every operation: \(crashPoints) crash points")
        #expect(crashPoints > 120)
    }

    /// The first seed from `seed` on with which tables are written and merged on the way, and segments written over the
    /// files of older ones, which their headers say; and how many operations of the disk that takes.
    private static func eventfulLife(from seed: UInt64) throws -> (seed: UInt64, operations: Int) {
        for seed in seed..<seed + 100 {
            var store = CrashingStore(seed: seed, transactions: 45)
            #expect(try store.live(crashingAt: nil) == false)
            let isRecycled = store.disk.contents.contains { $0.path.hasSuffix(".log") && $0.bytes[8] == 2 }
            if try store.statistics.merges > 0, isRecycled { return (seed, store.disk.operations) }
        }
        throw StoreError.invalid(reason: "no life from seed \(seed) on has tables, merges and recycled segments")
    }

    @Test func randomLivesWithCrashesDuringRecovery() throws {
        let seed = Self.firstSeed("random lives")
        var (crashes, nested) = (0, 0)
        for life in 0..<UInt64(80 * Self.scale) {
            let random = SeededRandom(seed: seed &+ life &* 7919)
            var store = CrashingStore(seed: seed &+ life, transactions: 40)
            for generation in 0..<4 {
                let crashed = try store.live(crashingAt: store.disk.operations + 1 + random.next(below: 120))
                if crashed { crashes += 1 }
                nested += try store.restart(nestedCrashes: crashed ? random.next(below: 4) : 0)
                try store.verify("SEED=\(seed), life \(life), generation \(generation)")
            }
        }
        print("random lives: \(crashes) crashes, \(nested) of them during recovery again")
        #expect(crashes > 100 * Self.scale)
        #expect(nested > 50 * Self.scale)
    }

    @Test func aFailedWriteOrSyncIsTheEndOfWriting() throws {
        let seed = Self.firstSeed("failures")
        var hits = 0
        for point in 1...120 {
            for code in [FileError.Code.failed(5), .noSpace] {
                var store = CrashingStore(seed: seed, transactions: 60)
                hits += try store.live(failingAt: point, with: code) ? 1 : 0
                try store.restart(nestedCrashes: 0)
                try store.verify("SEED=\(seed), \(code) at operation \(point)")
            }
        }
        #expect(hits > 100)
    }
}

/// A store on a crashing disk, beside a model of everything it was told.
private struct CrashingStore {
    private(set) var disk: CrashingDisk
    private let random: SeededRandom
    private let transactions: Int
    private let keys = SealingKeys.ephemeral()
    /// The keys and values after each revision; index 0 is the empty store's revision 1.
    private var states: [[StoreKey: [UInt8]]] = [[:]]
    private var acknowledged: UInt64 = 1
    private var keyspace: Keyspace?

    var statistics: StoreStatistics { get throws { try #require(keyspace).statistics } }

    init(seed: UInt64, transactions: Int) {
        disk = CrashingDisk(random: SeededRandom(seed: seed))
        random = SeededRandom(seed: seed &* 31)
        self.transactions = transactions
    }

    private func open() throws(StoreError) -> Keyspace {
        do {
            return try Keyspace.simulated(on: disk, keys: keys) { configuration in
                configuration.segmentsPerTable = 2
                configuration.historyRevisions = 12
                configuration.journal.segmentBytes = 2048
                configuration.journal.growthBytes = random.oneIn(2) ? 1024 : 0
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw .closed
        }
    }

    /// Writes until the script ends or the disk crashes; returns whether it crashed.
    mutating func live(crashingAt point: Int?) throws -> Bool {
        if let point { disk.crash(atOperation: point) }
        try write()
        return disk.hasCrashed
    }

    /// Writes with one operation failing; returns whether the failure ended writing.
    mutating func live(failingAt point: Int, with code: FileError.Code) throws -> Bool {
        disk.fail(atOperation: point, with: code)
        try write()
        guard let keyspace else { return true }
        do throws(StoreError) {
            let revision = try keyspace.commit(Transaction(operations: [put(key("probe"), "1")]))
            states.append(states[states.count - 1].merging([key("probe"): Array("1".utf8)]) { $1 })
            #expect(Int(revision.rawValue) == states.count)
            keyspace.flush()
            acknowledge()
            return false
        } catch {
            return true
        }
    }

    private mutating func write() throws {
        if keyspace == nil {
            do throws(StoreError) { keyspace = try open() } catch {
                guard case .fileSystem = error else { throw error }
                return
            }
        }
        guard let keyspace else { return }
        for _ in 0..<transactions {
            do throws(StoreError) { try step(keyspace) } catch {
                if case .full = error { continue }
                guard case .readOnly = error else { throw error }
                return
            }
            if disk.hasCrashed { return }
        }
    }

    private mutating func step(_ keyspace: Keyspace) throws(StoreError) {
        var state = states[states.count - 1]
        var operations: [Transaction.Operation] = []
        for name in Set((0...random.next(below: 3)).map { _ in random.next(below: 12) }).sorted() {
            let key = key("k\(name)", name < 3 ? secrets : configMaps)
            if random.oneIn(4), state[key] != nil {
                operations.append(.delete(key))
                state[key] = nil
            } else {
                let value =
                    Array("value \(states.count) ".utf8) + Array(repeating: UInt8(name), count: random.next(below: 700))
                operations.append(.put(key, value: value, revisionOffset: nil, sealed: name < 3))
                state[key] = value
            }
        }
        if operations.isEmpty { return }
        // What failed for want of space failed once: it is written with the next attempt.
        if case .full = keyspace.writeRefusal { keyspace.flush() }
        let revision = try keyspace.commit(Transaction(operations: operations))
        states.append(state)
        #expect(Int(revision.rawValue) == states.count)
        // Groups of one to several transactions.
        if random.oneIn(2) { keyspace.flush() }
        acknowledge()
    }

    private mutating func acknowledge() {
        if let durable = keyspace?.durableRevision { acknowledged = max(acknowledged, durable.rawValue) }
    }

    /// Brings the disk back and recovers, crashing up to `nestedCrashes` times on the way; returns how many did.
    @discardableResult
    mutating func restart(nestedCrashes: Int) throws -> Int {
        keyspace = nil
        var crashes = 0
        for _ in 0..<nestedCrashes {
            // Now and then only the process died, and what it wrote is still in the kernel's memory, not on the disk.
            disk = random.oneIn(3) ? disk.copied() : disk.restarted()
            disk.crash(atOperation: disk.operations + 1 + random.next(below: 8))
            do throws(StoreError) { _ = try open() } catch {
                guard case .fileSystem = error else { throw error }
            }
            if disk.hasCrashed { crashes += 1 }
        }
        disk = random.oneIn(3) ? disk.copied() : disk.restarted()
        keyspace = try open()
        return crashes
    }

    /// The recovered state is exactly that of one revision, no older than what was acknowledged, with its history.
    mutating func verify(_ situation: String) throws {
        let keyspace = try #require(keyspace)
        let revision = keyspace.sequencedRevision.rawValue
        #expect(revision >= acknowledged, "acknowledged writes lost: \(situation)")
        #expect(revision <= UInt64(states.count), "a revision out of nothing: \(situation)")
        states.removeLast(states.count - Int(revision))
        try keyspace.verifyTables()
        let compacted = keyspace.compactedRevision.rawValue
        for past in Set([compacted, (compacted + revision) / 2, revision]) {
            let snapshot = try keyspace.snapshot(at: Revision(rawValue: past))
            let entries = try snapshot.list(prefix: []).map { ($0.key, try $0.value.array) }
            let found = Dictionary(uniqueKeysWithValues: entries)
            #expect(found == states[Int(past) - 1], "revision \(past) of \(revision): \(situation)")
        }
        let cursor = try keyspace.watch(prefixes: [[]], after: Revision(rawValue: compacted), visibility: .durable)
        var seen: Set<UInt64> = []
        while case let changes = try cursor.poll(), !changes.isEmpty {
            for change in changes {
                seen.insert(change.revision.rawValue)
                #expect(
                    states[Int(change.revision.rawValue) - 1][change.key] == (try change.entry?.value.array),
                    "\(situation)")
            }
        }
        #expect(seen.count == Int(revision - compacted), "history has a gap: \(situation)")
        acknowledged = revision
    }
}
