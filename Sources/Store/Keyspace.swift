package import Seams
internal import Synchronization

/// The revisioned, watchable keyspace: every write is one transaction, one revision, one record of the log. All state is
/// in memory under one lock that no I/O and no `await` ever holds; the log behind it makes the same state durable.
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
    let clock: any Clock
    let configuration: StoreConfiguration

    init(state: KeyspaceState, clock: any Clock, configuration: StoreConfiguration) {
        self.state = Mutex(state)
        self.clock = clock
        self.configuration = configuration
    }

    /// Opens the store below `directory`, recovering what its log holds and creating what is missing.
    package static func open(
        directory: String, fileSystem: any FileSystem, clock: any Clock, keys: SealingKeys,
        configuration: StoreConfiguration = StoreConfiguration()
    ) throws(StoreError) -> Keyspace {
        Keyspace(state: KeyspaceState(), clock: clock, configuration: configuration)
    }

    /// Makes everything sequenced durable, ends all watches and lets go of the directory.
    package func close() {
        let (wakes, waiters) = state.withLock { $0.close() }
        for waiter in waiters { waiter.resume(.failure(.closed)) }
        for wake in wakes { wake() }
    }

    // MARK: Reading

    package var sequencedRevision: Revision { state.withLock { $0.history.last } }
    package var durableRevision: Revision { state.withLock { $0.durable.revision } }
    package var compactedRevision: Revision { state.withLock { $0.history.compacted } }

    /// The present, in constant time.
    package func snapshot(_ visibility: Visibility) -> Snapshot {
        state.withLock { visibility == .sequenced ? $0.sequenced : $0.durable }
    }

    /// The past, back to the compacted revision: what the next page of a list reads.
    package func snapshot(at revision: Revision) throws(StoreError) -> Snapshot {
        try state.withLock { state throws(StoreError) in try state.snapshot(at: revision) }
    }

    // MARK: Writing

    /// Checks the conditions against the newest sequenced state, applies all operations and gives them a revision. It
    /// returns before the revision is durable: answer no client until `waitDurable` has returned. A transaction that
    /// changes nothing returns the newest revision and takes none.
    package func commit(_ transaction: Transaction) throws(StoreError) -> Revision {
        try transaction.validate()
        let time = clock.monotonic()
        let (revision, wakes) = try state.withLock { state throws(StoreError) in
            let before = state.history.last
            let revision = try state.apply(transaction, time: time)
            return (revision, state.wakes(after: before, through: revision, visibility: .sequenced))
        }
        for wake in wakes { wake() }
        let (durableWakes, waiters) = state.withLock { $0.becameDurable(revision) }
        for waiter in waiters { waiter.resume(.success(())) }
        for wake in durableWakes { wake() }
        return revision
    }

    /// Returns when `revision` and everything before it is durable, or throws when it will never be known to be.
    package func waitDurable(_ revision: Revision) async throws(StoreError) {
        let result: Result<Void, StoreError> = await withCheckedContinuation { continuation in
            let waiter = DurabilityWaiter(revision: revision, continuation: continuation)
            if let known = state.withLock({ $0.await(waiter) }) { waiter.resume(known) }
        }
        try result.get()
    }

    /// Forgets history up to `revision`: reads of the past and watches from before it fail with `compacted`. What is not
    /// durable is not forgotten.
    package func compact(to revision: Revision) {
        state.withLock { $0.compact(to: revision) }
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

/// How a store behaves; the defaults are those of the server.
package struct StoreConfiguration: Sendable {
    /// Who writes the log.
    package enum Committing: Sendable {
        /// A thread of its own, which syncs everything that came in while it was busy at once.
        case thread
        /// Whoever calls `waitDurable` or `flush`: for simulation, where one thread does everything.
        case inline
    }
    package var committing: Committing = .thread
    /// History older than this is compacted.
    package var historyAge: Duration = .seconds(300)
    package var historyRevisions = 100_000
    /// Bytes that only history keeps alive.
    package var historyBytes = 64 * 1024 * 1024

    package init() {}
}

/// Somebody waiting for the disk.
struct DurabilityWaiter: Sendable {
    let revision: Revision
    let continuation: CheckedContinuation<Result<Void, StoreError>, Never>

    func resume(_ result: Result<Void, StoreError>) { continuation.resume(returning: result) }
}
