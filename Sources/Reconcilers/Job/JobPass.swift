internal import Client
internal import ControlLoop
internal import Documents
internal import Seams

/// One decision about a Job that has not ended. Pure.
struct JobPass {
    let job: JobView
    let pods: JobPods
    let now: Instant
    private(set) var outcome = Outcome()
    private let all: [Document]
    private let refused: Set<String>
    /// How many have succeeded and failed, those included that are not written down yet.
    private let succeeded: Int
    private let failed: Int
    private var completedIndexes: IndexSet
    private var failedIndexes: IndexSet
    /// What the Job is about to end with, as the condition that says so.
    private var target: (type: String, reason: String, message: String)?
    private var activeCount: Int

    init(_ job: JobView, _ pods: [Document], refusals: [Refusal], now: Instant) {
        self.job = job
        self.now = now
        all = pods
        refused = Set(refusals.map(\.key.name))
        let sorted = JobPods(job, pods)
        self.pods = sorted
        completedIndexes = job.completedIndexes
        failedIndexes = job.failedIndexes
        let status = job.document.status
        failed = (status.integer("failed") ?? 0) + job.uncounted("failed").count + sorted.newFailed.count
        if job.isIndexed {
            for pod in sorted.newSucceeded {
                if let index = JobView.index(of: pod.document), index < job.completions ?? 0 {
                    completedIndexes.insert(index)
                }
            }
            succeeded = completedIndexes.count
        } else {
            succeeded =
                (status.integer("succeeded") ?? 0) + job.uncounted("succeeded").count + sorted.newSucceeded.count
        }
        activeCount = sorted.active.count
        noteFailedIndexes()
    }

    mutating func run() {
        decideTarget()
        if target != nil || job.isSuspended {
            stop()
        } else {
            manage()
        }
        outcome.status = status()
    }

    // MARK: - Whether it is over

    private mutating func noteFailedIndexes() {
        guard let limit = job.backoffLimitPerIndex else { return }
        for pod in pods.failed {
            guard let index = JobView.index(of: pod.document), !completedIndexes.contains(index) else { continue }
            if JobPods.failuresBefore(pod.document) >= limit { failedIndexes.insert(index) }
        }
        for index in pods.failedByRule where !completedIndexes.contains(index) { failedIndexes.insert(index) }
    }

    private mutating func decideTarget() {
        let known = job.document.status.elements("conditions").first {
            ["FailureTarget", "SuccessCriteriaMet"].contains($0.text("type")) && $0.text("status") == "True"
        }
        if let known { return target = (known.text("type"), known.text("reason"), known.text("message")) }
        target = failure() ?? success()
    }

