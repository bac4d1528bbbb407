import Documents
import Seams
import Simulation
import Store
import Synchronization
import Testing

/// A watch is ordered, gap-free, free of duplicates and resumable, or ends with `compacted`.
struct WatchTests {
    /// Counts wake-ups.
    private final class Bell: Sendable {
        private let count = Mutex(0)
        var rings: Int { count.withLock { $0 } }
        func ring() { count.withLock { $0 += 1 } }
    }

    @Test func changesComeOnceInOrderWithWhatWasBefore() throws {
        let store = try newStore()
        let cursor = try store.watch(prefixes: [StoreKey.prefix(configMaps)], after: .empty, visibility: .sequenced)
        try store.put(key("a"), "1")
        try store.put(key("a"), "2")
        try store.put(key("x", secrets), "other")
        _ = try store.commit(Transaction(operations: [.delete(key("a"))]))
        let changes = try cursor.poll()
        #expect(changes.map(\.revision.rawValue) == [2, 3, 5])
        #expect(changes.map(\.kind) == [.put, .put, .delete])
        #expect(changes.map(\.isCreate) == [true, false, false])
        #expect(try changes[2].previous?.array == Array("2".utf8))
        #expect(try cursor.poll().isEmpty)
        #expect(cursor.revision.rawValue == 5)
    }

    @Test func durableWatchesWaitForTheDisk() throws {
        let store = try newStore()
        let cursor = try store.watch(prefixes: [[]], after: .empty, visibility: .durable)
        let bell = Bell()
        #expect(try cursor.poll().isEmpty)
        cursor.onChange { bell.ring() }
        try store.put(key("a"), "1")
        #expect(try cursor.poll().isEmpty)
        #expect(bell.rings == 0)
        store.flush()
        #expect(bell.rings == 1)
        #expect(try cursor.poll().count == 1)
    }

    @Test func onlyWhoIsConcernedIsWoken() throws {
        let store = try newStore()
        let here = try store.watch(
            prefixes: [StoreKey.prefix(secrets), StoreKey.prefix(configMaps, namespace: "here")], after: .empty,
            visibility: .sequenced)
        let one = try store.watch(prefixes: [key("one").bytes], after: .empty, visibility: .sequenced)
        let (hereBell, oneBell) = (Bell(), Bell())
        here.onChange { hereBell.ring() }
        one.onChange { oneBell.ring() }
        try store.put(key("a", namespace: "elsewhere"), "1")
        try store.put(key("one more"), "1")
        #expect(hereBell.rings == 0)
        #expect(oneBell.rings == 0)
        // Nothing of theirs was missed, so they stand at the present without having read.
        #expect(here.revision == store.sequencedRevision)
        try store.put(key("a", namespace: "here"), "1")
        try store.put(key("b", namespace: "here"), "1")
        #expect(hereBell.rings == 1)
        #expect(try here.poll().map(\.key.objectKey.name) == ["a", "b"])
        try store.put(key("one"), "1")
        #expect(oneBell.rings == 1)
        #expect(try one.poll().count == 1)
    }

    @Test func armingWithSomethingToReadRingsAtOnce() throws {
        let store = try newStore()
        let cursor = try store.watch(prefixes: [[]], after: .empty, visibility: .sequenced)
        try store.put(key("a"), "1")
        let bell = Bell()
        cursor.onChange { bell.ring() }
        #expect(bell.rings == 1)
    }

    @Test func aWatchBehindCompactionEndsAndAnIdleOneDoesNot() throws {
        let store = try newStore()
        let slow = try store.watch(prefixes: [StoreKey.prefix(configMaps)], after: .empty, visibility: .durable)
        let idle = try store.watch(prefixes: [StoreKey.prefix(secrets)], after: .empty, visibility: .durable)
        idle.onChange {}
        for number in 0..<10 { try store.put(key("a"), "\(number)") }
        store.flush()
        store.compact(to: store.durableRevision)
        #expect(throws: StoreError.self) { try slow.poll() }
        #expect(try idle.poll().isEmpty)
        try store.put(key("s", secrets), "1")
        store.flush()
        #expect(try idle.poll().count == 1)
        #expect(throws: StoreError.self) { try store.watch(prefixes: [[]], after: .empty, visibility: .durable) }
    }

