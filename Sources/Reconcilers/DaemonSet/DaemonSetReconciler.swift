package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Keeps one pod on every node its template selects. Pods are made for a node, by `spec.nodeName`.
package struct DaemonSetReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.daemonSet }
    package var owner: FieldOwner { FieldOwner(loop: "daemonset") }

    package var interests: [Interest] {
        [
            .child(Kinds.pod.resource), .child(Kinds.controllerRevision.resource),
            .reference(Kinds.node.resource) { _, view in view.all(Kinds.daemonSet.resource).map(PrimaryName.init) },
        ]
    }

    package func reconcile(_ observed: Observation<DaemonSetView>, now: Instant) -> Outcome {
        if observed.primary.document.isBeingDeleted { return Outcome() }
        var pass = DaemonSetPass(observed, now: now)
        pass.run()
        return pass.outcome
    }
}

/// One decision about a DaemonSet. Pure.
private struct DaemonSetPass {
    private let set: DaemonSetView
    private let now: Instant
    private let history: RevisionHistory
    private let hash: String
    /// Names of the nodes that are to have a pod.
    private let nodes: [String]
    private var pods: [PodView]
    private(set) var outcome = Outcome()

    init(_ observed: Observation<DaemonSetView>, now: Instant) {
        let set = observed.primary
        self.set = set
        self.now = now
        history = RevisionHistory(
            of: set.document, known: observed.children(of: Kinds.controllerRevision.resource), template: set.template)
        hash = history.update.labels["controller.kubernetes.io/hash"] ?? ""
        nodes = observed.view.all(Kinds.node.resource).filter(set.runs).map(\.name)
        pods = observed.children(of: Kinds.pod.resource).map(PodView.init)
    }

    mutating func run() {
        let all = pods
        var names = PodNames(uid: set.document.uid, taken: all.map(\.document.name))
        var made: [Document] = []
        var kept: [PodView] = []
        for node in nodes {
            let here = all.filter { $0.document.spec.text("nodeName") == node }
            var best: PodView?
            for pod in here where stays(pod) {
                if best == nil || pod.isReady && best?.isReady == false { best = pod }
            }
            kept += here.filter(\.isTerminating)
            if let best {
                kept.append(best)
            } else if here.isEmpty {
                made.append(pod(names.next(set.document.name), node))
            }
        }
        let misscheduled = all.filter { !nodes.contains($0.document.spec.text("nodeName")) }
        let status = status(kept.filter { !$0.isTerminating }, misscheduled.count)
        if !set.updatesOnDelete { update(&kept) }
        let inUse = Set(kept.map { "\(set.document.name)-\($0.document.labels[StatefulSetView.revisionLabel] ?? "")" })
        outcome.children = history.children(inUse: inUse, limit: set.revisionHistoryLimit)
        for pod in kept {
            outcome.children.append(.keep(Kinds.pod.resource, pod.document, because: "its node is there"))
        }
        for pod in made {
            outcome.children.append(.create(Kinds.pod.resource, pod, because: "a node has none"))
            outcome.events.append(EventDraft("SuccessfulCreate", "Created pod: \(pod.name)", occurrence: pod.name))
        }
        outcome.status = status
    }

    /// A pod that has ended rests in its place for a while before it is replaced.
    private mutating func stays(_ pod: PodView) -> Bool {
        if pod.isTerminating { return false }
        if !pod.isOver { return true }
        let due = (pod.created ?? now) + ReconcilerLimits.failedPodRest
        if now >= due { return false }
        outcome.wake(at: due)
        return true
    }

    private mutating func isAvailable(_ pod: PodView) -> Bool {
        guard !pod.isOver, !pod.isTerminating, let since = pod.available(after: set.minReadySeconds) else {
            return false
        }
        if set.minReadySeconds == 0 || since <= now { return true }
        outcome.wake(at: since)
        return false
    }

    private func isUpdated(_ pod: PodView) -> Bool { pod.document.labels[StatefulSetView.revisionLabel] == hash }

    /// Takes pods of an earlier revision away, as long as few enough are missing.
    private mutating func update(_ kept: inout [PodView]) {
        let most = set.maxUnavailable(of: nodes.count)
        var missing = nodes.count
        for pod in kept where isAvailable(pod) { missing -= 1 }
        var gone: Swift.Set<String> = []
        for pod in kept where !pod.isTerminating && !isUpdated(pod) {
            if isAvailable(pod) {
                if missing >= most { continue }
                missing += 1
            }
            gone.insert(pod.document.uid)
        }
        kept.removeAll { gone.contains($0.document.uid) }
    }

    private func pod(_ name: String, _ node: String) -> Document {
        var pod = Kinds.pod.document(namespace: set.document.namespace, name: name)
        var labels = set.template["metadata"]?["labels"] ?? [:]
        labels[StatefulSetView.revisionLabel] = .string(hash)
        pod.metadata["labels"] = labels
        pod.metadata["annotations"] = set.template["metadata"]?["annotations"]
        var spec = set.template["spec"] ?? [:]
        spec["nodeName"] = .string(node)
        pod["spec"] = spec
        return pod
    }

    private mutating func status(_ pods: [PodView], _ misscheduled: Int) -> JSON {
        var available = 0
        for pod in pods where isAvailable(pod) { available += 1 }
        func number(_ count: Int) -> JSON { .integer(Int64(count)) }
        return [
            "observedGeneration": .integer(set.document.generation),
            "desiredNumberScheduled": number(nodes.count), "currentNumberScheduled": number(pods.count),
            "numberMisscheduled": number(misscheduled),
            "numberReady": number(pods.filter { $0.isReady && !$0.isOver }.count),
            "updatedNumberScheduled": number(pods.filter(isUpdated).count), "numberAvailable": number(available),
            "numberUnavailable": number(max(0, nodes.count - available)),
        ]
    }
}
