internal import Journal

/// What the lock of a `Keyspace` guards: the index, the history, and who waits for what. Pure: no clock, no I/O; what
/// must happen outside the lock (wake-ups, resumed waiters) is returned.
struct KeyspaceState: Sendable {
    typealias Wake = @Sendable () -> Void

    private(set) var tree: IndexTree
    private(set) var history: History
    /// The newest state that is on disk. A tree of its own that follows `tree`, so that both are changed in place.
    private(set) var durable: Snapshot
    /// The size of each revision that is sequenced and not yet durable, in order.
    private var pending: [Int] = []
    private var pendingBytes = 0
    /// The states of the past that were rebuilt last: who reads a page of one reads the next.
    private var rebuilt: [Snapshot] = []
    private var waiters: [DurabilityWaiter] = []
    var cursors = CursorTable()
    /// Why writes are refused, once they are.
    private(set) var refusal: StoreError?
    /// The key that seals what is written now.
    var sealingKey: UInt16 = 0
    /// Set while the device has no space for what is sequenced.
    var stall: WriteStall?
    let configuration: StoreConfiguration
    /// The files of the log, the last being written.
    var segments: [Segment] = []
    /// The tables, from old to new, each beginning where the one before ends.
    var tables: [Table]
    /// What history has forgotten and no table holds yet.
    var untabled = UntabledChanges()
    var dueTable: DueTable?
    var isWritingTable = false
    var isMerging = false
    /// Merges since the start.
    var merges = 0
    /// About what all live entries would take in one table.
    private(set) var liveBytes = 0
    /// Forgotten history. Releasing it takes a while, so it is done outside the lock.
    private var garbage: [RevisionChanges] = []

    /// The state at the end of `tables`, which hold `entries`.
    init(tables: [Table], entries: [Entry], configuration: StoreConfiguration) {
        let revision = tables.last?.range.last ?? .empty
        self.configuration = configuration
        self.tables = tables
        tree = IndexTree(sorted: entries)
        history = History(compacted: revision)
        durable = Snapshot(revision: revision, tree: tree)
        liveBytes = entries.reduce(0) { $0 + TableFormat.storedSize($1) }
    }

    var sequenced: Snapshot { Snapshot(revision: history.last, tree: tree) }

    func visible(_ visibility: Keyspace.Visibility) -> Revision {
        visibility == .sequenced ? history.last : durable.revision
    }

    // MARK: Writing

    /// What the transaction would change as the next revision; `nil` when that is nothing.
    func prepare(_ transaction: Transaction, time: Duration) throws(StoreError) -> RevisionChanges? {
        if let refusal { throw refusal }
        if let stall { throw stall.reason }
        if sealingKey == 0, transaction.operations.contains(where: \.isSealed) {
            throw .sealed(reason: "a value is to be sealed, and there is no sealing key")
        }
        if pendingBytes > StoreLimits.pendingBytes { throw .busy }
        try check(transaction.conditions)
        let revision = history.last.next
        let changes = transaction.operations.compactMap { change(for: $0, revision: revision) }
        return changes.isEmpty ? nil : RevisionChanges(revision: revision, changes: changes, time: time)
    }

    /// Adds the next revision to index and history: one just sequenced, or one read from the log.
    mutating func record(_ revision: RevisionChanges, payloadBytes: Int) {
        tree.apply(revision)
        for change in revision.changes {
            if let entry = change.entry { liveBytes += TableFormat.storedSize(entry) }
            if let previous = change.previousEntry { liveBytes -= TableFormat.storedSize(previous) }
        }
        history.append(revision)
        pending.append(payloadBytes)
        pendingBytes += payloadBytes
    }

    /// What an operation does to the newest state; `nil` when it deletes what is not there.
    func change(for operation: Transaction.Operation, revision: Revision) -> Change? {
        let previous = tree.get(operation.key)
        switch operation {
        case .put(let key, let value, let offset, let isSealed):
            let bytes = offset.map { Self.splice(revision, into: value, at: $0) } ?? Bytes(value)
            return Self.put(
                bytes, key, revision, revisionOffset: offset, keyIdentifier: isSealed ? sealingKey : 0, over: previous)
        case .delete(let key):
            return previous.map { Change(deleting: $0, key: key, revision: revision) }
        }
    }

    static func put(
        _ value: Bytes, _ key: StoreKey, _ revision: Revision, revisionOffset: Int?, keyIdentifier: UInt16,
        over previous: Entry?
    ) -> Change {
        let entry = Entry(
            key: key, value: value, createRevision: previous?.createRevision ?? revision, modRevision: revision,
            revisionOffset: revisionOffset, keyIdentifier: keyIdentifier)
        return Change(put: value, entry, key: key, over: previous)
    }

