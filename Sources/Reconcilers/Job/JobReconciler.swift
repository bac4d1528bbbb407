package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Runs a Job's pods until enough have succeeded. How each pod ended is counted once, also when pods are deleted: a pod
/// bears a finalizer until its Job's status has written it down (`PodReconciler` takes it off), and only then is it
/// added to the sums.
package struct JobReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.job }
    package var owner: FieldOwner { FieldOwner(loop: "job") }
    package var interests: [Interest] { [.child(Kinds.pod.resource)] }

    package func reconcile(_ observed: Observation<JobView>, now: Instant) -> Outcome {
        let job = observed.primary
        let pods = observed.children(of: Kinds.pod.resource)
        var outcome = Outcome()
        if job.document.isBeingDeleted || job.isForeign {
            outcome.children = pods.map { .keep(Kinds.pod.resource, $0, because: "not ours to decide") }
            return outcome
        }
        if let end = job.end {
            outcome.children = pods.map { .keep(Kinds.pod.resource, $0, because: "the Job has ended") }
            expire(job, end, &outcome, now: now)
            return outcome
        }
        var pass = JobPass(job, pods, refusals: observed.refusals, now: now)
        pass.run()
        return pass.outcome
    }

    private func expire(_ job: JobView, _ end: JSON, _ outcome: inout Outcome, now: Instant) {
        guard let timeToLive = job.timeToLive,
            let since = end["lastTransitionTime"]?.stringValue.flatMap(Instant.init(rfc3339:))
        else { return }
        let due = since + timeToLive
        if now >= due { outcome.isExpired = true } else { outcome.wake(at: due) }
    }
}
