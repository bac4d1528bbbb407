package import Client
internal import Documents
package import Logging
package import Seams

/// Runs `work` in one process at a time: in the one that holds a Lease, as client-go's leader election does it, with the
/// same fields and times, so that `kubectl get leases` shows who leads.
///
/// Clocks of two machines are never compared. Who waits measures by its own clock how long the Lease has not changed;
/// who leads stops before that time is over. Between the two there can still be a moment with two leaders, when a
/// process is stopped and goes on: the engine's writes are conditional for that reason too.
package struct LeaderElection: Runnable {
    package struct Settings: Sendable {
        /// Namespace and name of the Lease. The namespace must exist.
        package var namespace: String
        package var name: String
        /// Who we are, different in every process.
        package var identity: String
        /// How long a Lease that does not change is respected. Whole seconds; the other times follow as client-go has them.
        package var duration: Duration = .seconds(15)
        /// How long a leader goes on that cannot renew.
        var renewDeadline: Duration { duration * 2 / 3 }
        /// Between two attempts to renew or to acquire, to which up to a fifth is added.
        var retryPeriod: Duration { duration * 2 / 15 }

        package init(namespace: String, name: String, identity: String) {
            self.namespace = namespace
            self.name = name
            self.identity = identity
        }
    }

    private let client: any Client
    private let clock: any Clock
    private let random: any RandomSource
    private let logger: Logger
    private let settings: Settings
    private let work: @Sendable () async -> Void

    /// `work` runs until its task is cancelled, which is when the Lease is lost or the election is.
    package init(
        client: any Client, clock: any Clock, random: any RandomSource, logger: Logger, settings: Settings,
        work: @escaping @Sendable () async -> Void
    ) {
        self.client = client
        self.clock = clock
        self.random = random
        self.logger = logger
        self.settings = settings
        self.work = work
    }

    package func run() async {
        var seen = LeaseSighting()
        while !Task.isCancelled {
            if await holds(&seen) {
                await lead(seen)
            } else {
                await pause()
            }
        }
    }

    /// Works while the Lease is renewed, and gives it back at the end.
    private func lead(_ seen: LeaseSighting) async {
        logger.info("this process leads", metadata: ["lease": "\(key)", "identity": "\(settings.identity)"])
        await withDiscardingTaskGroup { group in
            group.addTask { await work() }
            await renew(seen)
            group.cancelAll()
        }
        await release()
        logger.info("this process no longer leads", metadata: ["lease": "\(key)"])
    }

    /// Returns when the Lease is lost, could not be renewed in time, or the task is cancelled.
    private func renew(_ first: LeaseSighting) async {
        var seen = first
        var renewed = clock.monotonic()
        while !Task.isCancelled {
            await pause()
            if Task.isCancelled { return }
            if await holds(&seen) {
                renewed = clock.monotonic()
            } else if seen.isOfAnother(settings.identity) || clock.monotonic() - renewed > settings.renewDeadline {
                return
            }
        }
    }

    /// One attempt to have the Lease for another period. A failure is logged and is a no.
    private func holds(_ seen: inout LeaseSighting) async -> Bool {
        do throws(APIError) {
            return try await attempt(&seen)
        } catch {
            if error.reason != .conflict, error.reason != .alreadyExists, !Task.isCancelled {
                logger.warning(
                    "the lease cannot be read or written", metadata: ["lease": "\(key)", "error": "\(error)"])
            }
            return false
        }
    }

    func attempt(_ seen: inout LeaseSighting) async throws(APIError) -> Bool {
        let old: Document
        do throws(APIError) {
            old = try await client.get(key)
        } catch {
            guard error.reason == .notFound else { throw error }
            let new = try await client.create(lease(after: nil), options: WriteOptions(fieldManager: Self.manager))
            seen.take(new, now: clock.monotonic())
            return true
        }
        seen.take(old, now: clock.monotonic())
        if seen.isOfAnother(settings.identity), clock.monotonic() - seen.time < settings.duration { return false }
        let new = try await client.update(
            lease(after: old), subresource: nil, options: WriteOptions(fieldManager: Self.manager))
        seen.take(new, now: clock.monotonic())
        return true
    }

    /// Ours from now on. Conditional on `old` being what it was.
    private func lease(after old: Document?) -> Document {
        let now = JSON.string(clock.now().rfc3339Micro)
        var lease =
            old
            ?? Document([
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": ["name": .string(settings.name), "namespace": .string(settings.namespace)],
            ])
        var spec = lease.spec.objectValue ?? JSONObject()
        if spec["holderIdentity"]?.stringValue != settings.identity {
            if old != nil { spec["leaseTransitions"] = .integer((spec["leaseTransitions"]?.integerValue ?? 0) + 1) }
            spec["acquireTime"] = now
        }
        spec["holderIdentity"] = .string(settings.identity)
        spec["leaseDurationSeconds"] = .integer(settings.duration.components.seconds)
        spec["renewTime"] = now
        lease["spec"] = .object(spec)
        return lease
    }

    /// Lets others have the Lease at once. Runs also when the task is cancelled; where it fails the Lease runs out.
    func release() async {
        await Task {
            do throws(APIError) {
                var lease = try await client.get(key)
                guard lease.spec["holderIdentity"]?.stringValue == settings.identity else { return }
                lease["spec"]?["holderIdentity"] = ""
                lease["spec"]?["leaseDurationSeconds"] = 1
                lease["spec"]?["renewTime"] = .string(clock.now().rfc3339Micro)
                _ = try await client.update(
                    lease, subresource: nil, options: WriteOptions(fieldManager: Self.manager))
            } catch {
                logger.warning("the lease was not given back", metadata: ["lease": "\(key)", "error": "\(error)"])
            }
        }.value
    }

    private static let manager = FieldOwner(loop: "leader").name

    private var key: ObjectKey {
        ObjectKey(
            GroupResource(group: "coordination.k8s.io", resource: "leases"), namespace: settings.namespace,
            name: settings.name)
    }

    private func pause() async {
        // Throws only when cancelled, which the caller sees.
        try? await clock.sleep(for: settings.retryPeriod * (1 + random.fraction() / 5))
    }
}

/// When, by our own clock, a Lease was last seen to change, and who held it then.
struct LeaseSighting {
    private var version = ""
    private var holder = ""
    private(set) var time: Duration = .zero

    mutating func take(_ lease: Document, now: Duration) {
        holder = lease.spec["holderIdentity"]?.stringValue ?? ""
        if lease.resourceVersion == version { return }
        version = lease.resourceVersion
        time = now
    }

    func isOfAnother(_ identity: String) -> Bool { !holder.isEmpty && holder != identity }
}
