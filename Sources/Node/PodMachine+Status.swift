package import Documents
internal import Seams

/// A condition of a pod, with the time of its last change.
struct PodCondition: Sendable, Hashable {
    var type: String
    var isTrue: Bool
    var reason: String
    var message: String
    var changed: String

    static func all(_ status: JSON) -> [PodCondition] {
        (status["conditions"]?.arrayValue ?? []).map {
            PodCondition(
                type: $0["type"]?.stringValue ?? "", isTrue: $0["status"]?.stringValue == "True",
                reason: $0["reason"]?.stringValue ?? "", message: $0["message"]?.stringValue ?? "",
                changed: $0["lastTransitionTime"]?.stringValue ?? "")
        }
    }

    var json: JSON {
        var object: JSONObject = [
            "type": .string(type), "status": .string(isTrue ? "True" : "False"), "lastProbeTime": .null,
            "lastTransitionTime": .string(changed),
        ]
        if !reason.isEmpty { object["reason"] = .string(reason) }
        if !message.isEmpty { object["message"] = .string(message) }
        return .object(object)
    }
}

extension PodMachine {
    /// The pod's status as it should stand in its document. The same state gives the same bytes: only a condition that
    /// turned over takes the time from `now`.
    package mutating func status(hostAddress: String, now: Moment) -> JSON {
        settleConditions(now)
        var status: JSONObject = [
            "phase": .string(phase), "conditions": .array(conditions.map(\.json)), "hostIP": .string(hostAddress),
            "hostIPs": [["ip": .string(hostAddress)]],
        ]
        if let failure {
            status["reason"] = .string(failure.reason)
            status["message"] = .string(failure.message)
        }
        if !address.isEmpty {
            status["podIP"] = .string(address)
            status["podIPs"] = [["ip": .string(address)]]
        }
        if let begun { status["startTime"] = .string(begun.rfc3339) }
        let initial = containers.filter { $0.specification.role != .main }
        if !initial.isEmpty { status["initContainerStatuses"] = .array(initial.map(containerStatus)) }
        status["containerStatuses"] = .array(
            containers.filter { $0.specification.role == .main }.map(containerStatus))
        status["qosClass"] = qualityOfService
        return .object(status)
    }

    private func containerStatus(_ container: ContainerMachine) -> JSON {
        container.status(
            uid: specification.uid, scheme: specification.runtime.scheme, podTrouble: trouble,
            isInitialized: isInitialized)
    }

    private mutating func settleConditions(_ now: Moment) {
        let isCompleted = phase == "Succeeded"
        let unready = containers.filter { $0.specification.role != .initial && !$0.isReady }
        let names = unready.map(\.specification.name).joined(separator: " ")
        let cause = (failure?.message ?? trouble?.message ?? unready.lazy.compactMap(\.unreadyCause).first)
            .map { ": \($0)" }
        let why = isReady ? "" : (isCompleted ? "PodCompleted" : phase == "Failed" ? "PodFailed" : "ContainersNotReady")
        let what =
            isReady || isCompleted ? "" : "containers with unready status: [\(names)]\(cause ?? "")"
        let waiting = containers.filter { container in
            container.specification.role == .initial && !(container.stage == .ended && container.exit?.code == 0)
                || container.specification.role == .sidecar && !container.isStarted && container.exit == nil
        }
        let initialCause = waiting.lazy.compactMap(\.unreadyCause).first.map { ": \($0)" } ?? ""
        let incomplete = waiting.map(\.specification.name).joined(separator: " ")
        let wanted = [
            PodCondition(type: "PodScheduled", isTrue: true, reason: "", message: "", changed: ""),
            PodCondition(
                type: "Initialized", isTrue: waiting.isEmpty,
                reason: !waiting.isEmpty ? "ContainersNotInitialized" : isCompleted ? "PodCompleted" : "",
                message: waiting.isEmpty ? "" : "containers with incomplete status: [\(incomplete)]\(initialCause)",
                changed: ""),
            PodCondition(type: "ContainersReady", isTrue: isReady, reason: why, message: what, changed: ""),
            PodCondition(type: "Ready", isTrue: isReady, reason: why, message: what, changed: ""),
        ]
        conditions = wanted.map { condition in
            let before = conditions.first { $0.type == condition.type }
            var settled = condition
            settled.changed = before.flatMap { $0.isTrue == condition.isTrue ? $0.changed : nil } ?? now.wall.rfc3339
            return settled
        }
    }
}

