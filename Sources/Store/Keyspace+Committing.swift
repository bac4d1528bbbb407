internal import Journal
internal import Seams
internal import Synchronization

extension Keyspace {
    /// Starts writing at the end of the log.
    func attach(_ writer: LogWriter) {
        let committer = GroupCommitter(writer: writer) { [weak self] event in self?.handle(event) }
        self.committer.withLock { $0 = committer }
        if configuration.committing == .thread { committer.start() }
        startVerifying()
    }

    /// Makes everything sequenced durable, ends all watches and lets go of the directory.
    package func close() {
        let committer = self.committer.withLock { committer in
            defer { committer = nil }
            return committer
        }
        guard let committer else { return }
        state.withLock { $0.refuseWrites(.closed) }
        committer.stop()
        joinTableThreads()
        spares.discard()
        let (wakes, waiters) = state.withLock { $0.close() }
        for waiter in waiters { waiter.resume(.failure(.closed)) }
        for wake in wakes { wake() }
        log.lock.release()
    }

    /// What the log tells, on the thread that writes it.
    private func handle(_ event: GroupCommitter.Event) {
        switch event {
        case .durable(let revision, let started):
            let now = clock.monotonic()
            let (wakes, waiters, due, garbage) = state.withLock { state in
                let (wakes, waiters) = state.becameDurable(Revision(rawValue: revision), started: started)
                state.compactByBounds(now: now)
                return (wakes, waiters, state.takeDueTable(), state.takeGarbage())
            }
            for waiter in waiters { waiter.resume(.success(())) }
            for wake in wakes { wake() }
            withExtendedLifetime(garbage) {}
            if let due { write(due) }
        case .stalled(let error): stall(error)
        case .resumed: resume()
        case .failed(let error):
            let reason = StoreError.readOnly(
                reason: "the log could not be written (\(error)); check the disk, then restart the server")
            let waiters = state.withLock { state in
                state.refuseWrites(reason)
                return state.takeWaiters()
            }
            for waiter in waiters { waiter.resume(.failure(reason)) }
            tellWritability()
        }
    }
}

/// Somebody waiting for the disk.
struct DurabilityWaiter: Sendable {
    let revision: Revision
    /// When it began to wait, on the monotonic clock.
    let since: Duration
    /// Called once, on the thread that learned the result. Must not block and not call back into the store.
    let resume: @Sendable (Result<Void, StoreError>) -> Void
}
