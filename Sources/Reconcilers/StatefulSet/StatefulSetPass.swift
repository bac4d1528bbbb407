internal import Client
internal import ControlLoop
internal import Documents
internal import Seams

/// One decision about a StatefulSet. Pure.
struct StatefulSetPass {
    private let set: StatefulSetView
    private let view: View
    private let now: Instant
    private let refusals: [Refusal]
    private let history: RevisionHistory
    private let current: Document
    private let pods: [Int: PodView]
    private(set) var outcome = Outcome()
    /// Ordinals whose pods are to go.
    private var going: Set<Int> = []
    private var made: [Document] = []

    init(_ observed: Observation<StatefulSetView>, now: Instant) {
        set = observed.primary
        view = observed.view
        refusals = observed.refusals
        self.now = now
        history = RevisionHistory(
            of: set.document, known: observed.children(of: Kinds.controllerRevision.resource),
            template: set.document.spec["template"] ?? [:])
        current = history.named(set.document.status.text("currentRevision")) ?? history.update
        var pods: [Int: PodView] = [:]
        for pod in observed.children(of: Kinds.pod.resource) {
            if let ordinal = set.ordinal(of: pod.name) { pods[ordinal] = PodView(pod) }
        }
        self.pods = pods
    }

    mutating func run() {
        manage()
        let status = status()
        let inUse = Set(pods.values.map { $0.document.labels[StatefulSetView.revisionLabel] ?? "" })
            .union([current.name])
        outcome.children = history.children(inUse: inUse, limit: set.revisionHistoryLimit)
        for (ordinal, pod) in pods.sorted(by: { $0.key < $1.key }) where !going.contains(ordinal) {
            outcome.children.append(.keep(Kinds.pod.resource, pod.document, because: "wanted"))
        }
        for pod in made {
            outcome.children.append(.create(Kinds.pod.resource, pod, because: "its place is empty"))
            say("SuccessfulCreate", "create Pod \(pod.name) in StatefulSet \(set.document.name) successful", pod.name)
        }
        retainClaims()
        outcome.status = status
    }

    private mutating func say(_ reason: String, _ message: String, _ occurrence: String, isWarning: Bool = false) {
        if refusals.contains(where: { $0.key.name == occurrence }) { return }
        outcome.events.append(EventDraft(reason, message, occurrence: occurrence, isWarning: isWarning))
    }

    // MARK: - Pods

    /// When the pod counts as available; asks to be woken where that is yet to come.
    private mutating func isAvailable(_ pod: PodView) -> Bool {
        guard isHealthy(pod), let since = pod.available(after: set.minReadySeconds) else { return false }
        if set.minReadySeconds == 0 || since <= now { return true }
        outcome.wake(at: since)
        return false
    }

    private func isHealthy(_ pod: PodView) -> Bool { pod.phase == "Running" && pod.isReady && !pod.isTerminating }

    private mutating func manage() {
        for ordinal in set.ordinals where !settle(ordinal) { return }
        // Every pod that is wanted is there and serves. From here on pods go, the highest first.
        for ordinal in pods.keys.filter({ !set.ordinals.contains($0) }).sorted(by: >) {
            guard let pod = pods[ordinal] else { continue }
            if !pod.isTerminating { remove(ordinal, pod) }
            if !set.isParallel { return }
        }
        if !set.updatesOnDelete { update() }
    }

    /// Brings one place to where it should be. False where the places above it have to wait.
    private mutating func settle(_ ordinal: Int) -> Bool {
        claim(ordinal)
        guard let pod = pods[ordinal] else {
            make(ordinal)
            return set.isParallel
        }
        if pod.isOver, !pod.isTerminating {
            let due = (pod.created ?? now) + ReconcilerLimits.failedPodRest
            if now < due {
                outcome.wake(at: due)
            } else {
                let reason = pod.phase == "Failed" ? "RecreatingFailedPod" : "RecreatingTerminatedPod"
                let state = pod.phase == "Failed" ? "failed" : "terminated"
                let place = "\(set.document.namespace)/\(set.document.name)"
                say(
                    reason, "StatefulSet \(place) is recreating \(state) Pod \(pod.document.name)", pod.document.uid,
                    isWarning: pod.phase == "Failed")
                going.insert(ordinal)
            }
            return set.isParallel
        }
        return isAvailable(pod) || set.isParallel
    }

    private mutating func make(_ ordinal: Int) {
        let keepsCurrent = !set.updatesOnDelete && ordinal < set.ordinals.lowerBound + set.partition
        let revision = keepsCurrent ? current : history.update
        made.append(
            set.pod(ordinal, template: RevisionHistory.template(of: revision), revision: revision.name))
    }

