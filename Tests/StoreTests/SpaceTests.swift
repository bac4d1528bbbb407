import Documents
import Journal
import Seams
import Simulation
import Store
import Synchronization
import Testing

/// A device without space: what does not fit is not written at all, is written once there is room, and until then the
/// store refuses, serves what it has, and forgets nothing it acknowledged.
struct SpaceTests {
    private let keys = SealingKeys.ephemeral()

    private func open(_ disk: CrashingDisk, clock: any Clock = StillClock(), growthBytes: Int = 512) throws -> Keyspace
    {
        try Keyspace.simulated(on: disk, clock: clock, keys: keys) { configuration in
            configuration.journal.segmentBytes = 2048
            configuration.journal.growthBytes = growthBytes
            configuration.segmentsPerTable = 2
            configuration.historyRevisions = 12
        }
    }

    private func contents(_ snapshot: Snapshot) throws -> [StoreKey: String] {
        let entries = try snapshot.list(prefix: []).map {
            ($0.key, String(decoding: try $0.value.array, as: UTF8.self))
        }
        return Dictionary(uniqueKeysWithValues: entries)
    }

    /// Writes until the disk refuses or the script ends; returns what stands there then.
    private func fill(_ store: Keyspace, _ model: inout [StoreKey: String]) throws {
        for number in 0..<160 {
            let text = "value \(number) " + String(repeating: "x", count: number * 37 % 300)
            do throws(StoreError) {
                let key = key("k\(number % 9)", number % 4 == 0 ? secrets : configMaps)
                _ = try store.commit(Transaction(operations: [put(key, text, sealed: number % 4 == 0)]))
                model[key] = text
            } catch {
                guard case .full = error else { throw error }
                return
            }
            if number % 3 == 0 { store.flush() }
        }
    }

    @Test func everySizeOfDiskIsARefusalAndSpaceEndsIt() throws {
        var refusals = 0
        for limit in stride(from: 600, through: 16_000, by: 139) {
            let disk = CrashingDisk(random: SeededRandom(seed: UInt64(limit)))
            disk.limit(bytes: limit)
            let store = try open(disk)
            var model: [StoreKey: String] = [:]
            try fill(store, &model)
            store.flush()
            guard case .full = store.writeRefusal else { continue }
            refusals += 1
            let durable = store.durableRevision
            let acknowledged = try contents(store.snapshot(.durable))
            for left in [disk.copied(), disk.restarted()] {
                left.limit(bytes: .max)
                let again = try open(left)
                #expect(again.durableRevision >= durable, "limit \(limit)")
                #expect(try contents(again.snapshot(at: durable)) == acknowledged, "limit \(limit)")
            }
            disk.limit(bytes: .max)
            store.flush()
            #expect(store.writeRefusal == nil, "limit \(limit)")
            #expect(store.durableRevision == store.sequencedRevision)
            try fill(store, &model)
            store.flush()
            #expect(try contents(store.snapshot(.durable)) == model, "limit \(limit)")
            #expect(try contents(open(disk.restarted()).snapshot(.durable)) == model, "limit \(limit)")
        }
        print("full disks: \(refusals) sizes at which writing stopped and went on")
        #expect(refusals > 50)
    }

    @Test func aCrashWhileTheDiskIsFullLosesNothing() throws {
        var crashes = 0
        for limit in stride(from: 900, through: 27_000, by: 1620) {
            for point in stride(from: 5, through: 200, by: 7) {
                let disk = CrashingDisk(random: SeededRandom(seed: UInt64(limit + point)))
                disk.limit(bytes: limit)
                let store = try open(disk)
                disk.crash(atOperation: disk.operations + point)
                var model: [StoreKey: String] = [:]
                do throws(StoreError) { try write(store, &model) } catch {
                    guard case .readOnly = error else { throw error }
                }
                for _ in 0..<3 { store.flush() }
                disk.limit(bytes: limit * 3)
                store.flush()
                guard disk.hasCrashed else { continue }
                crashes += 1
                let again = try open(disk.restarted())
                #expect(again.durableRevision >= store.durableRevision, "limit \(limit), crash at \(point)")
            }
        }
        #expect(crashes > 50)
    }

    private func write(_ store: Keyspace, _ model: inout [StoreKey: String]) throws(StoreError) {
        do { try fill(store, &model) } catch let error as StoreError { throw error } catch { throw .closed }
    }

    @Test func aWriteThatDoesNotFitIsAnsweredWhenItDoes() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 5))
        let clock = StillClock()
        let store = try open(disk, clock: clock)
        let told = Mutex<[String]>([])
        store.onWritability { refusal in told.withLock { $0.append(refusal == nil ? "open" : "refusing") } }
        disk.limit(bytes: 0)
        let answers = Mutex<[String]>([])
        func expectAnswer(_ revision: Revision, _ name: String) {
            store.whenDurable(revision) { result in
                answers.withLock { list in
                    switch result {
                    case .success: list.append("\(name) durable")
                    case .failure(.full): list.append("\(name) gave up")
                    case .failure(let error): list.append("\(name) \(error)")
                    }
                }
            }
        }
        let first = try store.put(key("a"), "1")
        expectAnswer(first, "first")
        let error = #expect(throws: StoreError.self) { try store.put(key("b"), "1") }
        #expect(error?.description.contains("writing resumes by itself") == true)
        clock.advance(StoreLimits.stalledWait + .seconds(1))
        expectAnswer(first, "second")
        store.flush()
        #expect(answers.withLock { $0 } == ["first gave up"])
        #expect(try store.text(key("a"), .durable) == nil)
        disk.limit(bytes: .max)
        store.flush()
        #expect(answers.withLock { $0 } == ["first gave up", "second durable"])
        #expect(told.withLock { $0 } == ["refusing", "open"])
        #expect(try store.text(key("a"), .durable) == "1")
        #expect(try store.put(key("b"), "1") == first.next)
    }

    /// Growing fails in its sync: the zeros may be lost, and nothing else was under way.
    @Test func aSyncThatFindsNoSpaceForZerosIsTriedAgain() throws {
        var stalls = 0
        for operation in 1...8 {
            let disk = CrashingDisk(random: SeededRandom(seed: 5))
            let store = try open(disk, growthBytes: 0)
            disk.fail(atOperation: disk.operations + operation, with: .noSpace)
            try store.put(key("a"), String(repeating: "x", count: 600))
            store.flush()
            if case .full = store.writeRefusal {
                stalls += 1
                store.flush()
                #expect(store.writeRefusal == nil)
                #expect(try open(disk.restarted()).text(key("a"))?.count == 600)
            }
        }
        // The growth and its sync; after them no error is one of space only.
        #expect(stalls == 2)
    }

    /// The log grows ahead of its records, and goes without that before it refuses anything.
    @Test func aDeviceIsUsedToItsEnd() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 6))
        let store = try open(disk, growthBytes: 1 << 20)
        let used = disk.contents.reduce(0) { $0 + $1.bytes.count }
        disk.limit(bytes: used + 8192)
        for number in 0..<10 {
            try store.put(key("k\(number)"), String(repeating: "x", count: 300))
            store.flush()
            #expect(store.writeRefusal == nil, "\(number)")
        }
        #expect(try open(disk.restarted()).text(key("k9"))?.count == 300)
    }
}
