import Documents
import Journal
import Seams
import Simulation
import Store
import Testing

/// A snapshot leaves the data directory and becomes a new store, which is ahead of everything the old one said.
struct SnapshotFileTests {
    private let keys = SealingKeys.ephemeral()
    private let now = Instant(seconds: 1_800_000_000)

    private func open(_ disk: CrashingDisk, _ directory: String = "data") throws -> Keyspace {
        var configuration = StoreConfiguration()
        configuration.committing = .inline
        configuration.journal.segmentBytes = 2048
        configuration.journal.growthBytes = 512
        configuration.segmentsPerTable = 2
        configuration.historyRevisions = 40
        return try Keyspace.open(
            directory: directory, fileSystem: disk, clock: StillClock(), keys: keys, configuration: configuration)
    }

    private func filled(_ disk: CrashingDisk) throws -> Keyspace {
        let store = try open(disk)
        for number in 0..<100 {
            let isSecret = number % 5 == 0
            let value = Array("rev=;\(number) ".utf8) + Array(repeating: UInt8(number), count: number * 13 % 200)
            let key = key("k\(number % 30)", isSecret ? secrets : configMaps)
            _ = try store.commit(
                Transaction(operations: [.put(key, value: value, revisionOffset: 4, sealed: isSecret)]))
            if number % 3 == 0 { store.flush() }
        }
        store.flush()
        return store
    }

    private func file(_ store: Keyspace, at revision: Revision? = nil) throws -> [UInt8] {
        var writer = try store.snapshotWriter(at: revision)
        var bytes: [UInt8] = []
        while let piece = try writer.next() { bytes += piece }
        return bytes
    }

    private func contents(_ snapshot: Snapshot) throws -> [StoreKey: [UInt8]] {
        Dictionary(uniqueKeysWithValues: try snapshot.list(prefix: []).map { ($0.key, try $0.value.array) })
    }

    private func restore(_ bytes: [UInt8], to disk: CrashingDisk, _ directory: String) throws
        -> StoreRestoration.Outcome
    {
        try StoreRestoration.restore(
            SnapshotFile.read(bytes, file: "snapshot"), to: directory, fileSystem: disk, keys: keys, now: now)
    }

