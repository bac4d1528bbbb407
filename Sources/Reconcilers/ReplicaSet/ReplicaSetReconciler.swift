package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Keeps as many pods as a ReplicaSet says. Pods are made once and then left alone; their names follow from the
/// ReplicaSet's UID and a place, so that a crash between two of them leaves nothing behind and nothing twice.
package struct ReplicaSetReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.replicaSet }
    package var owner: FieldOwner { FieldOwner(loop: "replicaset") }
    package var interests: [Interest] { [.child(Kinds.pod.resource)] }

    package func reconcile(_ observed: Observation<PlainView>, now: Instant) -> Outcome {
        let set = observed.primary.document
        var outcome = Outcome()
        let pods = observed.children(of: Kinds.pod.resource).map(PodView.init)
        let wanted = max(0, min(set.spec.integer("replicas") ?? 1, ReconcilerLimits.replicas))

        var places = 0
        var running: [PodView] = []
        for pod in pods where !pod.isTerminating {
            if pod.isOver {
                // It rests in its place for a while before it is replaced.
                let due = (pod.created ?? now) + ReconcilerLimits.failedPodRest
                if now < due, places < wanted {
                    outcome.children.append(.keep(Kinds.pod.resource, pod.document, because: "failed a moment ago"))
                    outcome.wake(at: due)
                    places += 1
                }
            } else {
                running.append(pod)
            }
        }
        let kept = keep(running, max(0, wanted - places), set)
        for pod in kept { outcome.children.append(.keep(Kinds.pod.resource, pod.document, because: "wanted")) }
        var names = PodNames(uid: set.uid, taken: pods.map(\.document.name))
        while outcome.children.count < wanted {
            let name = names.next(set.name)
            outcome.children.append(.create(Kinds.pod.resource, pod(set, name), because: "\(wanted) pods are wanted"))
        }
        outcome.status = status(observed, running, &outcome, now: now)
        return outcome
    }

    /// The pods that stay: those that serve before those that do not, then those that stand in lower places.
    private func keep(_ running: [PodView], _ count: Int, _ set: Document) -> [PodView] {
        if running.count <= count { return running }
        let ranked = running.sorted { left, right in
            func rank(_ pod: PodView) -> (Int, Int, String, String) {
                (
                    pod.isReady ? 0 : 1, pod.document.spec["nodeName"] == nil ? 1 : 0, pod.document.creationTimestamp,
                    pod.document.name
                )
            }
            return rank(left) < rank(right)
        }
        return ranked.prefix(count).sorted { $0.document.name < $1.document.name }
    }

    private func pod(_ set: Document, _ name: String) -> Document {
        let template = set.spec["template"] ?? [:]
        var document = Kinds.pod.document(namespace: set.namespace, name: name)
        for member in ["labels", "annotations"] { document.metadata[member] = template["metadata"]?[member] }
        document["spec"] = template["spec"]
        return document
    }

    private func status(
        _ observed: Observation<PlainView>, _ running: [PodView], _ outcome: inout Outcome, now: Instant
    ) -> JSON {
        let set = observed.primary.document
        let minimum = set.spec.integer("minReadySeconds") ?? 0
        let terminating = observed.children(of: Kinds.pod.resource).filter(\.isBeingDeleted).count
        var available = 0
        for pod in running {
            guard let since = pod.available(after: minimum) else { continue }
            if minimum == 0 || since <= now { available += 1 } else { outcome.wake(at: since) }
        }
        var status: JSONObject = [
            "observedGeneration": .integer(set.generation), "replicas": .integer(Int64(running.count)),
            "fullyLabeledReplicas": .integer(Int64(running.count)),
            "readyReplicas": .integer(Int64(running.filter(\.isReady).count)),
            "availableReplicas": .integer(Int64(available)), "terminatingReplicas": .integer(Int64(terminating)),
        ]
        if let refusal = observed.refusals.first {
            var conditions = Conditions(previous: set.status["conditions"], generation: nil, now: now)
            conditions.set("ReplicaFailure", .yes, "FailedCreate", "\(refusal.key): \(refusal.message)")
            status["conditions"] = conditions.json
        }
        return .object(status)
    }
}