    private mutating func remove(_ ordinal: Int, _ pod: PodView) {
        going.insert(ordinal)
        say(
            "SuccessfulDelete", "delete Pod \(pod.document.name) in StatefulSet \(set.document.name) successful",
            pod.document.uid)
    }

    /// Takes pods of another revision away, the highest first, as long as few enough are missing.
    private mutating func update() {
        let places = set.ordinals.dropFirst(set.partition)
        var missing = 0
        for ordinal in places {
            if let pod = pods[ordinal], isAvailable(pod) { continue }
            missing += 1
        }
        for ordinal in places.reversed() {
            guard let pod = pods[ordinal] else { continue }
            if pod.document.labels[StatefulSetView.revisionLabel] == history.update.name || pod.isTerminating {
                continue
            }
            // One that does not serve anyway takes nothing away.
            if isAvailable(pod) {
                if missing >= set.maxUnavailable { return }
                missing += 1
            }
            remove(ordinal, pod)
        }
    }

    // MARK: - Claims

    private mutating func claim(_ ordinal: Int) {
        for template in set.claimTemplates {
            let claim = set.claim(template, ordinal)
            if view.get(Kinds.claim.resource, claim.namespace, claim.name) != nil { continue }
            outcome.others.append(
                Other(Kinds.claim.resource, claim, .create(claim), because: "pod \(set.podName(ordinal)) needs it"))
            say(
                "SuccessfulCreate",
                "create Claim \(claim.name) Pod \(set.podName(ordinal)) in StatefulSet \(set.document.name) success",
                claim.name)
        }
    }

    /// Claims go with the set, or with their place in it, where its policy says so.
    private mutating func retainClaims() {
        let goesWithSet = set.deletesClaims(when: "whenDeleted")
        let goesWithPlace = set.deletesClaims(when: "whenScaled")
        for template in set.claimTemplates {
            let prefix = "\(template["metadata"]?.text("name") ?? "")-"
            for claim in view.list(Kinds.claim.resource, set.document.namespace) {
                guard let ordinal = set.ordinal(of: claim.name, prefix: prefix), !claim.isBeingDeleted else { continue }
                if goesWithPlace, !set.ordinals.contains(ordinal), pods[ordinal] == nil {
                    outcome.others.append(
                        Other(
                            Kinds.claim.resource, claim, .delete(uid: claim.uid, releasing: []),
                            because: "the set is smaller now"))
                    continue
                }
                let isOwned = claim.ownerReferences.contains { $0.uid == set.document.uid }
                if goesWithSet == isOwned { continue }
                var owned = Kinds.claim.document(namespace: claim.namespace, name: claim.name)
                if goesWithSet { owned.metadata["ownerReferences"] = [ownerReference] }
                outcome.others.append(
                    Other(Kinds.claim.resource, claim, .apply(owned), because: "whether it goes with the set"))
            }
        }
    }

    private var ownerReference: JSON {
        OwnerReference(
            apiVersion: set.document.apiVersion, kind: set.document.kind, name: set.document.name,
            uid: set.document.uid, isController: false, blocksOwnerDeletion: false
        ).json
    }

    // MARK: - Status

    private mutating func status() -> JSON {
        let running = pods.values.filter { !$0.isTerminating }
        func count(_ revision: Document) -> Int {
            running.filter { $0.document.labels[StatefulSetView.revisionLabel] == revision.name }.count
        }
        let ready = pods.values.filter(isHealthy).count
        let updated = count(history.update)
        var currentRevision = current.name
        var currentCount = count(current)
        let isComplete = updated == set.replicas && ready == set.replicas && pods.count == set.replicas
        if !set.updatesOnDelete, isComplete {
            currentRevision = history.update.name
            currentCount = updated
        }
        var available = 0
        for pod in pods.values.sorted(by: { $0.document.name < $1.document.name }) where isAvailable(pod) {
            available += 1
        }
        var status: JSONObject = [
            "observedGeneration": .integer(set.document.generation), "replicas": .integer(Int64(pods.count)),
            "readyReplicas": .integer(Int64(ready)), "currentReplicas": .integer(Int64(currentCount)),
            "updatedReplicas": .integer(Int64(updated)), "availableReplicas": .integer(Int64(available)),
            "currentRevision": .string(currentRevision), "updateRevision": .string(history.update.name),
            "collisionCount": 0,
        ]
        for member in ["readyReplicas", "currentReplicas", "updatedReplicas"] where status[member] == 0 {
            status[member] = nil
        }
        return .object(status)
    }
}
