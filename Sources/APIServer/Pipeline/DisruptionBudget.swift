internal import Documents
internal import Seams

/// A PodDisruptionBudget with the pods it is about, at one moment: how many of them may be missing. Pure.
struct DisruptionBudget {
    /// What an eviction comes to.
    enum Decision: Equatable {
        case allowed
        /// Allowed, when the status that says so could be written.
        case allowedWith(status: JSON)
        case refused(needed: Int, healthy: Int)
    }

    /// After this a pod that was to go and is still here counts again.
    private static let disruptionSeconds: Int64 = 120

    let budget: Document
    /// The pods the budget selects.
    let pods: [Document]
    /// How many of them there should be.
    let expected: Int
    let now: Instant

    func decide(_ pod: Document) -> Decision {
        let disrupted = recentlyDisrupted
        let healthy = pods.count { Self.isHealthy($0) && !isDisrupted($0, since: disrupted[$0.name]) }
        let desired = desiredHealthy
        if !Self.isReady(pod) {
            let always = budget.spec["unhealthyPodEvictionPolicy"]?.stringValue == "AlwaysAllow"
            if always || (desired > 0 && healthy >= desired) { return .allowed }
        }
        guard healthy - 1 >= desired else { return .refused(needed: desired, healthy: healthy) }
        var status = budget.status.objectValue ?? JSONObject()
        var disruptedPods = JSONObject()
        for (name, time) in disrupted.sorted(by: { $0.key < $1.key }) { disruptedPods[name] = .string(time.rfc3339) }
        disruptedPods[pod.name] = .string(now.rfc3339)
        status["disruptedPods"] = .object(disruptedPods)
        status["disruptionsAllowed"] = .integer(Int64(healthy - 1 - desired))
        status["currentHealthy"] = .integer(Int64(healthy - 1))
        status["desiredHealthy"] = .integer(Int64(desired))
        status["expectedPods"] = .integer(Int64(expected))
        status["observedGeneration"] = .integer(budget.generation)
        return .allowedWith(status: .object(status))
    }

    /// When pods were told to go, by name.
    private var recentlyDisrupted: [String: Instant] {
        var result: [String: Instant] = [:]
        for member in budget.status["disruptedPods"]?.objectValue?.members ?? [] {
            guard let time = member.value.stringValue.flatMap({ Instant(rfc3339: $0) }) else { continue }
            if now.seconds - time.seconds < Self.disruptionSeconds { result[member.key] = time }
        }
        return result
    }

    /// A pod made since then is another one, which got the name again.
    private func isDisrupted(_ pod: Document, since time: Instant?) -> Bool {
        guard let time, let made = Instant(rfc3339: pod.creationTimestamp) else { return false }
        return made.seconds < time.seconds
    }

    private var desiredHealthy: Int {
        if let minimum = budget.spec["minAvailable"] { return Self.count(minimum, of: expected) }
        if let maximum = budget.spec["maxUnavailable"] { return max(0, expected - Self.count(maximum, of: expected)) }
        return 0
    }

    /// A number, or a percentage of `total`, rounded up.
    static func count(_ value: JSON, of total: Int) -> Int {
        if let number = value.integerValue { return Int(clamping: number) }
        guard let text = value.stringValue, text.hasSuffix("%"), let percentage = Int(text.dropLast()) else { return 0 }
        return (min(max(percentage, 0), 100) * total + 99) / 100
    }

    private static func isHealthy(_ pod: Document) -> Bool { !pod.isBeingDeleted && isReady(pod) }

    private static func isReady(_ pod: Document) -> Bool {
        (pod.status["conditions"]?.arrayValue ?? []).contains {
            $0["type"]?.stringValue == "Ready" && $0["status"]?.stringValue == "True"
        }
    }
}
