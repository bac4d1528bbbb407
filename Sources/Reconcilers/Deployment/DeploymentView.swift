internal import ControlLoop
package import Documents
internal import Seams

/// A Deployment as its loop reads it, with the defaults of apps/v1.
package struct DeploymentView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }

    package var replicas: Int { max(0, min(document.spec.integer("replicas") ?? 1, ReconcilerLimits.replicas)) }
    package var template: JSON { document.spec["template"] ?? [:] }
    package var isPaused: Bool { document.spec["paused"]?.boolValue ?? false }
    package var recreates: Bool { document.spec["strategy"]?.text("type") == "Recreate" }
    package var revisionHistoryLimit: Int { max(0, document.spec.integer("revisionHistoryLimit") ?? 10) }
    package var minReadySeconds: Int { document.spec.integer("minReadySeconds") ?? 0 }
    package var progressDeadline: Duration { .seconds(document.spec.integer("progressDeadlineSeconds") ?? 600) }

    /// How many pods may be there beyond `replicas`, and how many may be missing, during a rolling update. Percentages are
    /// rounded up for the first, down for the second; both zero would never move, so that one may then be missing.
    package var surgeAndUnavailable: (surge: Int, unavailable: Int) {
        let rolling = document.spec["strategy"]?["rollingUpdate"]
        let surge = Share.resolve(rolling?["maxSurge"], of: replicas, roundsUp: true, unset: "25%")
        let unavailable = Share.resolve(rolling?["maxUnavailable"], of: replicas, roundsUp: false, unset: "25%")
        return surge == 0 && unavailable == 0 ? (0, 1) : (surge, min(unavailable, replicas))
    }
}
