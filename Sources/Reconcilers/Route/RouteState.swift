internal import Client
internal import ControlLoop
internal import Documents
internal import Seams

/// What the status of a Route says: what is meant, and what the gateway has confirmed. Confirmed means: the HTTPRoute stands
/// as wanted, and the entry of our gateway says Programmed for exactly that generation.
struct RouteState {
    private let route: RouteView
    private let problems: [String]
    private let refusals: [Refusal]
    private let isConfirmed: Bool
    private let isAccepted: Bool
    private let gatewayMessage: String

    init(_ route: RouteView, wanted: [Document], pass: RoutePass, observed: Observation<RouteView>) {
        self.route = route
        problems = pass.problems
        refusals = observed.refusals
        var isConfirmed = !wanted.isEmpty && pass.problems.isEmpty
        var isAccepted = !wanted.isEmpty
        var message = "the gateway has not confirmed it yet"
        for document in wanted {
            let live = observed.view.get(Kinds.httpRoute.resource, document.namespace, document.name)
            guard let live, live.controller?.uid == route.document.uid, Self.holds(document.spec, live.spec) else {
                isConfirmed = false
                continue
            }
            let parent = live.status.elements("parents").first {
                $0.text("controllerName") == RouteReconciler.controllerName
            }
            let conditions = parent?.elements("conditions") ?? []
            let programmed = Conditions.find(RouteReconciler.programmed, in: conditions)
            let isCurrent = programmed?["observedGeneration"]?.integerValue == live.generation
            if !isCurrent || programmed?.text("status") != "True" { isConfirmed = false }
            if isCurrent, programmed?.text("status") == "False" { message = programmed?.text("message") ?? message }
            if let accepted = Conditions.find("Accepted", in: conditions), accepted.text("status") == "False" {
                isAccepted = false
                message = accepted.text("message")
            }
        }
        self.isConfirmed = isConfirmed
        self.isAccepted = isAccepted
        gatewayMessage = message
    }

    /// Whether everything `wanted` says is in `live`.
    private static func holds(_ wanted: JSON, _ live: JSON) -> Bool {
        switch (wanted, live) {
        case (.object(let wanted), .object(let live)):
            wanted.members.allSatisfy { member in live[member.key].map { holds(member.value, $0) } ?? false }
        case (.array(let wanted), .array(let live)):
            wanted.count == live.count && zip(wanted, live).allSatisfy { holds($0, $1) }
        default: wanted == live
        }
    }

    func status(now: Instant) -> JSON {
        let document = route.document
        var status: JSONObject = ["observedGeneration": .integer(document.generation), "traffic": .array(traffic)]
        status["certificate"] = document.status["certificate"]
        var conditions = Conditions(previous: document.status["conditions"], generation: document.generation, now: now)
        let (reason, message) = readiness
        conditions.set("Ready", reason == "AsDeclared" ? .yes : .no, reason, message)
        if document.spec["tcpPort"] != nil {
            conditions.set("Accepted", .no, "UnsupportedProtocol", "the gateway here serves hosts, no TCP ports yet")
        } else if isAccepted {
            conditions.set("Accepted", .yes, "Accepted", "the route can be served")
        } else {
            conditions.set("Accepted", .no, "NotAccepted", gatewayMessage)
        }
        if problems.isEmpty {
            conditions.set("ResolvedRefs", .yes, "ResolvedRefs", "every backend is there")
        } else {
            conditions.set("ResolvedRefs", .no, "BackendNotFound", problems.joined(separator: "; "))
        }
        conditions.set(
            "Programmed", isConfirmed ? .yes : .no, isConfirmed ? "Programmed" : reason,
            isConfirmed ? "the gateway has confirmed it" : message)
        status["conditions"] = conditions.json
        return .object(status)
    }

    private var readiness: (reason: String, message: String) {
        if route.document.spec["tcpPort"] != nil {
            return ("UnsupportedProtocol", "the gateway here serves hosts, no TCP ports yet")
        }
        if let refusal = refusals.first { return ("ChildRefused", "\(refusal.key): \(refusal.message)") }
        if !problems.isEmpty {
            return ("BackendNotFound", "\(problems.joined(separator: "; ")); the last good state stays in force")
        }
        if !isAccepted { return ("NotAccepted", gatewayMessage) }
        if !isConfirmed { return ("WaitingForGateway", gatewayMessage) }
        return ("AsDeclared", "the gateway has confirmed it")
    }

    private var traffic: [JSON] {
        var seen: Set<String> = []
        return route.rules.flatMap(route.backends).compactMap { backend in
            guard seen.insert(backend.name).inserted else { return nil }
            let acknowledged = isConfirmed ? backend.weight : route.acknowledged(backend.name) ?? 0
            return [
                "backend": .string(backend.name), "weight": .integer(Int64(backend.weight)),
                "acknowledged": .integer(Int64(acknowledged)),
            ]
        }
    }
}