    /// The boundary, where stores have lost events: at the compacted revision exactly, with a deletion there, and again
    /// after a restart.
    @Test func aWatchFromTheCompactedRevisionMissesNothing() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let keys = SealingKeys.ephemeral()
        var store = try Keyspace.simulated(on: disk, keys: keys)
        try store.put(key("a"), "1")
        let deletion = try store.commit(Transaction(operations: [.delete(key("a"))]))
        let creation = try store.put(key("a"), "2")
        store.flush()
        store.compact(to: deletion)
        for restarts in 0..<2 {
            let cursor = try store.watch(prefixes: [[]], after: deletion, visibility: .durable)
            let changes = try cursor.poll()
            #expect(changes.map(\.revision) == [creation])
            #expect(changes.map(\.isCreate) == [true])
            #expect(cursor.revision == creation)
            let before = Revision(rawValue: deletion.rawValue - 1)
            if restarts == 0 {
                let error = #expect(throws: StoreError.self) {
                    try store.watch(prefixes: [[]], after: before, visibility: .durable)
                }
                guard case .compacted = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
            } else {
                // The log still holds it, so it may be told; it must be told whole.
                let all = try store.watch(prefixes: [[]], after: before, visibility: .durable).poll()
                #expect(all.map(\.kind) == [.delete, .put])
            }
            store = try Keyspace.simulated(on: disk.copied(), keys: keys)
        }
    }

    @Test func theFutureCannotBeWatched() throws {
        let store = try newStore()
        #expect(throws: StoreError.self) {
            try store.watch(prefixes: [[]], after: Revision(rawValue: 2), visibility: .sequenced)
        }
    }

    @Test func closingEndsWatches() throws {
        let store = try newStore()
        let cursor = try store.watch(prefixes: [[]], after: .empty, visibility: .sequenced)
        let bell = Bell()
        cursor.onChange { bell.ring() }
        store.close()
        #expect(bell.rings == 1)
        #expect(throws: StoreError.self) { try cursor.poll() }
    }

    /// A reader that compaction overtakes learns of it, and has until then seen every change of its own.
    @Test(arguments: [21, 22] as [UInt64])
    func compactionEndsSlowWatchesAndNoOthers(seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        let store = try newStore()
        var (ended, resumed) = (0, 0)
        var cursor = try store.watch(prefixes: [StoreKey.prefix(configMaps)], after: .empty, visibility: .durable)
        var last = Revision.empty
        var changed: [Revision] = []
        for step in 0..<3000 {
            let isOurs = !random.oneIn(4)
            let revision = try store.put(key("k\(step % 9)", isOurs ? configMaps : secrets), "\(step)")
            if isOurs { changed.append(revision) }
            if random.oneIn(2) { store.flush() }
            if random.oneIn(30) {
                store.compact(to: Revision(rawValue: store.durableRevision.rawValue - UInt64(random.next(below: 20))))
            }
            guard random.oneIn(12) else { continue }
            do throws(StoreError) {
                let seen = try cursor.poll().map(\.revision)
                #expect(seen == changed.filter { $0 > last && $0 <= cursor.revision }, "seed \(seed)")
                last = cursor.revision
                if seen.isEmpty { cursor.onChange {} }
                resumed += 1
            } catch {
                guard case .compacted = error else { throw error }
                #expect(last < store.compactedRevision, "seed \(seed)")
                ended += 1
                last = store.durableRevision
                cursor = try store.watch(prefixes: [StoreKey.prefix(configMaps)], after: last, visibility: .durable)
            }
        }
        #expect(ended > 10)
        #expect(resumed > 50)
    }

    /// Watches started anywhere, polled at random, resumed at random: together they see every change of theirs once.
    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func watchesAgreeWithHistory(seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        let store = try newStore { $0.historyRevisions = 400 }
        var history: [(UInt64, StoreKey)] = []
        var readers:
            [(
                cursor: Cursor, visibility: Keyspace.Visibility, prefix: [UInt8], start: UInt64,
                seen: [(UInt64, StoreKey)]
            )] = []
        let prefixes = [
            [], StoreKey.prefix(configMaps), StoreKey.prefix(configMaps, namespace: "n1"),
            key("k3", namespace: "n2").bytes,
        ]
        for step in 0..<2000 {
            let keys = (0...random.next(below: 3)).map { _ in
                key(
                    "k\(random.next(below: 5))", namespace: "n\(random.next(below: 3))",
                    random.oneIn(3) ? secrets : configMaps)
            }
            let distinct = Set(keys).sorted()
            let revision = try store.commit(Transaction(operations: distinct.map { put($0, "\(step)") }))
            history += distinct.map { (revision.rawValue, $0) }
            if random.oneIn(3) { store.flush() }
            if random.oneIn(40) {
                let visibility: Keyspace.Visibility = random.oneIn(2) ? .durable : .sequenced
                let prefix = prefixes[random.next(below: prefixes.count)]
                let start = visibility == .durable ? store.durableRevision : store.sequencedRevision
                let cursor = try store.watch(prefixes: [prefix], after: start, visibility: visibility)
                readers.append((cursor, visibility, prefix, start.rawValue, []))
            }
            for index in readers.indices where random.oneIn(8) {
                readers[index].seen += try readers[index].cursor.poll().map { ($0.revision.rawValue, $0.key) }
                if random.oneIn(5) { readers[index].cursor.onChange {} }
                guard random.oneIn(10) else { continue }
                let revision = readers[index].cursor.revision
                readers[index].cursor.cancel()
                readers[index].cursor = try store.watch(
                    prefixes: [readers[index].prefix], after: revision, visibility: readers[index].visibility)
            }
        }
        store.flush()
        for reader in readers {
            var seen = reader.seen
            while case let changes = try reader.cursor.poll(), !changes.isEmpty {
                seen += changes.map { ($0.revision.rawValue, $0.key) }
            }
            let covers = { (key: StoreKey) in
                reader.prefix.isEmpty || reader.prefix.last == 0
                    ? key.bytes.starts(with: reader.prefix) : key.bytes == reader.prefix
            }
            let expected = history.filter { $0.0 > reader.start && covers($0.1) }
            #expect(seen.map(\.0) == expected.map(\.0), "seed \(seed)")
            #expect(seen.map(\.1) == expected.map(\.1), "seed \(seed)")
        }
        #expect(readers.count > 20)
    }
}
