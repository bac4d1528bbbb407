import NIOCore
import Store
import Synchronization

/// What one event loop does for all its connections: answers writes when they are durable, as many at once as one sync
/// made so, and hands changes to watches, as many at once as were woken together.
final class Front: @unchecked Sendable {
    // SAFETY: `woken` has its lock; everything else is used on `eventLoop` alone.
    let store: Keyspace
    let eventLoop: any EventLoop
    private var waiting: [DueAnswer] = []
    private var isAwaiting = false
    private let woken = Mutex<[Watch]>([])
    private var watches: [ObjectIdentifier: Watch] = [:]
    /// The changes encoded last: watches of one prefix that woke together send the same bytes.
    private var encoded: (prefix: [UInt8], first: Revision, last: Revision, bytes: ByteBuffer)?

    init(store: Keyspace, eventLoop: any EventLoop) {
        self.store = store
        self.eventLoop = eventLoop
    }

    /// Says once a second to every watch how far it is.
    func start() {
        eventLoop.execute {
            self.eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
                for watch in self.watches.values { watch.bookmark(isAsked: false) }
            }
        }
    }

    // MARK: Writes

    /// An answer that may be given when a revision is durable.
    struct DueAnswer {
        let revision: Revision
        let connection: Connection
        let id: UInt32
        /// The revision in the way of a write that did not happen: that, too, must be durable before anyone hears of
        /// it.
        let conflict: UInt64?
    }

    /// Revisions come in order, because every commit of these connections happens on this loop.
    func answer(_ due: DueAnswer) {
        waiting.append(due)
        awaitFirst()
    }

    private func awaitFirst() {
        guard !isAwaiting, let first = waiting.first else { return }
        isAwaiting = true
        store.whenDurable(first.revision) { result in
            self.eventLoop.execute { self.deliver(result) }
        }
    }

    private func deliver(_ result: Result<Void, StoreError>) {
        isAwaiting = false
        let durable = store.durableRevision
        var done = waiting.firstIndex { $0.revision > durable } ?? waiting.count
        for due in waiting[..<done] {
            if let conflict = due.conflict {
                due.connection.answer(.conflict, due.id, number: conflict)
            } else {
                due.connection.answer(.done, due.id, number: due.revision.rawValue)
            }
        }
        if case .failure(let error) = result {
            for due in waiting[done...] { due.connection.refuse(due.id, error) }
            done = waiting.count
        }
        for due in waiting[..<done] { due.connection.flush() }
        waiting.removeFirst(done)
        awaitFirst()
    }

    // MARK: Watches

    func add(_ watch: Watch) {
        watches[ObjectIdentifier(watch)] = watch
        watch.pump()
    }

    func remove(_ watch: Watch) { watches[ObjectIdentifier(watch)] = nil }

    /// On any thread: this watch has something to read.
    func wake(_ watch: Watch) {
        let isFirst = woken.withLock { woken in
            woken.append(watch)
            return woken.count == 1
        }
        if !isFirst { return }
        eventLoop.execute {
            let watches = self.woken.withLock { woken in
                defer { woken = [] }
                return woken
            }
            for watch in watches { watch.pump() }
        }
    }

    /// Whole revisions as a frame's body.
    func encode(_ changes: [Change], prefix: [UInt8]) throws(StoreError) -> ByteBuffer {
        let (first, last) = (changes[0].revision, changes[changes.count - 1].revision)
        if let encoded, encoded.prefix == prefix, encoded.first == first, encoded.last == last { return encoded.bytes }
        var bytes = ByteBufferAllocator().buffer(capacity: 12 + changes.count * 2304)
        bytes.write(last)
        bytes.writeInteger(UInt32(changes.count), endianness: .little)
        for change in changes {
            bytes.writeInteger(change.kind == .put ? UInt8(1) : 2)
            bytes.write(revision: change.revision, key: change.key, value: try change.value)
        }
        encoded = (prefix, first, last, bytes)
        return bytes
    }
}