    private static func splice(_ revision: Revision, into value: [UInt8], at offset: Int) -> Bytes {
        let digits = revision.digits
        var bytes: [UInt8] = []
        bytes.reserveCapacity(value.count + digits.count)
        bytes.append(contentsOf: value[..<offset])
        bytes.append(contentsOf: digits)
        bytes.append(contentsOf: value[offset...])
        return Bytes(bytes)
    }

    private func check(_ conditions: [Transaction.Condition]) throws(StoreError) {
        for condition in conditions {
            switch condition {
            case .unchanged(let key, let revision):
                let current = tree.get(key)
                if current?.modRevision != revision { throw .conditionFailed(key, current: current) }
            case .absent(let key):
                if let current = tree.get(key) { throw .conditionFailed(key, current: current) }
            }
        }
    }

    // MARK: Durability

    /// Everything up to `revision` is on disk: who waited for that, and which watches may look now.
    mutating func becameDurable(
        _ revision: Revision, started: Segment?
    ) -> (wakes: [Wake], waiters: [DurabilityWaiter]) {
        if let started { segments.append(started) }
        let before = durable.revision
        for changes in history.revisions(after: before, through: revision, limit: .max) { durable.apply(changes) }
        let done = Int(durable.revision.rawValue - before.rawValue)
        if done == 0 { return ([], []) }
        pendingBytes -= pending[..<done].reduce(0, +)
        pending.removeFirst(done)
        let ready = waiters.filter { $0.revision <= revision }
        waiters.removeAll { $0.revision <= revision }
        return (wakes(after: before, through: durable.revision, visibility: .durable), ready)
    }

    /// The answer for a waiter when it is known already; else it waits.
    mutating func await(_ waiter: DurabilityWaiter) -> Result<Void, StoreError>? {
        if waiter.revision <= durable.revision { return .success(()) }
        if let refusal { return .failure(refusal) }
        waiters.append(waiter)
        return nil
    }

    /// No more writes, for this reason; the first one stands.
    mutating func refuseWrites(_ reason: StoreError) {
        if refusal == nil { refusal = reason }
    }

    mutating func takeWaiters() -> [DurabilityWaiter] { takeWaiters(before: .seconds(Int64.max)) }

    /// Those that began to wait before `time`, which wait no longer.
    mutating func takeWaiters(before time: Duration) -> [DurabilityWaiter] {
        defer { waiters.removeAll { $0.since < time } }
        return waiters.filter { $0.since < time }
    }

    mutating func close() -> (wakes: [Wake], waiters: [DurabilityWaiter]) { (cursors.close(), takeWaiters()) }

    mutating func takeGarbage() -> [RevisionChanges] {
        defer { garbage = [] }
        return garbage
    }

    // MARK: The past

    /// The nearest state from which that at `revision` is rebuilt, and the changes to undo for it.
    func past(at revision: Revision) throws(StoreError) -> (base: Snapshot, changes: [RevisionChanges]) {
        if revision > history.last { throw .future(revision) }
        if revision < history.compacted { throw .compacted(revision) }
        var base = sequenced
        for other in rebuilt + [durable] where other.revision >= revision && other.revision < base.revision {
            base = other
        }
        return (base, history.revisions(after: revision, through: base.revision, limit: .max))
    }

    mutating func remember(_ snapshot: Snapshot) {
        if snapshot.revision < history.compacted || rebuilt.contains(where: { $0.revision == snapshot.revision }) {
            return
        }
        if rebuilt.count == StoreLimits.rebuiltStates { rebuilt.removeFirst() }
        rebuilt.append(snapshot)
    }

    mutating func compact(to revision: Revision) {
        let forgotten = history.compact(to: min(revision, durable.revision))
        for changes in forgotten { noteUntabled(changes) }
        garbage += forgotten
        let compacted = history.compacted
        rebuilt.removeAll { $0.revision < compacted }
        planTable()
    }
}

extension Transaction {
    /// Refuses what no state could accept.
    func validate() throws(StoreError) {
        if operations.count > StoreLimits.operations {
            throw .invalid(
                reason: "a transaction of \(operations.count) operations; at most \(StoreLimits.operations) are allowed"
            )
        }
        for (index, operation) in operations.enumerated() {
            let key = operation.key
            guard key.isWellFormed else {
                throw .invalid(reason: "the key \(key) is not four parts of valid text without NUL")
            }
            if operations[..<index].contains(where: { $0.key == key }) {
                throw .invalid(reason: "a transaction writes \(key) twice")
            }
            guard case .put(_, let value, let offset, _) = operation else { continue }
            if value.count > StoreLimits.valueBytes {
                throw .invalid(reason: "\(key) is \(value.count) bytes; at most \(StoreLimits.valueBytes) are allowed")
            }
            if let offset, offset < 0 || offset > value.count {
                throw .invalid(reason: "revision offset \(offset) lies outside the \(value.count) bytes of \(key)")
            }
        }
    }
}
