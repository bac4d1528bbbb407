import Documents
import Journal
import Seams
import Simulation
import Store

/// A clock that stands still until it is told to move.
final class StillClock: Clock, @unchecked Sendable {
    // SAFETY: each test uses its clock from one thread.
    private var elapsed: Duration = .zero

    func now() -> Instant { Instant(nanoseconds: 0) + elapsed }
    func monotonic() -> Duration { elapsed }
    func sleep(for duration: Duration) async throws { elapsed += duration }
    func advance(_ duration: Duration) { elapsed += duration }
}

let configMaps = GroupResource(group: "", resource: "configmaps")
let secrets = GroupResource(group: "", resource: "secrets")

func key(_ name: String, namespace: String = "default", _ resource: GroupResource = configMaps) -> StoreKey {
    StoreKey(ObjectKey(resource, namespace: namespace, name: name))
}

func put(_ key: StoreKey, _ text: String, sealed: Bool = false) -> Transaction.Operation {
    .put(key, value: Array(text.utf8), revisionOffset: nil, sealed: sealed)
}

extension Keyspace {
    /// A store on `disk` that commits when `flush` is called.
    static func simulated(
        on disk: CrashingDisk, clock: any Clock = StillClock(), keys: SealingKeys = .ephemeral(),
        _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) throws -> Keyspace {
        var configuration = StoreConfiguration()
        configuration.committing = .inline
        configuration.journal.segmentBytes = 4096
        configuration.journal.growthBytes = 1024
        change(&configuration)
        return try Keyspace.open(
            directory: "data", fileSystem: disk, clock: clock, keys: keys, configuration: configuration)
    }

    @discardableResult
    func put(_ key: StoreKey, _ text: String) throws -> Revision {
        try commit(Transaction(operations: [StoreTests.put(key, text)]))
    }

    func text(_ key: StoreKey, _ visibility: Visibility = .sequenced) throws(StoreError) -> String? {
        guard let value = try snapshot(visibility).get(key)?.value else { return nil }
        return String(decoding: value.array, as: UTF8.self)
    }
}

/// A store on a disk of its own.
func newStore(_ change: (inout StoreConfiguration) -> Void = { _ in }) throws -> Keyspace {
    try Keyspace.simulated(on: CrashingDisk(random: SeededRandom(seed: 1)), change)
}
