internal import Journal
internal import Seams
internal import Synchronization

/// The revisioned, watchable keyspace: every write is one transaction, one revision, one record of the log. The
/// keys are in memory, under one lock that no I/O and no `await` ever holds; so are the newest values. The log makes
/// the same state durable, and older values are in tables beside it.
///
/// A revision is *sequenced* when `commit` returns and *durable* when the log has synced it. Loops look at what is
/// sequenced; agents and clients must look only at what is durable.
package final class Keyspace: Sendable {
    package enum Visibility: Sendable {
        /// As soon as a revision has its number.
        case sequenced
        /// Only what a power cut cannot undo.
        case durable
    }

    let state: Mutex<KeyspaceState>
    let log: LogFolder
    let clock: any Clock
    let keyRing: KeyRing
    /// Where segments go that a table has taken the place of.
    let spares: SpareSegments
    let configuration: StoreConfiguration
    /// What recovery cut off the end of the log, for whoever reports the start; `nil` after a clean end.
    package let recoveryNote: String?
    /// The way to the disk; `nil` once closed.
    let committer = Mutex<GroupCommitter?>(nil)
    let tableWriting = Mutex<DedicatedThread?>(nil)
    let merging = Mutex<DedicatedThread?>(nil)
    let verifying = Mutex<DedicatedThread?>(nil)
    let verificationEnd = Signal()
    /// Who is told when writes begin to be refused, and when they are taken again.
    let writabilityObserver = Mutex<(@Sendable (StoreError?) -> Void)?>(nil)

    init(
        state: KeyspaceState, log: LogFolder, clock: any Clock, keyRing: KeyRing, spares: SpareSegments,
        configuration: StoreConfiguration, recoveryNote: String?
    ) {
        self.state = Mutex(state)
        self.log = log
        self.clock = clock
        self.keyRing = keyRing
        self.spares = spares
        self.configuration = configuration
        self.recoveryNote = recoveryNote
    }

    // MARK: Reading

    package var sequencedRevision: Revision { state.withLock { $0.history.last } }
    package var durableRevision: Revision { state.withLock { $0.durable.revision } }
    package var compactedRevision: Revision { state.withLock { $0.history.compacted } }

    package var statistics: StoreStatistics { state.withLock { $0.statistics } }

    /// The present, in constant time.
    package func snapshot(_ visibility: Visibility) -> Snapshot {
        state.withLock { visibility == .sequenced ? $0.sequenced : $0.durable }
    }

    /// The past, back to the compacted revision: what the next page of a list reads.
    package func snapshot(at revision: Revision) throws(StoreError) -> Snapshot {
        var (snapshot, changes) = try state.withLock { state throws(StoreError) in try state.past(at: revision) }
        if changes.isEmpty { return snapshot }
        snapshot.undo(changes)
        state.withLock { $0.remember(snapshot) }
        return snapshot
    }

    // MARK: Writing

    /// Checks the conditions against the newest sequenced state, applies all operations and gives them a revision. It
    /// returns before the revision is durable: answer no client until `waitDurable` has returned. A transaction that
    /// changes nothing returns the newest revision and takes none.
    package func commit(_ transaction: Transaction) throws(StoreError) -> Revision {
        try transaction.validate()
        guard let committer = committer.withLock({ $0 }) else { throw .closed }
        let time = clock.monotonic()
        hurryStalledWrites(time, committer)
        let (revision, wakes) = try state.withLock { state throws(StoreError) in
            let before = state.history.last
            guard let changes = try state.prepare(transaction, time: time) else {
                return (before, [] as [KeyspaceState.Wake])
            }
            let record = try TransactionCodec.record(changes, keys: keys)
            state.record(changes, payloadBytes: record.payload.count)
            // Under the lock, so that records reach the log in the order of their revisions.
            committer.enqueue(record)
            return (changes.revision, state.wakes(after: before, through: changes.revision, visibility: .sequenced))
        }
        for wake in wakes { wake() }
        return revision
    }

    /// Returns when `revision` and everything before it is durable, or throws when it will never be known to be.
    package func waitDurable(_ revision: Revision) async throws(StoreError) {
        if configuration.committing == .inline { flush() }
        let result: Result<Void, StoreError> = await withCheckedContinuation { continuation in
            register(
                DurabilityWaiter(revision: revision, since: clock.monotonic()) { continuation.resume(returning: $0) })
        }
        try result.get()
    }

    /// As `waitDurable`, for callers that must not suspend: `body` is called once, on the committing thread or before
    /// this returns. It must not block and not call back into the store.
    package func whenDurable(_ revision: Revision, _ body: @escaping @Sendable (Result<Void, StoreError>) -> Void) {
        if configuration.committing == .inline { flush() }
        register(DurabilityWaiter(revision: revision, since: clock.monotonic(), resume: body))
    }

    private func register(_ waiter: DurabilityWaiter) {
        if let known = state.withLock({ $0.await(waiter) }) { waiter.resume(known) }
    }

    /// Makes everything sequenced durable on the calling thread: for stores that commit inline.
    package func flush() {
        precondition(configuration.committing == .inline, "flush of a store that has a thread for it")
        committer.withLock { $0 }?.flush()
    }

    /// Forgets history up to `revision`: reads of the past and watches from before it fail with `compacted`. What is
    /// not durable is not forgotten.
    package func compact(to revision: Revision) {
        let (due, garbage) = state.withLock { state in
            state.compact(to: revision)
            return (state.takeDueTable(), state.takeGarbage())
        }
        withExtendedLifetime(garbage) {}
        if let due { write(due) }
    }

    // MARK: Watching

    /// Follows the changes after `after` to keys below any of `prefixes`. A prefix is empty, ends behind a part of the
    /// key (with a NUL), or is one whole key.
    package func watch(
        prefixes: [[UInt8]], after: Revision, visibility: Visibility
    ) throws(StoreError) -> Cursor {
        let identifier = try state.withLock { state throws(StoreError) in
            try state.addCursor(prefixes: prefixes, after: after, visibility: visibility)
        }
        return Cursor(keyspace: self, identifier: identifier)
    }
}
