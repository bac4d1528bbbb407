import Documents
import Journal
import Simulation
import Store

/// What clients see of a store: the honest one below, and the faulty ones of `FaultyFront`, which must be caught.
protocol StoreFront: AnyObject {
    /// Writes wait for this before they are answered.
    var durable: UInt64 { get }
    func commit(_ writes: [ClientHistory.Operation]) throws(StoreError) -> Submission
    func read(_ request: ClientHistory.Operation.Request) throws(StoreError) -> (UInt64, [ClientHistory.Seen])
    func read(
        _ request: ClientHistory.Operation.Request, at revision: UInt64
    ) throws(StoreError) -> [ClientHistory.Seen]
    func watch(_ filter: WatchFilter, after: UInt64) throws(StoreError) -> any FrontWatch
}

/// A running watch, as its client sees it.
protocol FrontWatch: AnyObject {
    func poll() throws(StoreError) -> [ClientHistory.Event]
    /// Everything up to here was delivered.
    var bookmark: UInt64 { get }
    func onChange(_ wake: @escaping @Sendable () -> Void)
}

/// What became of a write for now.
enum Submission {
    /// It has a revision and may be answered when that is durable.
    case sequenced(UInt64)
    /// The key was at `found`; what was seen then must be durable before anyone is told.
    case conflict(found: UInt64, seen: UInt64)
}

/// What a watch looks at.
enum WatchFilter: Hashable {
    case all
    case group(Int)
    case key(Int)

    func covers(_ key: Int, groupSize: Int) -> Bool {
        switch self {
        case .all: true
        case .group(let group): key / groupSize == group
        case .key(let only): key == only
        }
    }
}

/// How numbers stand for keys and values: key 17 in groups of 8 is `k17` in namespace `g2`, a value's number is in
/// front of its padding. Some are sealed.
struct KeyNumbers: Sendable {
    let groupSize: Int

    func key(_ number: Int) -> StoreKey { StoreTests.key("k\(number)", namespace: "g\(number / groupSize)") }

    func prefix(_ filter: WatchFilter) -> [UInt8] {
        switch filter {
        case .all: []
        case .group(let group): StoreKey.prefix(configMaps, namespace: "g\(group)")
        case .key(let number): key(number).bytes
        }
    }

    func put(_ number: Int, _ value: UInt64) -> Transaction.Operation {
        let padding = Int(value &* 2_654_435_761 >> 7 & 127)
        let bytes = Array("\(value) ".utf8) + Array(repeating: UInt8(ascii: "."), count: padding)
        return .put(key(number), value: bytes, revisionOffset: nil, sealed: number % 16 == 0)
    }

    static func number(of key: StoreKey) -> Int {
        var number = 0
        for byte in key.bytes[((key.bytes.lastIndex(of: 0) ?? 0) + 2)...] { number = number * 10 + Int(byte) - 48 }
        return number
    }

    static func number(of value: [UInt8]) -> UInt64 {
        var number: UInt64 = 0
        for byte in value {
            if byte < 48 || byte > 57 { break }
            number = number * 10 + UInt64(byte) - 48
        }
        return number
    }
}

/// A store as it is.
final class KeyspaceFront: StoreFront {
    let store: Keyspace
    let numbers: KeyNumbers

    init(_ store: Keyspace, _ numbers: KeyNumbers) {
        self.store = store
        self.numbers = numbers
    }

    var durable: UInt64 { store.durableRevision.rawValue }

    func commit(_ writes: [ClientHistory.Operation]) throws(StoreError) -> Submission {
        var transaction = Transaction(operations: [])
        for write in writes {
            guard let number = write.written else { continue }
            let key = numbers.key(number)
            switch write.compare {
            case nil: break
            case 0?: transaction.conditions.append(.absent(key))
            case let revision?: transaction.conditions.append(.unchanged(key, Revision(rawValue: revision)))
            }
            transaction.operations.append(write.value.map { numbers.put(number, $0) } ?? .delete(key))
        }
        do throws(StoreError) {
            return .sequenced(try store.commit(transaction).rawValue)
        } catch {
            guard case .conditionFailed(_, let current) = error else { throw error }
            return .conflict(found: current?.modRevision.rawValue ?? 0, seen: store.sequencedRevision.rawValue)
        }
    }

