internal import Journal
internal import Logging
internal import Seams
internal import Store
internal import Synchronization

/// Copies the store elsewhere while the server runs: the log every second, tables beside it, each on a thread that may
/// wait for disk and target. A lost disk then loses what came since the last pass that ended well: two seconds, one
/// between passes and one for a pass, while the target keeps up.
final class Replication: Sendable {
    private static let pause = Duration.seconds(1)
    private static let tablePause = Duration.seconds(5)

    private struct Status {
        var copied = Revision.empty
        /// When a pass began that copied everything, on the monotonic clock.
        var completeAt: Duration
        var failures: [String: StoreError] = [:]
    }

    private let store: Keyspace
    private let clock: any Clock
    private let logger: Logger
    private let log: Mutex<LogReplicator>
    private let tables: Mutex<TableReplicator>
    private let status: Mutex<Status>

    init(store: Keyspace, replica: Replica, kept: Duration, clock: any Clock, logger: Logger) {
        self.store = store
        self.clock = clock
        self.logger = logger
        log = Mutex(LogReplicator(replica))
        tables = Mutex(TableReplicator(replica, kept: kept))
        status = Mutex(Status(completeAt: clock.monotonic()))
    }

    /// Copies until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.repeatedly(Self.pause) { self.copyLog() } }
            group.addTask { await self.repeatedly(Self.tablePause) { self.copyTables() } }
        }
    }

    /// Copies the end of the log, unless the target does not answer anyway.
    func finish() async {
        if !status.withLock({ $0.failures.isEmpty }) { return }
        await DedicatedThread.run(name: "replica") { self.copyLog() }
    }

    private func repeatedly(_ pause: Duration, _ pass: @escaping @Sendable () -> Void) async {
        while !Task.isCancelled {
            await DedicatedThread.run(name: "replica", pass)
            do { try await clock.sleep(for: pause) } catch { return }
        }
    }

    private func copyLog() {
        let (began, durable) = (clock.monotonic(), store.durableRevision)
        attempt("log") { () throws(StoreError) in
            let copied = try log.withLock { log throws(StoreError) in
                try log.pass(durable: durable, now: clock.now())
            }
            status.withLock { status in
                status.copied = copied
                if copied >= durable { status.completeAt = began }
            }
        }
    }

    private func copyTables() {
        attempt("tables") { () throws(StoreError) in
            try tables.withLock { tables throws(StoreError) in try tables.pass(now: clock.now()) }
        }
    }

    /// Notes and logs how a pass ended, where that is news.
    private func attempt(_ what: String, _ pass: () throws(StoreError) -> Void) {
        do throws(StoreError) {
            try pass()
            if status.withLock({ $0.failures.removeValue(forKey: what) }) != nil {
                logger.info("the store is copied again", metadata: ["what": "\(what)"])
            }
        } catch {
            let before = status.withLock { $0.failures.updateValue(error, forKey: what) }
            // Each attempt names another object.
            if let before, Self.isFull(before) == Self.isFull(error) { return }
            logger.error(
                "the store cannot be copied; tried again", metadata: ["what": "\(what)", "reason": "\(error)"])
        }
    }

    private static func isFull(_ error: StoreError) -> Bool {
        if case .full = error { return true }
        return false
    }

    // MARK: What is told

    /// How long what is not copied yet has waited at most; zero when everything is.
    var behind: Duration {
        let (durable, now) = (store.durableRevision, clock.monotonic())
        return status.withLock { $0.copied >= durable ? .zero : now - $0.completeAt }
    }

    /// What is wrong with the copy, for readers without credentials: no path, no file.
    var complaint: String? {
        let (behind, failures) = (behind.components.seconds, status.withLock { $0.failures })
        guard let failure = failures["log"] ?? failures["tables"] else {
            return behind < 15 ? nil : "the copy of the store is \(behind) s behind: its target is slow"
        }
        let why = Self.isFull(failure) ? "its target is full" : "its target cannot be used"
        return "the copy of the store is \(behind) s behind: \(why); the server's log says more"
    }
}
