import Documents
import Journal
import Seams
import Simulation
import Store
import Testing

/// Keys are replaced while the store is used, and a crash at any step loses neither a value nor the way on.
struct RotationTests {
    private func open(_ disk: CrashingDisk, _ keys: SealingKeys) throws -> Keyspace {
        try Keyspace.simulated(on: disk, keys: keys) { configuration in
            configuration.journal.segmentBytes = 2048
            configuration.segmentsPerTable = 2
            configuration.historyRevisions = 8
        }
    }

    private func load(_ disk: CrashingDisk) throws -> SealingKeys {
        try SealingKeys.load(directory: "keys", fileSystem: disk, now: Instant(seconds: 1_800_000_000))
    }

    private func fill(_ store: Keyspace) throws -> [String: String] {
        var model: [String: String] = [:]
        for number in 0..<6 {
            let (name, text) = ("s\(number)", "secret \(number)")
            _ = try store.commit(Transaction(operations: [put(key(name, secrets), text, sealed: true)]))
            model[name] = text
        }
        try store.put(key("open"), "in clear")
        store.flush()
        return model
    }

    private func secretTexts(_ store: Keyspace) throws -> [String: String] {
        let entries = store.snapshot(.durable).list(prefix: StoreKey.prefix(secrets))
        let texts = try entries.map { ($0.key.objectKey.name, String(decoding: try $0.value.array, as: UTF8.self)) }
        return Dictionary(uniqueKeysWithValues: texts)
    }

    /// A whole rotation: the key, its use, the rewriting of what the older one sealed.
    private func rotate(_ store: Keyspace, _ disk: CrashingDisk) async throws {
        try store.adopt(SealingKeys.rotate(directory: "keys", fileSystem: disk))
        _ = try store.commit(Transaction(operations: [put(key("new", secrets), "sealed anew", sealed: true)]))
        _ = try await store.reseal { _, isSealed in isSealed }
    }

    @Test func rotationReplacesEverySealAndLeavesClearValuesAlone() async throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try open(disk, load(disk))
        let model = try fill(store)
        #expect(store.keyUse() == [1: 6, 0: 1])
        try await rotate(store, disk)
        #expect(store.keyUse() == [2: 7, 0: 1])
        #expect(store.hasOlderSeals == false)
        #expect(store.snapshot(.durable).get(key("open"))?.modRevision == Revision(rawValue: 8))
        #expect(try await store.reseal { _, isSealed in isSealed } == 0)
        let again = try open(disk.restarted(), load(disk))
        #expect(try secretTexts(again) == model.merging(["new": "sealed anew"]) { $1 })
    }

    @Test func aKeyIsNeededUntilNoFileNamesIt() async throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try open(disk, load(disk))
        let model = try fill(store)
        try await rotate(store, disk)
        let before = StoreVerification.run(data: "data", fileSystem: disk, keys: try load(disk), live: store)
        #expect(before.problems.isEmpty)
        #expect(before.values[1] == nil)
        #expect((before.filesByKey[1] ?? 0) > 0)
        let early = disk.copied()
        try early.remove("keys/1.key")
        #expect(throws: StoreError.self) { try open(early, load(early)) }
        // Time passes: tables take the place of the log that needs the old key.
        for number in 0..<80 {
            try store.put(key("churn"), String(repeating: "x", count: 100 + number))
            store.flush()
        }
        let after = StoreVerification.run(data: "data", fileSystem: disk, keys: try load(disk), live: store)
        #expect(after.problems.isEmpty)
        #expect(after.filesByKey[1] == nil)
        try disk.remove("keys/1.key")
        let again = try open(disk.copied(), load(disk))
        #expect(try secretTexts(again) == model.merging(["new": "sealed anew"]) { $1 })
    }

    @Test func everyStepOfARotationMayBeTheLast() async throws {
        var crashes = 0
        var point = 1
        while true {
            let disk = CrashingDisk(random: SeededRandom(seed: UInt64(point)))
            let store = try open(disk, load(disk))
            let model = try fill(store)
            disk.crash(atOperation: disk.operations + point)
            do {
                try await rotate(store, disk)
            } catch is StoreError {}
            guard disk.hasCrashed else { break }
            crashes += 1
            let left = disk.restarted()
            let keys = try load(left)
            let again = try open(left, keys)
            #expect(try secretTexts(again).filter { $0.key != "new" } == model, "crash at step \(point)")
            // Whoever comes next goes on where it stopped.
            _ = try await again.reseal { _, isSealed in isSealed }
            #expect(again.hasOlderSeals == false, "crash at step \(point)")
            #expect(try secretTexts(again).filter { $0.key != "new" } == model, "crash at step \(point)")
            point += 1
        }
        print("rotation: \(crashes) crash points")
        #expect(crashes > 10)
    }

    @Test func aChangedSettingIsBroughtToWhatIsStored() async throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try open(disk, load(disk))
        _ = try store.commit(
            Transaction(operations: [
                .put(key("a"), value: Array("rev=,text".utf8), revisionOffset: 4, sealed: false)
            ]))
        store.flush()
        let before = try #require(store.snapshot(.durable).get(key("a")))
        #expect(try await store.reseal { _, _ in true } == 1)
        let sealed = try #require(store.snapshot(.durable).get(key("a")))
        #expect(sealed.isSealed)
        #expect(sealed.createRevision == before.createRevision)
        #expect(try store.text(key("a")) == "rev=\(sealed.modRevision),text")
        #expect(try await store.reseal { _, _ in false } == 1)
        #expect(store.snapshot(.durable).get(key("a"))?.isSealed == false)
        #expect(try store.text(key("a")) == "rev=\(store.durableRevision),text")
    }

    @Test func aLostKeyIsNamedWithWhatNeedsItFirst() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try open(disk, load(disk))
        _ = try fill(store)
        store.close()
        try disk.remove("keys/1.key")
        let keys = try SealingKeys.load(directory: "keys", fileSystem: disk, makesFirst: false)
        #expect(keys.isEmpty)
        let before = disk.contents.map(\.bytes)
        let error = #expect(throws: StoreError.self) { try open(disk, keys) }
        let message = error?.description ?? ""
        #expect(message.contains("sealing key 1 is missing"))
        #expect(message.contains("s0"))
        #expect(message.contains("put 1.key back"))
        #expect(disk.contents.map(\.bytes) == before)
        // A new key in the place of the lost one is not taken for it.
        let other = try open(disk: disk, with: SealingKeys.load(directory: "keys", fileSystem: disk))
        #expect(other.contains("is not the key that sealed it"))
    }

    private func open(disk: CrashingDisk, with keys: SealingKeys) -> String {
        do {
            _ = try open(disk, keys)
            return "opened"
        } catch {
            return "\(error)"
        }
    }

    @Test func aCommandPrintsKeys() throws {
        let one = "espalier-key-1 " + String(repeating: "0a", count: 32)
        let two = "espalier-key-2 2 2026-01-01T00:00:00Z " + String(repeating: "0b", count: 32)
        let keys = try SealingKeys.parse(printed: Array("a warning\n\(one)\n\(two)\n".utf8))
        #expect(keys.list.map(\.number) == [1, 2])
        #expect(keys.newest == 2)
        for wrong in [
            "", "nothing", "espalier-key-2 0 - " + String(repeating: "0a", count: 32), one + "0", two + " x",
            one + "\n" + "espalier-key-2 1 - " + String(repeating: "0b", count: 32),
        ] {
            #expect(throws: StoreError.self, "\(wrong)") { try SealingKeys.parse(printed: Array(wrong.utf8)) }
        }
    }
}