    func read(_ request: ClientHistory.Operation.Request) throws(StoreError) -> (UInt64, [ClientHistory.Seen]) {
        let snapshot = store.snapshot(.durable)
        return (snapshot.revision.rawValue, try seen(request, in: snapshot))
    }

    func read(
        _ request: ClientHistory.Operation.Request, at revision: UInt64
    ) throws(StoreError) -> [ClientHistory.Seen] {
        try seen(request, in: try store.snapshot(at: Revision(rawValue: revision)))
    }

    func watch(_ filter: WatchFilter, after: UInt64) throws(StoreError) -> any FrontWatch {
        try watch(filter, after: after, .durable)
    }

    func watch(
        _ filter: WatchFilter, after: UInt64, _ visibility: Keyspace.Visibility
    ) throws(StoreError) -> any FrontWatch {
        KeyspaceWatch(
            try store.watch(
                prefixes: [numbers.prefix(filter)], after: Revision(rawValue: after), visibility: visibility))
    }

    /// What a snapshot shows to a read.
    func seen(_ request: ClientHistory.Operation.Request, in snapshot: Snapshot) throws(StoreError) -> [ClientHistory
        .Seen]
    {
        var entries: [Entry] = []
        switch request {
        case .put(let number, _), .delete(let number), .get(let number):
            if let entry = snapshot.get(numbers.key(number)) { entries = [entry] }
        case .list(let group): entries = snapshot.list(prefix: numbers.prefix(.group(group)))
        }
        let seen = try entries.map { (entry) throws(StoreError) in
            ClientHistory.Seen(
                key: KeyNumbers.number(of: entry.key), value: KeyNumbers.number(of: try entry.value.array),
                revision: entry.modRevision.rawValue)
        }
        return seen.sorted { $0.key < $1.key }
    }
}

/// A watch as it is.
final class KeyspaceWatch: FrontWatch {
    private let cursor: Cursor

    init(_ cursor: Cursor) { self.cursor = cursor }

    func poll() throws(StoreError) -> [ClientHistory.Event] {
        try cursor.poll().map { (change) throws(StoreError) in
            ClientHistory.Event(
                revision: change.revision.rawValue, key: KeyNumbers.number(of: change.key),
                value: change.kind == .put ? KeyNumbers.number(of: try change.value.array) : nil)
        }
    }

    var bookmark: UInt64 { cursor.revision.rawValue }
    func onChange(_ wake: @escaping @Sendable () -> Void) { cursor.onChange(wake) }
}

/// A store on a simulated disk that is opened again and again.
final class SimulatedStore {
    let seed: UInt64
    private(set) var disk: CrashingDisk
    private(set) var store: Keyspace
    private let keys = SealingKeys.ephemeral()
    private let historyRevisions: Int

    init(seed: UInt64, historyRevisions: Int) throws {
        self.seed = seed
        self.historyRevisions = historyRevisions
        disk = CrashingDisk(random: SeededRandom(seed: seed))
        store = try Self.open(disk, keys, historyRevisions)
    }

    private static func open(_ disk: CrashingDisk, _ keys: SealingKeys, _ revisions: Int) throws -> Keyspace {
        try Keyspace.simulated(on: disk, keys: keys) { configuration in
            configuration.historyRevisions = revisions
            configuration.journal.segmentBytes = 16 * 1024
            configuration.journal.growthBytes = 4 * 1024
        }
    }

    /// A power cut, or with `keepingAll` a kill, after which the kernel still has what was written.
    func restart(keepingAll: Bool) throws {
        disk = keepingAll ? disk.copied() : disk.restarted()
        do {
            store = try Self.open(disk, keys, historyRevisions)
        } catch StoreError.fileSystem {
            // A failure that was arranged came only now. It comes once.
            disk = disk.copied()
            store = try Self.open(disk, keys, historyRevisions)
        }
    }
}
