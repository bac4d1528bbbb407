internal import ControlLoop
internal import Documents
internal import Seams

/// The pods of a Job, sorted by what they mean to it. Pure.
struct JobPods {
    let job: JobView
    /// Running or about to, and not on their way out. A pod without the mark of tracking was given up already.
    private(set) var active: [PodView] = []
    /// On their way out, their processes not ended yet.
    private(set) var terminating: [PodView] = []
    /// Given up, and still to be deleted.
    private(set) var givenUp: [PodView] = []
    /// Ended well, and written down nowhere yet.
    private(set) var newSucceeded: [PodView] = []
    /// Ended badly, and written down nowhere yet.
    private(set) var newFailed: [PodView] = []
    /// Every pod that failed, counted or not.
    private(set) var failed: [PodView] = []
    private(set) var succeeded: [PodView] = []
    /// UIDs of pods that still bear the mark.
    private(set) var tracked: Set<String> = []
    /// Why the Job is to fail at once, where a rule of `podFailurePolicy` says so.
    private(set) var fatal: String?
    /// Indexes that a rule of `podFailurePolicy` gives up.
    private(set) var failedByRule: [Int] = []

    init(_ job: JobView, _ pods: [Document]) {
        self.job = job
        let noted = Set(job.uncounted("succeeded") + job.uncounted("failed"))
        let policy = PodFailurePolicy(job)
        for pod in pods.map(PodView.init) {
            let isTracked = pod.document.finalizers.contains(JobView.tracking)
            if isTracked { tracked.insert(pod.document.uid) }
            let isNew = isTracked && !noted.contains(pod.document.uid)
            if pod.phase == "Succeeded" {
                succeeded.append(pod)
                if isNew { newSucceeded.append(pod) }
            } else if pod.phase == "Failed" {
                fail(pod, isNew, policy)
            } else if pod.isTerminating {
                terminating.append(pod)
                // Whoever deletes a running pod makes it fail; where only failed pods are replaced, its end decides.
                if isNew, !job.replacesOnlyFailed {
                    failed.append(pod)
                    newFailed.append(pod)
                }
            } else if isTracked {
                active.append(pod)
            } else {
                givenUp.append(pod)
            }
        }
    }

    private mutating func fail(_ pod: PodView, _ isNew: Bool, _ policy: PodFailurePolicy) {
        let match = policy.action(for: pod.document)
        if match?.action == .ignore { return }
        failed.append(pod)
        if isNew { newFailed.append(pod) }
        switch match?.action {
        case .failJob: fatal = fatal ?? match?.message
        case .failIndex: JobView.index(of: pod.document).map { failedByRule.append($0) }
        default: break
        }
    }

    /// How often containers were started again, of pods that have not ended.
    var restarts: Int {
        (active + terminating).reduce(0) { sum, pod in
            let status = pod.document.status
            return (status.elements("initContainerStatuses") + status.elements("containerStatuses"))
                .reduce(sum) { $0 + ($1.integer("restartCount") ?? 0) }
        }
    }

    /// Until when no pod is to be made: 10 s after a failure, twice as long after each in a row, up to 6 min. `nil` where
    /// nothing has failed since the last success. `index` limits it to the pods of one completion index.
    func restsUntil(index: Int? = nil) -> Instant? {
        func belongs(_ pod: PodView) -> Bool { index == nil || JobView.index(of: pod.document) == index }
        let lastSuccess = succeeded.filter(belongs).compactMap(\.finished).max()
        let failures = failed.filter(belongs).compactMap(\.finished).filter { end in
            lastSuccess.map { $0 < end } ?? true
        }
        guard let last = failures.max() else { return nil }
        let count = index.map(failures(of:)) ?? failures.count
        let doubled = ReconcilerLimits.jobBackOff * (1 << min(max(count, 1) - 1, 16))
        return last + min(doubled, ReconcilerLimits.longestJobBackOff)
    }

    /// How often the pods of an index have failed, as far as the pods that are left tell.
    func failures(of index: Int) -> Int {
        failed.filter { JobView.index(of: $0.document) == index }.map { Self.failuresBefore($0.document) + 1 }.max()
            ?? 0
    }

    static func failuresBefore(_ pod: Document) -> Int {
        pod.annotations[JobView.indexFailures].flatMap(Int.init) ?? 0
    }
}
