internal import Journal
internal import Seams
internal import Synchronization

/// A device without space for what is sequenced: why, and when it was tried last, on the monotonic clock.
struct WriteStall: Sendable {
    let reason: StoreError
    let lastAttempt: Duration
}

/// What happens while the device is full. The journal keeps what is sequenced and tries it again; until it is written,
/// nothing more is sequenced, so that memory never runs ahead of the disk by more than what was under way.
extension Keyspace {
    /// Why writes are refused now; `nil` while they are taken.
    package var writeRefusal: StoreError? { state.withLock { $0.refusal ?? $0.stall?.reason } }

    /// Tells `observer` whenever writes begin to be refused, with the reason, and when they are taken again. It must
    /// not block and not call back into the store.
    package func onWritability(_ observer: @escaping @Sendable (StoreError?) -> Void) {
        writabilityObserver.withLock { $0 = observer }
    }

    func tellWritability() {
        let refusal = writeRefusal
        writabilityObserver.withLock { $0 }?(refusal)
    }

    /// The journal found no space: now, or again.
    func stall(_ error: JournalError) {
        let now = clock.monotonic()
        let reason = StoreError.full(reason: error.description)
        let (isNew, late) = state.withLock { state in
            defer { state.stall = WriteStall(reason: reason, lastAttempt: now) }
            return (state.stall == nil, state.takeWaiters(before: now - StoreLimits.stalledWait))
        }
        for waiter in late { waiter.resume(.failure(reason)) }
        if isNew { tellWritability() }
    }

    func resume() {
        state.withLock { $0.stall = nil }
        tellWritability()
    }

    /// Somebody wants to write: a full device is tried again at once, unless it just was.
    func hurryStalledWrites(_ now: Duration, _ committer: GroupCommitter) {
        let isDue = state.withLock { state in
            state.stall.map { now - $0.lastAttempt > StoreLimits.stalledPause } ?? false
        }
        if isDue { committer.retry() }
    }
}
