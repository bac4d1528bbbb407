internal import Synchronization

/// Takes records in order from any thread and makes them durable, as many with one sync as came in while the last one
/// was under way. With a thread of its own it is the only place in the program that waits for the disk; without one,
/// whoever calls `flush` does the work, which is what simulations do.
package final class GroupCommitter: Sendable {
    /// What became of records, told in order and from one thread at a time.
    package enum Event: Sendable {
        /// Everything up to `revision` is on disk. `started` is the segment begun for this batch.
        case durable(revision: UInt64, started: Segment?)
        /// Writing is over: nothing after the last durable revision is known.
        case failed(JournalError)
    }

    /// What waits to be written.
    private struct Queue: Sendable {
        var records: [Record] = []
        var isStopping = false
        var isWaiting = false
        var hasFailed = false
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
    }

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
        while true {
            let batch = take()
            if !batch.isEmpty {
                commit(batch)
                continue
            }
            let (mustWait, isStopping) = queue.withLock { queue in
                queue.isWaiting = queue.records.isEmpty && !queue.isStopping
                return (queue.isWaiting, queue.isStopping && queue.records.isEmpty)
            }
            if isStopping { return }
            if mustWait { wakeUp.wait() }
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
            rest = rest.dropFirst(part.count)
            do {
                let started = try writer.withLock { writer throws(JournalError) in try writer.write(part) }
                onEvent(.durable(revision: part.last?.revision ?? 0, started: started))
            } catch {
                fail(error)
                return
            }
        }
        if !queue.withLock({ $0.records.isEmpty }) { return }
        do {
            try writer.withLock { writer throws(JournalError) in try writer.noteDurability(synced: false) }
        } catch {
            fail(error)
        }
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
