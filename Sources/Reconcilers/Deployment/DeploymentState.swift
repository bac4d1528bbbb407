internal import ControlLoop
internal import Documents
internal import Seams

/// What the status of a Deployment says, in the terms `kubectl rollout status` reads.
struct DeploymentState {
    private let deployment: DeploymentView
    private let new: Document?
    private let refusals: [Refusal]
    private let replicas: Int
    private let updated: Int
    private let ready: Int
    private let available: Int
    private let terminating: Int

    init(_ deployment: DeploymentView, new: Document?, all: [Document], refusals: [Refusal]) {
        self.deployment = deployment
        self.new = new
        self.refusals = refusals
        func sum(_ member: String) -> Int { all.reduce(0) { $0 + ($1.status.integer(member) ?? 0) } }
        replicas = sum("replicas")
        ready = sum("readyReplicas")
        available = sum("availableReplicas")
        terminating = sum("terminatingReplicas")
        updated = new?.status.integer("replicas") ?? 0
    }

    /// Every pod is of the current template and serves, and no other is left.
    private var isComplete: Bool {
        updated == deployment.replicas && replicas == deployment.replicas && available >= deployment.replicas
    }

    func status(_ outcome: inout Outcome, now: Instant) -> JSON {
        let before = deployment.document.status
        var status: JSONObject = [
            "observedGeneration": .integer(deployment.document.generation), "replicas": .integer(Int64(replicas)),
            "updatedReplicas": .integer(Int64(updated)), "readyReplicas": .integer(Int64(ready)),
            "availableReplicas": .integer(Int64(available)),
            "unavailableReplicas": .integer(Int64(max(0, deployment.replicas - available))),
            "terminatingReplicas": .integer(Int64(terminating)),
        ]
        let hasMoved = status.members.contains { $0.key != "terminatingReplicas" && before[$0.key] != $0.value }
        let (_, unavailable) = deployment.surgeAndUnavailable
        let isAvailable = available >= deployment.replicas - (deployment.recreates ? 0 : unavailable)
        let previous = before.elements("conditions")
        let conditions = [
            condition(
                "Available", isAvailable,
                isAvailable ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                isAvailable ? "Deployment has minimum availability." : "Deployment does not have minimum availability.",
                previous, updates: false, now: now),
            progressing(previous, hasMoved: hasMoved, &outcome, now: now),
        ]
        status["conditions"] = .array(conditions + failure(previous, now: now))
        return .object(status)
    }

    private func progressing(
        _ previous: [JSON], hasMoved: Bool, _ outcome: inout Outcome, now: Instant
    ) -> JSON {
        let before = Conditions.find("Progressing", in: previous)
        let set = new.map { "ReplicaSet \"\($0.name)\"" } ?? "Deployment \"\(deployment.document.name)\""
        if deployment.isPaused {
            return condition(
                "Progressing", nil, "DeploymentPaused", "Deployment is paused", previous, updates: false, now: now)
        }
        if isComplete {
            return condition(
                "Progressing", true, "NewReplicaSetAvailable", "\(set) has successfully progressed.", previous,
                updates: before?.text("reason") != "NewReplicaSetAvailable", now: now)
        }
        let since = before?["lastUpdateTime"]?.stringValue.flatMap(Instant.init(rfc3339:)) ?? now
        let due = since + deployment.progressDeadline
        let isRunning = before?.text("reason") != "NewReplicaSetAvailable"
        if !hasMoved, isRunning, now >= due {
            return condition(
                "Progressing", false, "ProgressDeadlineExceeded", "\(set) has timed out progressing.", previous,
                updates: before?.text("reason") != "ProgressDeadlineExceeded", now: now)
        }
        if before?.text("reason") == "ProgressDeadlineExceeded", !hasMoved {
            return before ?? .null
        }
        outcome.wake(at: hasMoved || !isRunning ? now + deployment.progressDeadline : due)
        return condition(
            "Progressing", true, "ReplicaSetUpdated", "\(set) is progressing.", previous,
            updates: hasMoved || !isRunning, now: now)
    }

    private func failure(_ previous: [JSON], now: Instant) -> [JSON] {
        let own = new.flatMap { Conditions.find("ReplicaFailure", in: $0.status.elements("conditions")) }
        let message = refusals.first.map { "\($0.key): \($0.message)" } ?? own?.text("message")
        return message.map {
            [condition("ReplicaFailure", true, "FailedCreate", $0, previous, updates: false, now: now)]
        } ?? []
    }

    /// A condition in the older form, with a time of the last update beside that of the last transition.
    private func condition(
        _ type: String, _ status: Bool?, _ reason: String, _ message: String, _ previous: [JSON], updates: Bool,
        now: Instant
    ) -> JSON {
        let before = Conditions.find(type, in: previous)
        let text = status.map { $0 ? "True" : "False" } ?? "Unknown"
        let isSame = before?.text("status") == text
        let isUpdate = updates || !isSame || before?.text("reason") != reason
        let updated = isUpdate ? nil : before?["lastUpdateTime"]
        let transition = isSame ? before?["lastTransitionTime"] : nil
        return [
            "type": .string(type), "status": .string(text), "lastUpdateTime": updated ?? .string(now.rfc3339),
            "lastTransitionTime": transition ?? .string(now.rfc3339), "reason": .string(reason),
            "message": .string(message),
        ]
    }
}
