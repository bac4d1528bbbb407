internal import Synchronization

/// Takes records in order from any thread and makes them durable, as many with one sync as came in while the last one
/// was under way. With a thread of its own it is the only place in the program that waits for the disk; without one,
/// whoever calls `flush` does the work, which is what simulations do.
package final class GroupCommitter: Sendable {
    /// What became of records, told in order and from one thread at a time.
    package enum Event: Sendable {
        /// Everything up to `revision` is on disk. `started` is the segment begun for this batch.
        case durable(revision: UInt64, started: Segment?)
        /// The device has no room for what is queued. Nothing of it is written; it is tried again until it is, and this
        /// is told again each time it does not fit.
        case stalled(JournalError)
        /// What was stalled is on disk.
        case resumed
        /// Writing is over: nothing after the last durable revision is known.
        case failed(JournalError)
    }

    /// What waits to be written.
    private struct Queue: Sendable {
        var records: [Record] = []
        var isStopping = false
        var isWaiting = false
        var isStalled = false
        var hasFailed = false

        /// Whether there was a stall, which is over.
        mutating func endStall() -> Bool {
            defer { isStalled = false }
            return isStalled
        }
    }

    private let queue = Mutex(Queue())
    /// The end of the log. Held while writing, by the one thread that writes.
    private let writer: Mutex<LogWriter>
    private let onEvent: @Sendable (Event) -> Void
    private let wakeUp = Signal()
    private let thread = Mutex<DedicatedThread?>(nil)

    package init(writer: LogWriter, onEvent: @escaping @Sendable (Event) -> Void) {
        self.writer = Mutex(writer)
        self.onEvent = onEvent
    }

    /// Starts the thread. Without this, `flush` writes.
    package func start() {
        thread.withLock { $0 = DedicatedThread(name: "journal") { [self] in run() } }
    }

    /// Takes a record. The caller orders revisions; this never waits.
    package func enqueue(_ record: Record) {
        let wake = queue.withLock { queue in
            queue.records.append(record)
            defer { queue.isWaiting = false }
            return queue.isWaiting
        }
        if wake { wakeUp.raise() }
    }

    /// Writes everything taken so far on the calling thread.
    package func flush() {
        let batch = take()
        if batch.isEmpty { return }
        commit(batch)
        if queue.withLock({ $0.records.isEmpty }) { note() }
    }

    /// Tries a full device again now, and not only when it is time.
    package func retry() { if queue.withLock({ $0.isStalled }) { wakeUp.raise() } }

    /// Makes everything durable, ends the thread and closes the log.
    package func stop() {
        queue.withLock { $0.isStopping = true }
        wakeUp.raise()
        thread.withLock { $0?.join() }
        flush()
        writer.withLock { writer in
            // The note is for the next start; without it that start treats a damaged last record as a torn one.
            if !queue.withLock({ $0.hasFailed }) { try? writer.noteDurability(synced: true) }
            writer.close()
        }
    }

    private func run() {
        var isNoted = true
        while true {
            let batch = take()
            if !batch.isEmpty {
                commit(batch)
                isNoted = false
                let (isStalled, isStopping) = queue.withLock { ($0.isStalled, $0.isStopping) }
                if isStalled, isStopping { return }
                if isStalled { wakeUp.wait(atMostMilliseconds: JournalLimits.retryMilliseconds) }
                continue
            }
            let (mustWait, isStopping) = queue.withLock { queue in
                queue.isWaiting = queue.records.isEmpty && !queue.isStopping
                return (queue.isWaiting, queue.isStopping && queue.records.isEmpty)
            }
            if isStopping { return }
            if !mustWait { continue }
            if isNoted {
                wakeUp.wait()
            } else {
                // Behind every one of a writer's records a note would be a second write; the next record says as much.
                wakeUp.wait(atMostMilliseconds: JournalLimits.noteMilliseconds)
                isNoted = queue.withLock { $0.records.isEmpty && !$0.isStopping }
                if isNoted { note() }
            }
        }
    }

    private func take() -> [Record] {
        queue.withLock { queue in
            defer { queue.records = [] }
            return queue.records
        }
    }

    private func commit(_ batch: [Record]) {
        if queue.withLock({ $0.hasFailed }) { return }
        var rest = batch[...]
        while !rest.isEmpty {
            let part = Self.part(of: rest)
            do {
                let started = try writer.withLock { writer throws(JournalError) in try writer.write(part) }
                rest = rest.dropFirst(part.count)
                onEvent(.durable(revision: part.last?.revision ?? 0, started: started))
            } catch {
                if case .noSpace = error { return stall(error, rest) }
                fail(error)
                return
            }
        }
        if queue.withLock({ $0.endStall() }) { onEvent(.resumed) }
    }

    /// Says in the log how far it is durable, when nothing else is to be written that would.
    private func note() {
        if queue.withLock({ $0.hasFailed || $0.isStalled }) { return }
        do {
            try writer.withLock { writer throws(JournalError) in try writer.noteDurability(synced: false) }
        } catch {
            fail(error)
        }
    }

    /// Puts back what did not fit, in front of what came since.
    private func stall(_ error: JournalError, _ rest: ArraySlice<Record>) {
        queue.withLock { queue in
            queue.records.insert(contentsOf: rest, at: 0)
            queue.isStalled = true
        }
        onEvent(.stalled(error))
    }

    private func fail(_ error: JournalError) {
        queue.withLock { $0.hasFailed = true }
        onEvent(.failed(error))
    }

    /// As many records as one sync should take.
    private static func part(of records: ArraySlice<Record>) -> ArraySlice<Record> {
        var bytes = 0
        let end = records.firstIndex { record in
            defer { bytes += record.payload.count }
            return bytes > 0 && bytes + record.payload.count > JournalLimits.batchBytes
        }
        return records[..<(end ?? records.endIndex)]
    }
}
