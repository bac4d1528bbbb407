import Documents
import Journal
import Seams
import Simulation
import Store
import Testing

/// The check of all files finds what opening finds, and says it without changing anything.
struct VerificationTests {
    private let keys = SealingKeys.ephemeral()

    private func open(_ disk: CrashingDisk) throws -> Keyspace {
        try Keyspace.simulated(on: disk, keys: keys) { configuration in
            configuration.journal.segmentBytes = 1024
            configuration.journal.growthBytes = 0
            configuration.segmentsPerTable = 2
            configuration.historyRevisions = 6
        }
    }

    private func filled(_ disk: CrashingDisk) throws -> Keyspace {
        let store = try open(disk)
        for number in 0..<40 {
            let key = key("k\(number % 5)", number % 5 == 0 ? secrets : configMaps)
            _ = try store.commit(Transaction(operations: [put(key, "value \(number)", sealed: number % 5 == 0)]))
            if number % 7 == 6 { _ = try store.commit(Transaction(operations: [.delete(key)])) }
            store.flush()
        }
        return store
    }

    private func verify(_ disk: CrashingDisk, _ live: Keyspace? = nil) -> StoreVerification.Report {
        StoreVerification.run(data: "data", fileSystem: disk, keys: keys, live: live)
    }

    @Test func aStoreWithoutFaultSaysWhatWasChecked() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 3))
        let store = try filled(disk)
        let live = verify(disk, store)
        #expect(live.problems.isEmpty)
        #expect(live.lastRevision == store.durableRevision)
        #expect(live.documents == store.snapshot(.durable).count(prefix: []))
        #expect(live.notes.contains { $0.hasPrefix("compared with the running server") })
        #expect(live.lines.last == StoreVerification.Report.noProblems)
        store.close()
        let offline = verify(disk)
        #expect(offline.problems.isEmpty)
        #expect(offline.files == disk.contents.count { $0.path.hasPrefix("data/log/") })
        #expect(offline.records > 0)
    }

    @Test func aMemoryThatDiffersFromTheDiskIsAProblem() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 3))
        let store = try filled(disk)
        let other = CrashingDisk(random: SeededRandom(seed: 4))
        let stranger = try filled(other)
        _ = try stranger.put(key("k1"), "another")
        stranger.flush()
        _ = try store.put(key("k1"), "this")
        store.flush()
        #expect(verify(disk, store).problems.isEmpty)
        #expect(!verify(disk, stranger).problems.isEmpty)
    }

    @Test func everyFlippedBitIsAProblemOrHarmless() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 3))
        try filled(disk).close()
        var found = 0
        for (path, bytes) in disk.contents where path.hasPrefix("data/log/") {
            for index in stride(from: 0, to: bytes.count, by: 5) {
                let copy = disk.copied()
                copy.alter(path) { $0[index] ^= 1 << (index % 8) }
                let before = copy.contents.map(\.bytes)
                let report = verify(copy)
                #expect(copy.contents.map(\.bytes) == before)
                let opens = (try? open(copy)) != nil
                // What has rotted in a table is otherwise told only when it is read.
                let mayOpen = path.hasSuffix(".table")
                #expect(
                    opens == report.problems.isEmpty || opens && mayOpen, "\(path), byte \(index): \(report.lines)")
                if let problem = report.problems.first {
                    found += 1
                    #expect(problem.file.hasPrefix("data/log"))
                }
            }
        }
        #expect(found > 200)
    }

    @Test func aMissingFileIsAProblem() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 3))
        try filled(disk).close()
        let names = try disk.list("data/log")
        let last = names.last { $0.hasSuffix(".log") }
        for name in names where name != last {
            let copy = disk.copied()
            try copy.remove("data/log/\(name)")
            #expect(!verify(copy).problems.isEmpty, "\(name)")
        }
    }

    @Test func aNewerFormatIsRefusedAndNothingRemoved() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 3))
        try filled(disk).close()
        let path = try #require(disk.contents.last { $0.path.hasSuffix(".log") }?.path)
        let first = try #require(UInt64(path.dropFirst("data/log/".count).prefix(16), radix: 16))
        let header = Segment(firstRevision: first, previous: .origin).header(version: 3)
        disk.alter(path) { $0.replaceSubrange(0..<512, with: header) }
        let before = disk.contents.filter { $0.path != "data/lock" }.map(\.bytes)
        let error = #expect(throws: StoreError.self) { try open(disk) }
        guard case .newer(let file, 3, 2) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(file == path)
        #expect(disk.contents.filter { $0.path != "data/lock" }.map(\.bytes) == before)
    }
}

/// The log is compared with what a running store holds.
struct LogVerificationTests {
    private func filled(_ disk: CrashingDisk) throws -> Keyspace {
        let store = try Keyspace.simulated(on: disk) { $0.historyRevisions = 30 }
        for number in 0..<120 {
            let isSecret = number % 5 == 0
            let key = key("k\(number % 9)", isSecret ? secrets : configMaps)
            _ = try store.commit(Transaction(operations: [put(key, "value \(number)", sealed: isSecret)]))
            if number % 4 == 0 { store.flush() }
        }
        return store
    }

    @Test func aLogWithoutFaultIsLeftAlone() throws {
        let store = try filled(CrashingDisk(random: SeededRandom(seed: 3)))
        try store.verifyLog()
        store.flush()
        try store.verifyLog()
        #expect(store.writeRefusal == nil)
    }

    /// A log that is whole and another: every checksum is right, and memory does not hold what it says.
    @Test func aMemoryThatDiffersFromTheLogEndsWrites() throws {
        let disks = [3, 4].map { CrashingDisk(random: SeededRandom(seed: $0)) }
        let stores = try disks.map { try Keyspace.simulated(on: $0) }
        for (store, value) in zip(stores, ["this", "that"]) {
            for number in 0..<9 { try store.put(key("k\(number)"), number == 5 ? value : "same") }
            store.flush()
            try store.verifyLog()
        }
        let path = try #require(disks[1].contents.first { $0.path.hasSuffix(".log") })
        disks[0].alter(path.path) { $0 = path.bytes }
        let error = #expect(throws: StoreError.self) { try stores[0].verifyLog() }
        #expect(error?.description.contains("k5 is held in memory with another value") == true)
        #expect(stores[0].writeRefusal != nil)
    }

    /// Every byte of a durable record, in the file under the running store.
    @Test func whatRotsUnderARunningStoreEndsItsWrites() throws {
        var (found, harmless) = (0, 0)
        let seed = CrashingDisk(random: SeededRandom(seed: 3))
        let store = try filled(seed)
        let durable = store.durableRevision
        for (path, bytes) in seed.contents where path.hasSuffix(".log") {
            for index in stride(from: 0, to: bytes.count, by: 37) where bytes[index] != 0 {
                let disk = CrashingDisk(random: SeededRandom(seed: 3))
                let store = try filled(disk)
                #expect(store.durableRevision == durable)
                disk.alter(path) { $0[index] ^= 1 }
                do throws(StoreError) {
                    try store.verifyLog()
                    harmless += 1
                } catch {
                    found += 1
                    guard case .damaged(let file, _, _, _) = error else {
                        Issue.record("\(error)")
                        continue
                    }
                    #expect(file.hasSuffix(path))
                    #expect(store.writeRefusal?.description.contains("read-only") == true)
                    #expect(throws: StoreError.self) { try store.put(key("a"), "b") }
                }
            }
        }
        print("log verification: \(found) of \(found + harmless) changed bytes found")
        // Harmless: the note behind the last record, which is not durable, and what memory has forgotten.
        #expect(found > 9 * harmless && found > 100)
    }
}
