package import Client
package import ControlLoop
internal import Documents
package import Seams

/// What becomes of pods that have ended: those of Jobs may go once they are counted, those of nobody are kept up to a
/// number, the newest of them.
package struct PodReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.pod }
    package var owner: FieldOwner { FieldOwner(loop: "pod") }

    package var interests: [Interest] {
        [
            .reference(Kinds.job.resource) { job, view in
                view.list(Kinds.pod.resource, job.namespace).filter {
                    $0.controller?.uid == job.uid && $0.finalizers.contains(JobView.tracking)
                }.map(PrimaryName.init)
            },
            .reference(Kinds.pod.resource) { pod, view in
                guard Self.isLeftOver(pod) else { return [] }
                let all = view.list(Kinds.pod.resource, pod.namespace).filter(Self.isLeftOver)
                return Self.excess(all).map(PrimaryName.init)
            },
        ]
    }

    package func reconcile(_ observed: Observation<PlainView>, now: Instant) -> Outcome {
        let pod = observed.primary.document
        var outcome = Outcome()
        if pod.finalizers.contains(JobView.tracking), isCounted(pod, observed.view) {
            outcome.releases = [JobView.tracking]
        }
        if Self.isLeftOver(pod) {
            let all = observed.view.list(Kinds.pod.resource, pod.namespace).filter(Self.isLeftOver)
            outcome.isExpired = Self.excess(all).contains { $0.uid == pod.uid }
        }
        return outcome
    }

    /// Whether nothing waits for the end of this pod: its Job has written it down, or there is no Job any more.
    private func isCounted(_ pod: Document, _ view: View) -> Bool {
        guard let owner = pod.controller, owner.kind == Kinds.job.kind,
            let job = view.get(Kinds.job.resource, pod.namespace, owner.name), job.uid == owner.uid
        else { return true }
        if job.isBeingDeleted { return true }
        return JobView(job).hasNoted(pod)
    }

    private static func isLeftOver(_ pod: Document) -> Bool {
        pod.controller == nil && !pod.isBeingDeleted && PodView(pod).isOver
    }

    /// Those beyond the number that is kept, oldest first.
    private static func excess(_ pods: [Document]) -> [Document] {
        let count = pods.count - ReconcilerLimits.terminatedPodsKept
        if count <= 0 { return [] }
        return Array(
            pods.sorted { ($0.creationTimestamp, $0.name) < ($1.creationTimestamp, $1.name) }.prefix(count))
    }
}
