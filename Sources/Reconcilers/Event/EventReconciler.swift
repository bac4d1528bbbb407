package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Lets events expire, so that churn does not fill the store.
package struct EventReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.event }
    package var owner: FieldOwner { FieldOwner(loop: "event") }
    package var interests: [Interest] { [] }

    package func reconcile(_ observed: Observation<PlainView>, now: Instant) -> Outcome {
        let event = observed.primary.document
        let times =
            ["lastTimestamp", "eventTime", "firstTimestamp"].map { event.json.text($0) } + [event.creationTimestamp]
        var outcome = Outcome()
        guard let last = times.lazy.compactMap(Instant.init(rfc3339:)).first else { return outcome }
        let due = last + ControlLoopLimits.eventRetention
        if now >= due { outcome.isExpired = true } else { outcome.wakeAt = due }
        return outcome
    }
}