extension ContainerMachine {
    /// Its part of the pod's status. `podTrouble` is what the pod as a whole waits for.
    func status(
        uid: String, scheme: String, podTrouble: (reason: String, message: String)?, isInitialized: Bool
    ) -> JSON {
        let identifier = { (attempt: Int) in "\(scheme)://\(uid)/\(specification.name)/\(attempt)" }
        let isIdentified = stage == .running || exit != nil
        return [
            "name": .string(specification.name),
            "state": state(identifier, podTrouble: podTrouble, isInitialized: isInitialized),
            "lastState": lastState(identifier),
            "ready": .bool(specification.role == .initial ? stage == .ended && exit?.code == 0 : isReady),
            "started": .bool(isStarted), "restartCount": .integer(Int64(attempt)),
            "image": .string(specification.image), "imageID": .string(imageID.isEmpty ? specification.image : imageID),
            "containerID": .string(isIdentified ? identifier(attempt) : ""),
        ]
    }

    /// Why the container is not ready, as far as there is more to say than that it is on its way.
    var unreadyCause: String? {
        switch stage {
        case .restartWaits, .ended: exit.map { "it \(Self.end($0))\(Self.lastLine($0))" }
        case .startWaits: trouble?.message
        case .running: probeTrouble
        case .waiting, .starting: trouble?.message
        }
    }

    private func state(
        _ identifier: (Int) -> String, podTrouble: (reason: String, message: String)?, isInitialized: Bool
    ) -> JSON {
        func waits(_ reason: String, _ message: String = "") -> JSON {
            var waiting: JSONObject = ["reason": .string(reason)]
            if !message.isEmpty { waiting["message"] = .string(message) }
            return ["waiting": .object(waiting)]
        }
        switch stage {
        case .running: return ["running": ["startedAt": .string((started ?? Instant(seconds: 0)).rfc3339)]]
        case .ended:
            return exit.map { ["terminated": terminated($0, identifier(attempt))] } ?? waits("ContainerCreating")
        case .restartWaits: return waits("CrashLoopBackOff", crashMessage)
        case .startWaits: return waits(trouble?.reason ?? "", trouble?.message ?? "")
        case .starting: return trouble.map { waits($0.reason, $0.message) } ?? waits("ContainerCreating")
        case .waiting:
            if let podTrouble { return waits(podTrouble.reason, podTrouble.message) }
            return waits(specification.role == .main && !isInitialized ? "PodInitializing" : "ContainerCreating")
        }
    }

    /// Which exit is shown as the one before: while waiting, the exit that is waited on.
    private func lastState(_ identifier: (Int) -> String) -> JSON {
        if stage == .restartWaits { return exit.map { ["terminated": terminated($0, identifier(attempt))] } ?? [:] }
        return previousExit.map { ["terminated": terminated($0, identifier(attempt - 1))] } ?? [:]
    }

    private var crashMessage: String {
        exit.map { "container \(specification.name) \(Self.end($0)) and waits to be restarted\(Self.lastLine($0))" }
            ?? ""
    }

    private static func end(_ exit: ContainerExit) -> String {
        if let cause = exit.cause { return "was ended because \(cause)" }
        if exit.reason == ContainerExit.outOfMemoryReason { return "was ended because it reached its memory limit" }
        return exit.signal > 0 ? "was ended by signal \(exit.signal)" : "ended with exit code \(exit.code)"
    }

    private static func lastLine(_ exit: ContainerExit) -> String {
        exit.lastLine.isEmpty ? "" : "; its last line was: \(exit.lastLine)"
    }

    private func terminated(_ exit: ContainerExit, _ identifier: String) -> JSON {
        var object: JSONObject = ["exitCode": .integer(Int64(exit.code))]
        if exit.signal > 0 { object["signal"] = .integer(Int64(exit.signal)) }
        object["reason"] = .string(exit.reason ?? (exit.code == 0 ? "Completed" : "Error"))
        if let cause = exit.cause {
            object["message"] = .string("\(cause); killed\(Self.lastLine(exit))")
        } else if exit.code != 0, !exit.lastLine.isEmpty {
            object["message"] = .string(exit.lastLine)
        }
        object["startedAt"] = .string(exit.started.rfc3339)
        object["finishedAt"] = .string(exit.finished.rfc3339)
        object["containerID"] = .string(identifier)
        return .object(object)
    }
}
