import Documents
import Journal
import Seams
import Simulation
import Store
import Testing

/// Bits flip on the disk. What is read afterwards is what was written, or an error that says where; never anything
/// else.
struct DamageTests {
    private let keys = SealingKeys.ephemeral()

    private func open(_ disk: CrashingDisk) throws -> Keyspace {
        try Keyspace.simulated(on: disk, keys: keys) { configuration in
            configuration.journal.segmentBytes = 1024
            configuration.journal.growthBytes = 0
            configuration.segmentsPerTable = 2
            configuration.historyRevisions = 6
        }
    }

    /// A small store that was closed cleanly, and what is in it.
    private func smallStore() throws -> (CrashingDisk, [StoreKey: [UInt8]], Revision) {
        let disk = CrashingDisk(random: SeededRandom(seed: 3))
        let store = try open(disk)
        for number in 0..<30 {
            let key = key("k\(number % 5)", number % 5 == 0 ? secrets : configMaps)
            _ = try store.commit(Transaction(operations: [put(key, "value \(number)", sealed: number % 5 == 0)]))
            store.flush()
        }
        store.close()
        return (disk, try contents(store), store.durableRevision)
    }

    private func contents(_ store: Keyspace) throws(StoreError) -> [StoreKey: [UInt8]] {
        var contents: [StoreKey: [UInt8]] = [:]
        for entry in store.snapshot(.durable).list(prefix: []) { contents[entry.key] = try entry.value.array }
        return contents
    }

    @Test func everyFlippedBitIsDetectedOrHarmless() throws {
        let (disk, expected, revision) = try smallStore()
        #expect(disk.contents.contains { $0.path.hasSuffix(".table") })
        var (detected, harmless) = (0, 0)
        for (path, bytes) in disk.contents where path.hasPrefix("data/log/") {
            // All bits of the headers and a part of the rest: every byte is flipped, in one bit or in eight.
            for index in bytes.indices {
                for bit in index < 128 ? Array(0..<8) : [index % 8] {
                    let copy = disk.copied()
                    copy.alter(path) { $0[index] ^= 1 << bit }
                    do throws(StoreError) {
                        let store = try open(throwing: copy)
                        let found = try contents(store)
                        #expect(found == expected, "\(path), byte \(index), bit \(bit)")
                        #expect(store.durableRevision == revision)
                        harmless += 1
                    } catch {
                        guard case .damaged(let file, _, _, let remedy) = error else { throw error }
                        #expect(file.hasPrefix("data/log/"))
                        #expect(!remedy.isEmpty)
                        detected += 1
                    }
                }
            }
        }
        print("flipped bits: \(detected) detected, \(harmless) harmless")
        #expect(detected > 1000)
    }

    private func open(throwing disk: CrashingDisk) throws(StoreError) -> Keyspace {
        do { return try open(disk) } catch let error as StoreError { throw error } catch { throw .closed }
    }

    @Test func missingFilesAreNoticed() throws {
        let (disk, _, _) = try smallStore()
        for (path, _) in disk.contents where path.hasPrefix("data/log/") {
            let copy = disk.copied()
            try copy.remove(path)
            let isLast = path == disk.contents.last { $0.path.hasSuffix(".log") }?.path
            // The last segment leaves no trace of itself anywhere else; all others do.
            if !isLast { #expect(throws: StoreError.self, "\(path)") { try open(copy) } }
        }
    }

    @Test func nothingIsChangedWhenDamageIsFound() throws {
        let (disk, _, _) = try smallStore()
        let path = try #require(disk.contents.first { $0.path.hasSuffix(".log") }?.path)
        disk.alter(path) { $0[600] ^= 1 }
        let before = disk.contents.filter { $0.path != "data/lock" }
        #expect(throws: StoreError.self) { try open(disk) }
        let after = disk.contents.filter { $0.path != "data/lock" }
        #expect(before.map(\.path) == after.map(\.path))
        #expect(before.map(\.bytes) == after.map(\.bytes))
    }
}
