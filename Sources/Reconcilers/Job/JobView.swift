internal import ControlLoop
package import Documents
internal import Seams

/// A Job as its loop reads it, with the defaults of batch/v1.
package struct JobView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }

    /// On a pod whose end its Job has not counted yet.
    package static let tracking = "batch.kubernetes.io/job-tracking"
    package static let indexLabel = "batch.kubernetes.io/job-completion-index"
    /// How often the index of a pod had failed before the pod was made.
    package static let indexFailures = "batch.kubernetes.io/job-index-failure-count"

    private var spec: JSON { document.spec }
    package var parallelism: Int { max(0, min(spec.integer("parallelism") ?? 1, ReconcilerLimits.replicas)) }
    /// `nil` where any success is enough: the pods share a queue, and know when it is empty.
    package var completions: Int? { spec.integer("completions").map { max(0, $0) } }
    package var isIndexed: Bool { spec.text("completionMode") == "Indexed" }
    package var isSuspended: Bool { spec["suspend"]?.boolValue ?? false }
    package var backoffLimitPerIndex: Int? { isIndexed ? spec.integer("backoffLimitPerIndex") : nil }
    package var maxFailedIndexes: Int? { spec.integer("maxFailedIndexes") }
    package var backoffLimit: Int {
        // Upstream's default of 6 makes way where every index has a limit of its own.
        spec.integer("backoffLimit") ?? (backoffLimitPerIndex == nil ? 6 : Int(Int32.max))
    }
    package var activeDeadline: Duration? { spec.integer("activeDeadlineSeconds").map { .seconds($0) } }
    package var timeToLive: Duration? { spec.integer("ttlSecondsAfterFinished").map { .seconds($0) } }
    package var restartsInPlace: Bool { spec["template"]?["spec"]?.text("restartPolicy") == "OnFailure" }
    /// Whether somebody else looks after this Job.
    package var isForeign: Bool {
        spec["managedBy"]?.stringValue.map { $0 != "kubernetes.io/job-controller" } ?? false
    }
    /// Whether a pod on its way out keeps its place until it has gone.
    package var replacesOnlyFailed: Bool {
        spec["podReplacementPolicy"]?.stringValue.map { $0 == "Failed" } ?? (spec["podFailurePolicy"] != nil)
    }

    var startTime: Instant? { document.status["startTime"]?.stringValue.flatMap(Instant.init(rfc3339:)) }
    var completedIndexes: IndexSet { IndexSet(document.status.text("completedIndexes"), below: completions ?? 0) }
    var failedIndexes: IndexSet { IndexSet(document.status.text("failedIndexes"), below: completions ?? 0) }

    /// UIDs of pods whose end is written down and not yet in a sum: `succeeded` or `failed`.
    package func uncounted(_ kind: String) -> [String] {
        document.status["uncountedTerminatedPods"]?.elements(kind).compactMap(\.stringValue) ?? []
    }

    /// `Complete` or `Failed`, once it is.
    package var end: JSON? {
        document.status.elements("conditions").first {
            ["Complete", "Failed"].contains($0.text("type")) && $0.text("status") == "True"
        }
    }

    /// The completion index of a pod; `nil` where it has none.
    package static func index(of pod: Document) -> Int? {
        (pod.annotations[indexLabel] ?? pod.labels[indexLabel]).flatMap(Int.init)
    }

    /// Whether the end of this pod is written down, so that the pod may go.
    package func hasNoted(_ pod: Document) -> Bool {
        if end != nil { return true }
        if uncounted("succeeded").contains(pod.uid) || uncounted("failed").contains(pod.uid) { return true }
        let pod = PodView(pod)
        if pod.phase == "Failed", PodFailurePolicy(self).action(for: pod.document)?.action == .ignore { return true }
        guard isIndexed, pod.phase == "Succeeded" else { return false }
        guard let index = Self.index(of: pod.document), index < completions ?? 0 else { return true }
        return completedIndexes.contains(index)
    }
}
