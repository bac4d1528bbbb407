internal import Documents

/// What a Job's `podFailurePolicy` says of a pod that failed. Pure.
struct PodFailurePolicy: Sendable {
    enum Action: String, Sendable {
        case failJob = "FailJob"
        case failIndex = "FailIndex"
        case ignore = "Ignore"
        case count = "Count"
    }

    private let rules: [JSON]

    init(_ job: JobView) { rules = job.document.spec["podFailurePolicy"]?.elements("rules") ?? [] }

    /// The first rule that fits, and why in upstream's words; `nil` where none does.
    func action(for pod: Document) -> (action: Action, message: String)? {
        for (index, rule) in rules.enumerated() {
            guard let action = Action(rawValue: rule.text("action")) else { continue }
            let place = "matching \(action.rawValue) rule at index \(index)"
            if let match = Self.exit(rule["onExitCodes"], pod) {
                return (
                    action,
                    "Container \(match.container) for pod \(pod.namespace)/\(pod.name) failed with exit code "
                        + "\(match.code) \(place)"
                )
            }
            if let condition = Self.condition(rule.elements("onPodConditions"), pod) {
                return (action, "Pod \(pod.namespace)/\(pod.name) has condition \(condition) \(place)")
            }
        }
        return nil
    }

    private static func exit(_ rule: JSON?, _ pod: Document) -> (container: String, code: Int)? {
        guard let rule else { return nil }
        let values = rule.elements("values").compactMap { $0.integerValue.flatMap { Int(exactly: $0) } }
        for status in pod.status.elements("initContainerStatuses") + pod.status.elements("containerStatuses") {
            if let name = rule["containerName"]?.stringValue, name != status.text("name") { continue }
            guard let code = status["state"]?["terminated"]?.integer("exitCode"), code != 0 else { continue }
            if values.contains(code) == (rule.text("operator") == "In") { return (status.text("name"), code) }
        }
        return nil
    }

    private static func condition(_ patterns: [JSON], _ pod: Document) -> String? {
        for pattern in patterns {
            let wanted = pattern["status"]?.stringValue ?? "True"
            if pod.condition(pattern.text("type"))?.text("status") == wanted { return pattern.text("type") }
        }
        return nil
    }
}
