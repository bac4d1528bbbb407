internal import Admission
internal import Documents
internal import Seams
internal import Store
internal import Synchronization

/// The subresources of pods: giving one to a node, and taking one from it.
extension APIPipeline {
    /// Carries out a Binding.
    func bind(_ key: ObjectKey, _ binding: Document, _ options: WriteRequest) throws(APIError) -> WriteAnswer {
        guard let pods = catalogue.storage(WellKnown.pods) else { throw .notFound(key.resource, key.name) }
        guard let node = binding["target"]?["name"]?.stringValue, !node.isEmpty else {
            throw .invalid(
                GroupVersionKind(group: "", version: "v1", kind: "Binding"), key.name,
                [APIError.Cause(reason: "FieldValueRequired", message: "Required value", field: "target.name")])
        }
        return try change(pods, key, options, subresource: "binding", isPatch: true) { old throws(APIError) in
            if old.isBeingDeleted { throw .conflict(key.resource, key.name, "pod \(key.name) is being deleted") }
            let assigned = old.spec["nodeName"]?.stringValue ?? ""
            if !assigned.isEmpty {
                throw .conflict(
                    key.resource, key.name, "pod \(key.name) is already assigned to node \"\(assigned)\"")
            }
            var new = old
            new.json["spec"]?["nodeName"] = .string(node)
            return new
        }
    }

    /// Deletes a pod, unless that would leave fewer than its PodDisruptionBudget asks for.
    func evict(_ key: ObjectKey, _ request: DeleteRequest) throws(APIError) -> WriteAnswer {
        guard let pods = catalogue.storage(WellKnown.pods) else { throw .notFound(key.resource, key.name) }
        let pod = try Self.decode(try get(key, .sequenced))
        let hasEnded = ["Succeeded", "Failed", "Pending"].contains(pod.status["phase"]?.stringValue ?? "")
        if !hasEnded, !pod.isBeingDeleted, !request.isDryRun { try spendDisruption(pod) }
        var request = request
        request.uid = request.uid ?? pod.uid
        return try delete(pods, key, request)
    }

    /// Writes down in the pod's budget that the pod goes, so that evictions at the same time see each other.
    private func spendDisruption(_ pod: Document) throws(APIError) {
        guard let budgets = catalogue.storage(WellKnown.podDisruptionBudgets) else { return }
        for _ in 0..<APIServerLimits.writeAttempts {
            var found: [(entry: Entry, budget: Document)] = []
            for entry in store.snapshot(.sequenced).list(prefix: budgets.prefix(namespace: pod.namespace)) {
                let budget = try Self.decode(entry)
                if try Self.selector(of: budget).matches(pod.labels) { found.append((entry, budget)) }
            }
            guard let (entry, budget) = found.first else { return }
            if found.count > 1 {
                throw Self.internalError(
                    "this pod has more than one PodDisruptionBudget, which the eviction subresource does not support")
            }
            switch try disruption(budget, pod.namespace).decide(pod) {
            case .allowed: return
            case .refused(let needed, let healthy): throw Self.refusedEviction(budget, needed, healthy)
            case .allowedWith(let status):
                var new = budget
                new["status"] = status
                let key = entry.key.objectKey
                let write = PendingWrite(resource: budgets, key: key, entry: entry, old: budget, new: new)
                if try commit([write]) != nil { return }
            }
        }
        throw Self.tooManyRaces
    }

    private static func selector(of budget: Document) throws(APIError) -> LabelSelector {
        guard let selector = budget.spec["selector"] else { return .nothing }
        return try LabelSelector(json: selector)
    }

    private func disruption(_ budget: Document, _ namespace: String) throws(APIError) -> DisruptionBudget {
        guard let resource = catalogue.storage(WellKnown.pods) else { throw Self.internalError("no pods") }
        let selector = try Self.selector(of: budget)
        var pods: [Document] = []
        for entry in store.snapshot(.sequenced).list(prefix: resource.prefix(namespace: namespace)) {
            let pod = try Self.decode(entry)
            if selector.matches(pod.labels) { pods.append(pod) }
        }
        return DisruptionBudget(budget: budget, pods: pods, expected: try expected(pods), now: clock.now())
    }

    /// How many pods the owners of `pods` want; a pod without an owner, or of one without replicas, counts itself.
    private func expected(_ pods: [Document]) throws(APIError) -> Int {
        var count = 0
        var seen: Set<String> = []
        for pod in pods {
            guard let owner = pod.controller, let replicas = try replicas(of: owner.uid) else {
                count += 1
                continue
            }
            if seen.insert(owner.uid).inserted { count += replicas }
        }
        return count
    }

    private func replicas(of uid: String) throws(APIError) -> Int? {
        guard let key = cluster.withLock({ $0.ownership[uid]?.key }),
            let entry = store.snapshot(.sequenced).get(StoreKey(key))
        else { return nil }
        return try Self.decode(entry).spec["replicas"]?.integerValue.map { Int(clamping: $0) }
    }

    private static func refusedEviction(_ budget: Document, _ needed: Int, _ healthy: Int) -> APIError {
        APIError(
            code: 429, reason: .tooManyRequests,
            message: "Cannot evict pod as it would violate the pod's disruption budget.",
            causes: [
                APIError.Cause(
                    reason: "DisruptionBudget",
                    message:
                        "The disruption budget \(budget.name) needs \(needed) healthy pods and has \(healthy) currently",
                    field: "")
            ])
    }
}

/// The parts of a pod that have a subresource of their own: a write through it changes that part and nothing else.
enum PodPart: String {
    case ephemeralContainers = "ephemeralcontainers"
    case resize

    /// `old` with this part of `new`.
    func taken(from new: Document, in old: Document) -> Document {
        var result = old
        result.json["metadata"]?["managedFields"] = new.json["metadata"]?["managedFields"]
        switch self {
        case .ephemeralContainers:
            result.json["spec"]?["ephemeralContainers"] = new.spec["ephemeralContainers"]
        case .resize:
            for list in ["containers", "initContainers"] {
                guard var containers = old.spec[list]?.arrayValue else { continue }
                let wanted = new.spec[list]?.arrayValue ?? []
                for index in containers.indices {
                    let name = containers[index]["name"]
                    guard let same = wanted.first(where: { $0["name"] == name }) else { continue }
                    containers[index]["resources"] = same["resources"]
                    containers[index]["resizePolicy"] = same["resizePolicy"]
                }
                result.json["spec"]?[list] = .array(containers)
            }
        }
        return result
    }
}
