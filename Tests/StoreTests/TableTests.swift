import Documents
import Journal
import Seams
import Simulation
import Testing

@testable import Store

/// Values move from memory into tables, tables into one another, and stay what they were.
struct TableTests {
    private let keys = SealingKeys.ephemeral()

    private func open(_ disk: CrashingDisk) throws -> Keyspace {
        try Keyspace.simulated(on: disk, keys: keys) { configuration in
            configuration.journal.segmentBytes = 2048
            configuration.journal.growthBytes = 0
            configuration.historyRevisions = 5
        }
    }

    private func tableNames(_ disk: CrashingDisk) -> [String] {
        disk.contents.map(\.path).filter { $0.hasSuffix(TableFormat.suffix) }
    }

    @Test func valuesLeaveMemoryWhenATableHoldsThem() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try open(disk)
        try store.put(key("old"), "value")
        let entry = try #require(store.snapshot(.sequenced).get(key("old")))
        let before = store.snapshot(.sequenced)
        #expect(entry.isInMemory)
        for number in 0..<200 {
            try store.put(key("k\(number % 3)"), "\(number) \(String(repeating: "x", count: 100))")
            store.flush()
        }
        #expect(!tableNames(disk).isEmpty)
        #expect(!entry.isInMemory)
        #expect(try entry.value == Bytes(Array("value".utf8)))
        #expect(try before.get(key("old"))?.value.count == 5)
        // What was just written is in no table yet.
        #expect(store.snapshot(.sequenced).get(key("k1"))?.isInMemory == true)
        let again = try open(disk.copied())
        let found = try #require(again.snapshot(.durable).get(key("old")))
        #expect(!found.isInMemory)
        #expect(found.modRevision == entry.modRevision && found.createRevision == entry.createRevision)
        #expect(try found.value == entry.value)
    }

    @Test func anEntryIsOneSmallAllocation() {
        #expect(MemoryLayout<EntryHeader>.size == 41)
        #expect(MemoryLayout<Entry?>.size == 8)
    }

    /// A store against a plain dictionary, over random writes, tables, merges, and starts.
    @Test(arguments: [31, 32, 33, 34] as [UInt64])
    func theStoreAgreesWithAModel(seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        var disk = CrashingDisk(random: random)
        var store = try open(disk)
        var model: [StoreKey: [UInt8]] = [:]
        var (merges, tables) = (0, 0)
        var kept: (snapshot: Snapshot, model: [StoreKey: [UInt8]]) = (store.snapshot(.sequenced), model)
        for step in 0..<1500 {
            let name = key("k\(random.next(below: 60))", random.oneIn(5) ? secrets : configMaps)
            if random.oneIn(3) {
                _ = try store.commit(Transaction(operations: [.delete(name)]))
                model[name] = nil
            } else {
                let value = Array("\(step) ".utf8) + Array(repeating: 7, count: random.next(below: 300))
                let isSealed = name.objectKey.resource == secrets
                let put = Transaction.Operation.put(name, value: value, revisionOffset: nil, sealed: isSealed)
                _ = try store.commit(Transaction(operations: [put]))
                model[name] = value
            }
            if random.oneIn(3) { store.flush() }
            if random.oneIn(200) { kept = (store.snapshot(.sequenced), model) }
            guard random.oneIn(60) else { continue }
            tables = max(tables, store.statistics.tables)
            if random.oneIn(2) {
                store.flush()
                merges += store.statistics.merges
                disk = disk.copied()
                store = try open(disk)
                #expect(store.statistics.documents == model.count)
            }
            #expect(try contents(store.snapshot(.sequenced)) == model, "seed \(seed), step \(step)")
            // A snapshot outlives the tables it was made over.
            #expect(try contents(kept.snapshot) == kept.model, "seed \(seed), step \(step)")
            try store.verifyTables()
        }
        #expect(merges > 5)
        #expect(tables > 1 && tables < 12)
    }

    /// Every value, read one by one and all at once.
    private func contents(_ snapshot: Snapshot) throws -> [StoreKey: [UInt8]] {
        let entries = snapshot.list(prefix: [])
        var contents: [StoreKey: [UInt8]] = [:]
        try entries.readValues { contents[entries[$0].key] = Array($1) }
        for entry in entries { #expect(try entry.value.array == contents[entry.key]) }
        return contents
    }

    @Test func theDiskHoldsLittleMoreThanWhatIsLive() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 9))
        let store = try open(disk)
        let value = String(repeating: "v", count: 400)
        var (written, most) = (0, 0)
        for number in 0..<2500 {
            try store.put(key("k\(number % 40)"), "\(number) \(value)")
            written += value.utf8.count
            store.flush()
            most = max(most, store.statistics.tableBytes)
            #expect(store.statistics.tables < 10)
        }
        let live = store.statistics.liveBytes
        #expect(written > 50 * live)
        // Between merges; while one is under way its output comes on top, which is not more than what is live.
        #expect(most < live * 3 / 2 + 6 * 2048)
        let total = disk.contents.reduce(0) { $0 + $1.bytes.count }
        // History and the segments it is in come on top.
        #expect(total < live * 5 / 2 + 8 * 2048, "\(total) bytes for \(live)")
        for number in 0..<40 { _ = try store.commit(Transaction(operations: [.delete(key("k\(number)"))])) }
        for number in 0..<200 {
            try store.put(key("other"), "\(number) \(value)")
            store.flush()
        }
        #expect(store.statistics.tableBytes < 4 * 2048)
    }

    @Test func rotIsFoundInTheBackgroundAndEndsWriting() throws {
        let (disk, store) = try storeWithTables()
        try store.verifyTables()
        let path = try #require(tableNames(disk).last)
        disk.alter(path) { $0[$0.count - TableFormat.footerSize - 20] ^= 4 }
        let error = #expect(throws: StoreError.self) { try store.verifyTables() }
        guard case .damaged(path, _, _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(store.writeRefusal != nil)
        let refusal = #expect(throws: StoreError.self) { try store.put(key("a"), "1") }
        #expect(refusal?.description.contains(path) == true)
    }

    @Test func aNewerFormatIsRefusedAsThat() throws {
        let (disk, _) = try storeWithTables()
        let path = try #require(tableNames(disk).last)
        disk.alter(path) { bytes in
            bytes[8] = 2
            let end = TableFormat.headerSize - Checksum.size
            let sum = bytes[..<end].withUnsafeBytes { Checksum.of($0, seed: UInt64(TableFormat.headerSize)) }
            withUnsafeBytes(of: sum.littleEndian) { bytes.replaceSubrange(end..<TableFormat.headerSize, with: $0) }
        }
        let error = #expect(throws: StoreError.self) { try open(disk.copied()) }
        guard case .newer(path, 2, 1) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.description.contains("newer version of Espalier") == true)
    }

    private func storeWithTables() throws -> (CrashingDisk, Keyspace) {
        let disk = CrashingDisk(random: SeededRandom(seed: 2))
        let store = try open(disk)
        for number in 0..<60 {
            try store.put(key("k\(number)"), "\(number) \(String(repeating: "x", count: 200))")
            store.flush()
        }
        #expect(!tableNames(disk).isEmpty)
        return (disk, store)
    }
}
