package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Runs a Deployment through ReplicaSets: one per pod template, the newest growing while the older ones shrink.
package struct DeploymentReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.deployment }
    package var owner: FieldOwner { FieldOwner(loop: "deployment") }
    package var interests: [Interest] { [.child(Kinds.replicaSet.resource)] }

    package func reconcile(_ observed: Observation<DeploymentView>, now: Instant) -> Outcome {
        let deployment = observed.primary
        var outcome = Outcome()
        let sets = observed.children(of: Kinds.replicaSet.resource).sorted { revision($0) < revision($1) }
        let existing = sets.last { Self.template(of: $0) == deployment.template.canonical }
        let old = sets.filter { $0.uid != existing?.uid }
        let counts = counts(deployment, existing, old)

        let highest = old.map(revision).max() ?? 0
        var number = existing.map(revision) ?? highest + 1
        if number <= highest { number = highest + 1 }
        if existing != nil || !deployment.isPaused {
            outcome.children.append(
                .apply(
                    Kinds.replicaSet.resource, newSet(deployment, existing, counts.new, number),
                    because: "it has the current template"))
        }
        let history = Set(
            old.filter { $0.spec.integer("replicas") == 0 }.suffix(deployment.revisionHistoryLimit).map(\.name))
        for (set, count) in zip(old, counts.old) {
            let isEmpty =
                count == 0 && set.spec.integer("replicas") == 0 && (set.status.integer("replicas") ?? 0) == 0
                && (set.status.integer("terminatingReplicas") ?? 0) == 0
            if isEmpty, !history.contains(set.name) { continue }
            outcome.children.append(
                .apply(Kinds.replicaSet.resource, oldSet(set, count), because: "it has an earlier template"))
        }
        let shown = existing == nil && deployment.isPaused ? highest : number
        if shown > 0 { outcome.annotations[Label.deploymentRevision] = String(shown) }
        sayScaling(sets, &outcome, observed.refusals)
        let state = DeploymentState(deployment, new: existing, all: sets, refusals: observed.refusals)
        outcome.status = state.status(&outcome, now: now)
        return outcome
    }

    /// Tells of the sets that grow and shrink with this decision.
    private func sayScaling(_ sets: [Document], _ outcome: inout Outcome, _ refusals: [Refusal]) {
        for child in outcome.children where !refusals.contains(where: { $0.key == child.key }) {
            guard case .apply(let wanted) = child.intent else { continue }
            let set = sets.first { $0.name == wanted.name }
            let (before, after) = (set?.spec.integer("replicas") ?? 0, wanted.spec.integer("replicas") ?? 0)
            if before == after { continue }
            outcome.events.append(
                EventDraft(
                    "ScalingReplicaSet",
                    "Scaled \(after > before ? "up" : "down") replica set \(wanted.name) from \(before) to \(after)",
                    occurrence: "\(wanted.name) \(after) \(set?.resourceVersion ?? "")"))
        }
    }

    /// What a Deployment says of itself, and not of the set of its template.
    private static let ownAnnotations = [
        Label.deploymentRevision, "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
    ]

    /// The template of a ReplicaSet without what tells its pods apart.
    private static func template(of set: Document) -> JSON {
        var template = set.spec["template"] ?? [:]
        template["metadata"]?["labels"]?[Label.podTemplateHash] = nil
        return template.canonical
    }

    private func revision(_ set: Document) -> Int { set.annotations[Label.deploymentRevision].flatMap(Int.init) ?? 0 }

    private func counts(_ deployment: DeploymentView, _ new: Document?, _ old: [Document]) -> (new: Int, old: [Int]) {
        func set(_ document: Document?) -> RollingUpdate.Set {
            RollingUpdate.Set(
                replicas: document?.spec.integer("replicas") ?? 0,
                available: document?.status.integer("availableReplicas") ?? 0)
        }
        let oldCounts = old.map { $0.spec.integer("replicas") ?? 0 }
        if deployment.isPaused {
            // Only the size follows; the newest set that runs takes the difference.
            guard new == nil, let last = oldCounts.lastIndex(where: { $0 > 0 }) else {
                return (deployment.replicas, oldCounts)
            }
            var counts = oldCounts
            counts[last] = max(
                0, deployment.replicas - oldCounts.enumerated().filter { $0.offset != last }.map(\.element).reduce(0, +)
            )
            return (0, counts)
        }
        if deployment.recreates {
            let isGone = old.allSatisfy {
                $0.spec.integer("replicas") == 0 && (($0.status.integer("replicas") ?? 0) == 0)
                    && ($0.status.integer("terminatingReplicas") ?? 0) == 0
            }
            return (isGone ? deployment.replicas : new?.spec.integer("replicas") ?? 0, old.map { _ in 0 })
        }
        let (surge, unavailable) = deployment.surgeAndUnavailable
        let update = RollingUpdate(
            replicas: deployment.replicas, surge: surge, unavailable: unavailable, new: set(new), old: old.map(set))
        return update.next()
    }

    private func newSet(_ deployment: DeploymentView, _ existing: Document?, _ count: Int, _ number: Int) -> Document {
        let document = deployment.document
        let hash =
            existing?.labels[Label.podTemplateHash]
            ?? String(ContentHash.digest("espalier.dev/pod-template/v1", deployment.template).prefix(8))
        var template = deployment.template
        var labels = template["metadata"]?["labels"] ?? [:]
        labels[Label.podTemplateHash] = .string(hash)
        if template["metadata"] == nil { template["metadata"] = [:] }
        template["metadata"]?["labels"] = labels
        var selector = document.spec["selector"] ?? [:]
        if selector["matchLabels"] == nil { selector["matchLabels"] = [:] }
        selector["matchLabels"]?[Label.podTemplateHash] = .string(hash)
        let name = existing?.name ?? "\(document.name)-\(hash)"
        var set = Kinds.replicaSet.document(namespace: document.namespace, name: name)
        set.metadata["labels"] = labels
        // `kubectl rollout history` tells the cause of a change from the set it made.
        var annotations = document.annotations.filter { !Self.ownAnnotations.contains($0.key) }
        annotations[Label.deploymentRevision] = String(number)
        set.metadata["annotations"] = JSON(annotations)
        var spec: JSONObject = ["replicas": .integer(Int64(count)), "selector": selector, "template": template]
        if deployment.minReadySeconds > 0 { spec["minReadySeconds"] = .integer(Int64(deployment.minReadySeconds)) }
        set["spec"] = .object(spec)
        return set
    }

    /// An earlier ReplicaSet as it stands, with another count.
    private func oldSet(_ set: Document, _ count: Int) -> Document {
        var document = Kinds.replicaSet.document(namespace: set.namespace, name: set.name)
        document.metadata["labels"] = set.metadata["labels"]
        document.metadata["annotations"] = set.metadata["annotations"]
        document["spec"] = set.spec
        document["spec"]?["replicas"] = .integer(Int64(count))
        return document
    }
}
