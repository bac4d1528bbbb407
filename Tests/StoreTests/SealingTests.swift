import Documents
import Seams
import Simulation
import Store
import Testing

/// Secrets are on disk only encrypted, each bound to its own key and revision.
struct SealingTests {
    private static let canary = "canary-7f3a9c51-e0d2"

    private func open(_ disk: CrashingDisk, _ keys: SealingKeys) throws -> Keyspace {
        try Keyspace.simulated(on: disk, keys: keys) { configuration in
            configuration.segmentsPerTable = 2
            configuration.historyRevisions = 10
        }
    }

    @Test func aSealedValueIsNowhereInClear() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let keys = SealingKeys.ephemeral()
        let store = try open(disk, keys)
        for number in 0..<200 {
            _ = try store.commit(
                Transaction(operations: [put(key("s\(number % 3)", secrets), "\(Self.canary) \(number)", sealed: true)])
            )
            store.flush()
        }
        #expect(disk.contents.contains { $0.path.hasSuffix(".table") })
        for (path, bytes) in disk.contents {
            #expect(!String(decoding: bytes, as: UTF8.self).contains("canary"), "\(path)")
        }
        let again = try open(disk.copied(), keys)
        #expect(try again.text(key("s1", secrets)) == "\(Self.canary) 199")
    }

    @Test func withoutItsKeyTheStoreSaysSo() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try open(disk, .ephemeral())
        _ = try store.commit(Transaction(operations: [put(key("s", secrets), Self.canary, sealed: true)]))
        store.close()
        let error = #expect(throws: StoreError.self) { try open(disk, .ephemeral()) }
        guard case .sealed(let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!reason.contains(Self.canary))
    }

    @Test func theKeyFileIsMadeOnceAndReadAgain() throws {
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let first = try SealingKeys.load(directory: "keys", fileSystem: disk)
        let store = try open(disk, first)
        _ = try store.commit(Transaction(operations: [put(key("s", secrets), Self.canary, sealed: true)]))
        store.close()
        let copy = disk.restarted()
        let again = try open(copy, SealingKeys.load(directory: "keys", fileSystem: copy))
        #expect(try again.text(key("s", secrets)) == Self.canary)
        disk.alter("keys/1.key") { $0.removeLast(5) }
        #expect(throws: StoreError.self) { try SealingKeys.load(directory: "keys", fileSystem: disk) }
    }
}
