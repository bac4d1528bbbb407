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
        if !address.isEmpty {
            status["podIP"] = .string(address)
            status["podIPs"] = [["ip": .string(address)]]
        }
        if let begun { status["startTime"] = .string(begun.rfc3339) }
        status["containerStatuses"] = [containerStatus]
        status["qosClass"] = "BestEffort"
        return .object(status)
    }

    private var phase: String {
        switch stage {
        case .ended: exit?.code == 0 ? "Succeeded" : "Failed"
        case .preparing, .preparationWaits, .starting: attempt == 0 && exit == nil ? "Pending" : "Running"
        case .cleaning, .gone: exit.map { $0.code == 0 ? "Succeeded" : "Failed" } ?? "Pending"
        case .running, .restartWaits: "Running"
        }
    }

    private mutating func settleConditions(_ now: Moment) {
        let name = specification.containerName
        let isCompleted = stage == .ended && exit?.code == 0
        let why = isReady ? "" : (isCompleted ? "PodCompleted" : "ContainersNotReady")
        let cause = unreadyCause.map { ": \($0)" } ?? ""
        let what = isReady || isCompleted ? "" : "containers with unready status: [\(name)]\(cause)"
        let wanted = [
            PodCondition(type: "PodScheduled", isTrue: true, reason: "", message: "", changed: ""),
            PodCondition(
                type: "Initialized", isTrue: true, reason: isCompleted ? "PodCompleted" : "", message: "", changed: ""),
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

    /// Why the container is not ready, as far as there is more to say than that it is on its way.
    private var unreadyCause: String? {
        switch stage {
        case .restartWaits, .ended: endMessage
        case .preparationWaits: trouble?.message
        case .running: probeTrouble
        case .preparing, .starting, .cleaning, .gone: nil
        }
    }

    private var containerStatus: JSON {
        let image = specification.image
        var status: JSONObject = [
            "name": .string(specification.containerName), "state": state, "lastState": lastState,
            "ready": .bool(isReady), "started": .bool(isStarted), "restartCount": .integer(Int64(attempt)),
            "image": .string(image), "imageID": .string(image),
        ]
        status["containerID"] = .string(stage == .running || exit != nil ? identifier(attempt) : "")
        return .object(status)
    }

    private func identifier(_ attempt: Int) -> String { "process://\(specification.uid)/\(attempt)" }

    private var state: JSON {
        switch stage {
        case .running: ["running": ["startedAt": .string((started ?? Instant(seconds: 0)).rfc3339)]]
        case .ended, .cleaning, .gone:
            exit.map { ["terminated": terminated($0, attempt)] }
                ?? ["waiting": ["reason": "ContainerCreating"]]
        case .restartWaits:
            ["waiting": ["reason": "CrashLoopBackOff", "message": .string(crashMessage)]]
        case .preparationWaits:
            ["waiting": ["reason": .string(trouble?.reason ?? ""), "message": .string(trouble?.message ?? "")]]
        case .preparing, .starting: ["waiting": ["reason": "ContainerCreating"]]
        }
    }

    /// Which exit is shown as the one before: while waiting, the exit that is waited on.
    private var lastState: JSON {
        switch stage {
        case .restartWaits: exit.map { ["terminated": terminated($0, attempt)] } ?? [:]
        default: previousExit.map { ["terminated": terminated($0, attempt - 1)] } ?? [:]
        }
    }

    private var crashMessage: String {
        guard let exit else { return "" }
        return
            "container \(specification.containerName) \(Self.end(exit)) and waits to be restarted\(Self.lastLine(exit))"
    }

    private var endMessage: String? { exit.map { "it \(Self.end($0))\(Self.lastLine($0))" } }

    private static func end(_ exit: ContainerExit) -> String {
        if let cause = exit.cause { return "was ended because \(cause)" }
        return exit.signal > 0 ? "was ended by signal \(exit.signal)" : "ended with exit code \(exit.code)"
    }

    private static func lastLine(_ exit: ContainerExit) -> String {
        exit.lastLine.isEmpty ? "" : "; its last line was: \(exit.lastLine)"
    }

    private func terminated(_ exit: ContainerExit, _ attempt: Int) -> JSON {
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
        object["containerID"] = .string(identifier(attempt))
        return .object(object)
    }
}