    @Test func aRestoredStoreHoldsTheSameAndIsFarAhead() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try filled(disk)
        let bytes = try file(store)
        let outcome = try restore(bytes, to: disk, "new")
        #expect(outcome.source == store.durableRevision)
        #expect(outcome.start.rawValue > store.durableRevision.rawValue + 1 << 32)
        let restored = try open(disk.restarted(), "new")
        #expect(try contents(restored.snapshot(.durable)) == contents(store.snapshot(.durable)))
        #expect(restored.durableRevision == outcome.start)
        // Who watched the old store is told to read again, wherever it had come to.
        for old in [
            Revision(rawValue: 2), store.durableRevision, Revision(rawValue: store.durableRevision.rawValue + 500),
        ] {
            #expect(throws: StoreError.self) { try restored.watch(prefixes: [[]], after: old, visibility: .durable) }
        }
        #expect(try restored.put(key("more"), "1") == outcome.start.next)
        restored.flush()
        #expect(StoreVerification.run(data: "new", fileSystem: disk, keys: keys).problems.isEmpty)
    }

    @Test func aSecondRestoreIsAheadOfTheFirst() {
        let source = Revision(rawValue: 5000)
        let first = StoreRestoration.start(after: source, now: now)
        let second = StoreRestoration.start(after: source, now: now + .seconds(1))
        #expect(second.rawValue - first.rawValue >= 1 << 32)
        #expect(StoreRestoration.start(after: second, now: now) > second)
        // A clock that says nothing sensible.
        let wrong = StoreRestoration.start(after: source, now: Instant(seconds: 0))
        #expect(wrong.rawValue >= source.rawValue + 1 << 32)
        #expect(wrong.rawValue % (1 << 32) == 0)
    }

    @Test func thePastIsASnapshotToo() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try filled(disk)
        let past = Revision(rawValue: store.durableRevision.rawValue - 20)
        _ = try restore(try file(store, at: past), to: disk, "new")
        #expect(try contents(open(disk, "new").snapshot(.durable)) == contents(store.snapshot(at: past)))
        #expect(throws: StoreError.self) { try store.snapshotWriter(at: Revision(rawValue: 2)) }
        #expect(throws: StoreError.self) { try store.snapshotWriter(at: Revision(rawValue: 20_000)) }
    }

    @Test func nothingIsRestoredOverAStoreOrWithoutItsKeys() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let bytes = try file(try filled(disk))
        #expect(throws: StoreError.self) { try restore(bytes, to: disk, "data") }
        let read = try SnapshotFile.read(bytes, file: "snapshot")
        let error = #expect(throws: StoreError.self) {
            try StoreRestoration.restore(read, to: "new", fileSystem: disk, keys: .ephemeral(), now: now)
        }
        #expect(error?.description.contains("sealing key 1") == true)
        #expect(try disk.exists("new/log") == false)
    }

    /// Power fails at every step of a restore: what is left is the whole store, or says that it is not and begins anew.
    @Test func aRestoreThatIsCutShortBeginsAnew() throws {
        let source = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try filled(source)
        let (bytes, model) = (try file(store), try contents(store.snapshot(.durable)))
        var (crashes, refusals) = (0, 0)
        while true {
            let disk = CrashingDisk(random: SeededRandom(seed: UInt64(crashes)))
            disk.crash(atOperation: crashes + 1)
            _ = try? restore(bytes, to: disk, "new")
            guard disk.hasCrashed else { break }
            crashes += 1
            let left = disk.restarted()
            if try left.exists("new/restoring") {
                refusals += 1
                let error = #expect(throws: StoreError.self) { try open(left, "new") }
                #expect(error?.description.contains("cut short") == true)
                #expect(!StoreVerification.run(data: "new", fileSystem: left, keys: keys).problems.isEmpty)
                _ = try restore(bytes, to: left, "new")
            } else if try left.exists("new/log"), try !left.list("new/log").isEmpty {
                // Nothing but the end of the marker was under way.
            } else {
                _ = try restore(bytes, to: left, "new")
            }
            #expect(try contents(open(left, "new").snapshot(.durable)) == model, "crash at step \(crashes)")
            #expect(StoreVerification.run(data: "new", fileSystem: left, keys: keys).problems.isEmpty)
        }
        print("restore: \(crashes) crash points, \(refusals) refused")
        #expect(crashes > 12 && refusals > 8)
    }

    /// A full disk in the middle leaves the directory as empty as it was.
    @Test func aRestoreThatFindsNoSpaceLeavesNothing() throws {
        let bytes = try file(filled(CrashingDisk(random: SeededRandom(seed: 1))))
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        disk.limit(bytes: 3000)
        #expect(throws: StoreError.self) { try restore(bytes, to: disk, "new") }
        #expect(try disk.exists("new/restoring") == false)
        #expect(try disk.list("new/log") == [])
        disk.limit(bytes: .max)
        #expect(try restore(bytes, to: disk, "new").documents > 20)
    }

    @Test func aSnapshotHoldsNoSecretInClear() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try open(disk)
        _ = try store.commit(Transaction(operations: [put(key("s", secrets), "canary-5511", sealed: true)]))
        store.flush()
        #expect(!String(decoding: try file(store), as: UTF8.self).contains("canary"))
    }

    @Test func everyChangedByteOfASnapshotIsNoticed() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let bytes = try file(try filled(disk))
        for index in stride(from: 0, to: bytes.count, by: 3) {
            var changed = bytes
            changed[index] ^= 1 << (index % 8)
            #expect(throws: StoreError.self, "byte \(index)") { try SnapshotFile.read(changed, file: "snapshot") }
        }
        for length in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: StoreError.self, "\(length) bytes") {
                try SnapshotFile.read(Array(bytes[..<length]), file: "snapshot")
            }
        }
        #expect(throws: StoreError.self) { try SnapshotFile.read(bytes + [0], file: "snapshot") }
        var newer = bytes
        newer[8] = 2
        let error = #expect(throws: StoreError.self) { try SnapshotFile.read(newer, file: "snapshot") }
        #expect(error?.description.contains("format is 2") == true)
    }
}
