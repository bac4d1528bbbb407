import Documents
import Journal
import Seams
import Simulation
import Store
import Testing

/// A store that is copied to a folder of another disk, pass by pass, with what it held at every revision.
struct CopiedStore {
    let keys: SealingKeys
    let disk: CrashingDisk
    private(set) var store: Keyspace
    private(set) var past: [Revision: [StoreKey: [UInt8]]] = [:]
    private var log: LogReplicator
    private var tables: TableReplicator

    init(
        _ disk: CrashingDisk, keys: SealingKeys, identity: UInt64 = 1, kept: Duration = .seconds(1 << 40),
        target: any ReplicaTarget
    ) throws {
        (self.disk, self.keys) = (disk, keys)
        store = try Self.open(disk, keys)
        let replica = Replica(data: "data", identity: identity, fileSystem: disk, target: target)
        log = LogReplicator(replica)
        tables = TableReplicator(replica, kept: kept)
        past[store.durableRevision] = try Self.contents(store.snapshot(.durable))
    }

    static func open(_ disk: CrashingDisk, _ keys: SealingKeys, _ data: String = "data") throws -> Keyspace {
        var configuration = StoreConfiguration()
        configuration.committing = .inline
        configuration.journal.segmentBytes = 2048
        configuration.journal.growthBytes = 512
        configuration.segmentsPerTable = 2
        configuration.historyRevisions = 10
        return try Keyspace.open(
            directory: data, fileSystem: disk, clock: StillClock(), keys: keys, configuration: configuration)
    }

    static func contents(_ snapshot: Snapshot) throws -> [StoreKey: [UInt8]] {
        Dictionary(uniqueKeysWithValues: try snapshot.list(prefix: []).map { ($0.key, try $0.value.array) })
    }

    static func time(_ seconds: Int) -> Instant { Instant(seconds: 1_800_000_000 + Int64(seconds)) }

    mutating func write(_ number: Int) throws {
        let isSecret = number % 4 == 0
        let text = "value \(number) " + String(repeating: "y", count: number * 31 % 250)
        let key = key("k\(number % 11)", isSecret ? secrets : configMaps)
        let operation = number % 9 == 8 ? Transaction.Operation.delete(key) : put(key, text, sealed: isSecret)
        _ = try store.commit(Transaction(operations: [operation]))
        store.flush()
        past[store.durableRevision] = try Self.contents(store.snapshot(.durable))
    }

    /// Both passes, as the server makes them.
    mutating func pass(_ second: Int) throws -> Revision {
        _ = try log.pass(durable: store.durableRevision, now: Self.time(second))
        try tables.pass(now: Self.time(second))
        return try log.pass(durable: store.durableRevision, now: Self.time(second))
    }

    mutating func passLog(_ second: Int, durable: Revision) throws -> Revision {
        try log.pass(durable: durable, now: Self.time(second))
    }
}

/// What a copy holds is restored on a disk of its own and opened there.
func restoreCopy(
    _ target: any ReplicaTarget, until point: ReplicaPoint = .newest, keys: SealingKeys
) throws -> (revision: Revision, contents: [StoreKey: [UInt8]]) {
    let disk = CrashingDisk(random: SeededRandom(seed: 9))
    let outcome = try ReplicaRestoration.restore(
        target, named: "the copy", until: point, to: "new", fileSystem: disk, clock: StillClock(), keys: keys)
    #expect(try disk.list("new/log").count == 2)
    #expect(StoreVerification.run(data: "new", fileSystem: disk, keys: keys).problems.isEmpty)
    let store = try Keyspace.open(directory: "new", fileSystem: disk, clock: StillClock(), keys: keys)
    defer { store.close() }
    #expect(store.durableRevision == outcome.start)
    return (outcome.source, try CopiedStore.contents(store.snapshot(.durable)))
}

/// A target that may become another one, as a disk does that has crashed.
final class SwitchedTarget: ReplicaTarget, @unchecked Sendable {
    // SAFETY: each test uses its target from one thread.
    private let current: () -> ReplicaFolder
    init(_ current: @escaping () -> ReplicaFolder) { self.current = current }
    func put(_ name: String, _ content: ReplicaContent) throws(StoreError) { try current().put(name, content) }
    func get(_ name: String, at offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        try current().get(name, at: offset, count: count)
    }
    func list() throws(StoreError) -> [String] { try current().list() }
    func remove(_ name: String) throws(StoreError) { try current().remove(name) }
}