    private func failure() -> (type: String, reason: String, message: String)? {
        func fails(_ reason: String, _ message: String) -> (String, String, String) {
            ("FailureTarget", reason, message)
        }
        if let fatal = pods.fatal { return fails("PodFailurePolicy", fatal) }
        let restarts = job.restartsInPlace ? pods.restarts : 0
        let isBeyondRestarts = job.backoffLimit == 0 ? restarts > 0 : restarts >= job.backoffLimit
        if failed > job.backoffLimit || (job.restartsInPlace && isBeyondRestarts) {
            return fails("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        }
        if let deadline = job.activeDeadline, !job.isSuspended, let start = job.startTime, now >= start + deadline {
            return fails("DeadlineExceeded", "Job was active longer than specified deadline")
        }
        if job.backoffLimitPerIndex != nil {
            if let most = job.maxFailedIndexes, failedIndexes.count > most {
                return fails(
                    "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes")
            }
            let isAllDone = failedIndexes.count + completedIndexes.count >= job.completions ?? 0
            if !failedIndexes.isEmpty, isAllDone { return fails("FailedIndexes", "Job has failed indexes") }
        }
        return nil
    }

    private func success() -> (type: String, reason: String, message: String)? {
        for (index, rule) in (job.document.spec["successPolicy"]?.elements("rules") ?? []).enumerated() {
            let wanted = rule["succeededIndexes"]?.stringValue.map { IndexSet($0, below: job.completions ?? 0) }
            let found = wanted.map { $0.countShared(with: completedIndexes) } ?? completedIndexes.count
            if found >= rule.integer("succeededCount") ?? wanted?.count ?? .max {
                return ("SuccessCriteriaMet", "SuccessPolicy", "Matched rules at index \(index)")
            }
        }
        let isComplete: Bool
        if let completions = job.completions {
            isComplete = succeeded >= completions
        } else {
            isComplete = succeeded > 0 && pods.active.isEmpty
        }
        return isComplete
            ? ("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods") : nil
    }

    // MARK: - Pods

    private mutating func keepAll(except unwanted: Set<String> = []) {
        for pod in all where !unwanted.contains(pod.uid) {
            outcome.children.append(.keep(Kinds.pod.resource, pod, because: "how it ends counts"))
        }
    }

    /// Deletes a pod in such a way that it does not count as a failure.
    private mutating func giveUp(_ pod: PodView, because reason: String) {
        outcome.others.append(
            Other(
                Kinds.pod.resource, pod.document,
                .delete(uid: pod.document.uid, releasing: [JobView.tracking]), because: reason))
        event("SuccessfulDelete", "Deleted pod: \(pod.document.name)", pod.document.uid)
    }

    /// Takes the pods away that still run, because the Job is over or rests.
    private mutating func stop() {
        activeCount = 0
        if target?.type == "FailureTarget" {
            // They count as failed, as upstream has it.
            keepAll(except: Set(pods.active.map(\.document.uid)))
        } else {
            keepAll()
            for pod in pods.active { giveUp(pod, because: target == nil ? "suspended" : "enough have succeeded") }
        }
        for pod in pods.givenUp { giveUp(pod, because: "given up before") }
    }

    private mutating func manage() {
        keepAll()
        for pod in pods.givenUp { giveUp(pod, because: "given up before") }
        var active = pods.active
        if job.isIndexed {
            var taken = IndexSet()
            for pod in active.sorted(by: Self.isWorthMore) {
                let index = JobView.index(of: pod.document) ?? .max
                let isWanted =
                    index < job.completions ?? 0 && !completedIndexes.contains(index)
                    && !failedIndexes.contains(index) && !taken.contains(index)
                if isWanted {
                    taken.insert(index)
                } else {
                    giveUp(pod, because: "its index is not wanted")
                    active.removeAll { $0.document.uid == pod.document.uid }
                }
            }
        }
        let wanted = wantedActive(active.count)
        if active.count > wanted {
            for pod in active.sorted(by: Self.isWorthMore).suffix(active.count - wanted) {
                giveUp(pod, because: "\(wanted) pods are wanted")
            }
            activeCount = wanted
            return
        }
        let leaving = job.replacesOnlyFailed ? pods.terminating.count : 0
        activeCount = active.count + make(max(0, min(wanted - active.count - leaving, ReconcilerLimits.podsMadeAtOnce)))
    }

    private func wantedActive(_ active: Int) -> Int {
        guard let completions = job.completions else { return succeeded > 0 ? active : job.parallelism }
        return max(0, min(completions - succeeded - failedIndexes.count, job.parallelism))
    }

    private static func isWorthMore(_ left: PodView, _ right: PodView) -> Bool {
        func rank(_ pod: PodView) -> (Int, Int, String, String) {
            (
                pod.isReady ? 0 : 1, pod.phase == "Running" ? 0 : 1, pod.document.creationTimestamp, pod.document.name
            )
        }
        return rank(left) < rank(right)
    }

    /// Makes pods, unless it is too early after a failure. Answers how many.
    private mutating func make(_ count: Int) -> Int {
        if count == 0 { return 0 }
        if job.backoffLimitPerIndex == nil, let due = pods.restsUntil(), now < due {
            outcome.wake(at: due)
            return 0
        }
        var names = PodNames(uid: job.document.uid, taken: all.map(\.name))
        var made = 0
        for index in job.isIndexed ? freeIndexes(count) : Array(repeating: nil, count: count) {
            let pod = JobPodTemplate(job, pods).pod(index: index, &names)
            outcome.children.append(.create(Kinds.pod.resource, pod, because: "\(count) more pods are wanted"))
            if refused.contains(pod.name) { continue }
            event("SuccessfulCreate", "Created pod: \(pod.name)", pod.name)
            made += 1
        }
        return made
    }

    /// The lowest indexes that neither are done nor have a pod, at most `count` of them.
    private mutating func freeIndexes(_ count: Int) -> [Int?] {
        var busy = IndexSet()
        for pod in pods.active + (job.replacesOnlyFailed ? pods.terminating : []) {
            JobView.index(of: pod.document).map { busy.insert($0) }
        }
        var free: [Int?] = []
        for index in 0..<(job.completions ?? 0) {
            if free.count >= count { break }
            if completedIndexes.contains(index) || failedIndexes.contains(index) || busy.contains(index) { continue }
            if job.backoffLimitPerIndex != nil, let due = pods.restsUntil(index: index), now < due {
                outcome.wake(at: due)
                continue
            }
            free.append(index)
        }
        return free
    }

    private mutating func event(_ reason: String, _ message: String, _ occurrence: String, isWarning: Bool = false) {
        outcome.events.append(EventDraft(reason, message, occurrence: occurrence, isWarning: isWarning))
    }

    // MARK: - Status

    private mutating func status() -> JSON {
        var counts = JobCounts(job, pods)
        if job.isIndexed { counts.succeeded = completedIndexes.count }
        let startsNow = job.startTime == nil && !job.isSuspended
        if startsNow, let deadline = job.activeDeadline { outcome.wake(at: now + deadline) }
        if let start = job.startTime, let deadline = job.activeDeadline, !job.isSuspended, target == nil {
            outcome.wake(at: start + deadline)
        }
        var status: JSONObject = [:]
        let start = startsNow ? .string(now.rfc3339) : job.document.status["startTime"]
        status["startTime"] = job.isSuspended && target == nil ? nil : start
        let isOver = target != nil && pods.active.isEmpty && pods.terminating.isEmpty && counts.isSettled
        let conditions = conditions(isOver: isOver)
        if isOver, target?.type == "SuccessCriteriaMet" { status["completionTime"] = .string(now.rfc3339) }
        if activeCount > 0 { status["active"] = .integer(Int64(activeCount)) }
        status["ready"] = .integer(Int64(activeCount == 0 ? 0 : pods.active.filter(\.isReady).count))
        status["terminating"] = .integer(Int64(pods.terminating.count))
        if counts.succeeded > 0 { status["succeeded"] = .integer(Int64(counts.succeeded)) }
        if counts.failed > 0 { status["failed"] = .integer(Int64(counts.failed)) }
        if !completedIndexes.isEmpty { status["completedIndexes"] = .string(completedIndexes.description) }
        if job.backoffLimitPerIndex != nil { status["failedIndexes"] = .string(failedIndexes.description) }
        status["uncountedTerminatedPods"] = counts.uncounted
        if !conditions.isEmpty { status["conditions"] = .array(conditions) }
        return .object(status)
    }

    private mutating func conditions(isOver: Bool) -> [JSON] {
        var conditions = job.document.status.elements("conditions")
        func condition(_ type: String, _ status: String, _ reason: String, _ message: String) -> JSON {
            [
                "type": .string(type), "status": .string(status), "lastProbeTime": .string(now.rfc3339),
                "lastTransitionTime": .string(now.rfc3339), "reason": .string(reason), "message": .string(message),
            ]
        }
        if let target {
            if Conditions.find(target.type, in: conditions) == nil {
                conditions.append(condition(target.type, "True", target.reason, target.message))
            }
            guard isOver else { return conditions }
            let type = target.type == "FailureTarget" ? "Failed" : "Complete"
            conditions.append(condition(type, "True", target.reason, target.message))
            if type == "Complete" {
                event("Completed", "Job completed", type)
            } else {
                event(target.reason, target.message, type, isWarning: true)
            }
            return conditions
        }
        let wasSuspended = Conditions.find("Suspended", in: conditions)?.text("status") == "True"
        if job.isSuspended == wasSuspended { return conditions }
        let new =
            job.isSuspended
            ? condition("Suspended", "True", "JobSuspended", "Job suspended")
            : condition("Suspended", "False", "JobResumed", "Job resumed")
        event(job.isSuspended ? "Suspended" : "Resumed", new.text("message"), "\(job.document.generation)")
        conditions.removeAll { $0.text("type") == "Suspended" }
        return conditions + [new]
    }
}
