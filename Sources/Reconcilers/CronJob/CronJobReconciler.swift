package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Makes Jobs by the clock. A Job's name holds its time, so that no time has two; the status holds the newest time that
/// was acted on, so that no time comes back when its Job has gone.
package struct CronJobReconciler: Reconciler {
    private let zones: TimeZones

    package init(zones: TimeZones) { self.zones = zones }

    package var primary: ResourceInformation { Kinds.cronJob }
    package var owner: FieldOwner { FieldOwner(loop: "cronjob") }
    package var interests: [Interest] { [.child(Kinds.job.resource)] }

    package func reconcile(_ observed: Observation<CronJobView>, now: Instant) -> Outcome {
        var pass = CronJobPass(observed, zones, now: now)
        pass.run()
        return pass.outcome
    }
}

/// One decision about a CronJob. Pure.
private struct CronJobPass {
    private let cronJob: CronJobView
    private let zones: TimeZones
    private let now: Instant
    private let refusals: [Refusal]
    private(set) var outcome = Outcome()
    private var jobs: [Document]
    private var lastSchedule: Instant?

    init(_ observed: Observation<CronJobView>, _ zones: TimeZones, now: Instant) {
        cronJob = observed.primary
        self.zones = zones
        self.now = now
        refusals = observed.refusals
        jobs = observed.children(of: Kinds.job.resource).filter { !$0.isBeingDeleted }
        lastSchedule = cronJob.lastSchedule
    }

    mutating func run() {
        sayWhatEnded()
        let successful = lastSuccess()
        tidy("Complete", cronJob.successfulKept)
        tidy("Failed", cronJob.failedKept)
        schedule()
        for job in jobs { outcome.children.append(.keep(Kinds.job.resource, job, because: "in its history")) }
        var status: JSONObject = [:]
        let active = jobs.filter { JobView($0).end == nil }.map { job -> JSON in
            [
                "apiVersion": .string(Kinds.job.apiVersion), "kind": .string(Kinds.job.kind),
                "namespace": .string(job.namespace), "name": .string(job.name), "uid": .string(job.uid),
            ]
        }
        if !active.isEmpty { status["active"] = .array(active) }
        if let lastSchedule { status["lastScheduleTime"] = .string(lastSchedule.rfc3339) }
        if let successful { status["lastSuccessfulTime"] = .string(successful) }
        outcome.status = .object(status)
    }

    private mutating func event(_ reason: String, _ message: String, _ occurrence: String, isWarning: Bool = false) {
        outcome.events.append(EventDraft(reason, message, occurrence: occurrence, isWarning: isWarning))
    }

    private mutating func sayWhatEnded() {
        for known in cronJob.active {
            guard let job = jobs.first(where: { $0.uid == known.uid }) else {
                event("MissingJob", "Active job went missing: \(known.name)", known.uid)
                continue
            }
            guard let end = JobView(job).end else { continue }
            event("SawCompletedJob", "Saw completed job: \(job.name), condition: \(end.text("type"))", job.uid)
        }
    }

    /// When a Job last succeeded, also of those that have gone.
    private func lastSuccess() -> String? {
        let times = jobs.filter { JobView($0).end?.text("type") == "Complete" }
            .compactMap { $0.status["completionTime"]?.stringValue }
        return (times + [cronJob.document.status.text("lastSuccessfulTime")]).filter { !$0.isEmpty }.max()
    }

    /// Lets go of the oldest that ended so, beyond the number that is kept.
    private mutating func tidy(_ end: String, _ kept: Int) {
        let ended = jobs.filter { JobView($0).end?.text("type") == end }
            .sorted { ($0.status.text("startTime"), $0.name) < ($1.status.text("startTime"), $1.name) }
        for job in ended.dropLast(kept) { remove(job) }
    }

    private mutating func remove(_ job: Document) {
        jobs.removeAll { $0.uid == job.uid }
        event("SuccessfulDelete", "Deleted job \(job.name)", job.uid)
    }

    private mutating func schedule() {
        let generation = "\(cronJob.document.generation)"
        guard let zone = zones.zone(named: cronJob.timeZone) else {
            let name = cronJob.timeZone ?? ""
            return event(
                "UnknownTimeZone", "invalid timeZone: \"\(name)\": unknown time zone \(name)", generation,
                isWarning: true)
        }
        if cronJob.isSuspended { return }
        let schedule: CronSchedule
        do {
            schedule = try CronSchedule(cronJob.schedule)
        } catch {
            return event(
                "UnparseableSchedule", "unparseable schedule: \"\(cronJob.schedule)\" : \(error.message)", generation,
                isWarning: true)
        }
        if let next = schedule.next(after: now, in: zone) { outcome.wake(at: next) }
        var earliest = lastSchedule ?? cronJob.created ?? now
        if let deadline = cronJob.startingDeadline { earliest = max(earliest, now + (.zero - deadline)) }
        let missed = MissedRuns(schedule, after: earliest, until: now, in: zone)
        guard let time = missed.latest else { return }
        if missed.areMany {
            event(
                "TooManyMissedTimes",
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
                time.rfc3339, isWarning: true)
        }
        if let deadline = cronJob.startingDeadline, time + deadline < now {
            return event(
                "MissSchedule", "Missed scheduled time to start a job: \(time.rfc3339)", time.rfc3339, isWarning: true)
        }
        start(cronJob.job(at: time, in: zone), time)
    }

    private mutating func start(_ job: Document, _ time: Instant) {
        // Made before a crash, or by somebody who saw the same.
        if jobs.contains(where: { $0.name == job.name }) { return lastSchedule = time }
        let active = jobs.filter { JobView($0).end == nil }
        switch cronJob.policy {
        case .allow: break
        case .forbid where !active.isEmpty:
            return event(
                "JobAlreadyActive",
                "Not starting job because prior execution is running and concurrency policy is Forbid", time.rfc3339)
        case .forbid: break
        case .replace: for other in active { remove(other) }
        }
        outcome.children.append(.create(Kinds.job.resource, job, because: "its time has come"))
        if let refusal = refusals.first(where: { $0.key.name == job.name }) {
            return event("FailedCreate", "Error creating job: \(refusal.message)", time.rfc3339, isWarning: true)
        }
        lastSchedule = time
        event("SuccessfulCreate", "Created job \(job.name)", job.name)
    }
}
