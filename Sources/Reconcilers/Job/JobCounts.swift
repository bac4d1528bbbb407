internal import Documents

/// The sums of a Job and the pods on their way into them. A pod's UID stands in `uncounted` from the write that notes its
/// end until the first write that sees the pod without its mark; with that write it moves into the sum. Pure.
struct JobCounts {
    var succeeded: Int
    private(set) var failed: Int
    private var pending: [String: [String]] = [:]
    private var hasMore = false

    init(_ job: JobView, _ pods: JobPods) {
        let status = job.document.status
        succeeded = status.integer("succeeded") ?? 0
        failed = status.integer("failed") ?? 0
        for kind in ["succeeded", "failed"] {
            let known = job.uncounted(kind)
            let waiting = known.filter(pods.tracked.contains)
            if kind == "succeeded" {
                succeeded += known.count - waiting.count
            } else {
                failed += known.count - waiting.count
            }
            // Successes of an indexed Job stand in its indexes.
            let new = kind == "failed" ? pods.newFailed : job.isIndexed ? [] : pods.newSucceeded
            let room = max(0, ReconcilerLimits.uncountedPods - waiting.count)
            hasMore = hasMore || new.count > room
            pending[kind] = waiting + new.prefix(room).map(\.document.uid)
        }
    }

    /// Whether every pod that has ended is in a sum.
    var isSettled: Bool { !hasMore && pending.values.allSatisfy(\.isEmpty) }

    var uncounted: JSON {
        var object = JSONObject()
        for kind in ["succeeded", "failed"] {
            if let uids = pending[kind], !uids.isEmpty { object[kind] = .array(uids.map(JSON.string)) }
        }
        return .object(object)
    }
}
