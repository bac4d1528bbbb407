internal import ControlLoop
internal import Documents

extension LandscapePass {
    mutating func status() -> JSON {
        var status: JSONObject = ["observedGeneration": .integer(landscape.document.generation)]
        var revision = JSONObject()
        revision["active"] = live.map { .string($0.name) }
        if let current, !current.isFinished, current.to != current.from { revision["candidate"] = .string(current.to) }
        if !revision.isEmpty { status["revision"] = .object(revision) }
        if let current { status["rollout"] = ["name": .string(current.name)] }
        status["url"] = url.map(JSON.string)
        status["services"] = .array(services)
        status["traffic"] = .array(traffic)
        var conditions = Conditions(
            previous: landscape.document.status["conditions"], generation: landscape.document.generation, now: now)
        setConditions(&conditions)
        if conditions.hasChanged("Stalled"), let stalled = Conditions.find("Stalled", in: conditions.json.elements),
            stalled.text("status") == "True"
        {
            let occurrence = "\(landscape.document.generation) \(current?.name ?? "")"
            result.events.append(
                EventDraft(stalled.text("reason"), stalled.text("message"), occurrence: occurrence, isWarning: true))
        }
        status["conditions"] = conditions.json
        return .object(status)
    }

    /// The revision that has the traffic; `nil` as long as the first is on its way.
    private var live: LandscapeRevision? { serving.flatMap { wasLive($0) ? $0 : nil } }

    private var url: String? {
        guard let host = serving?.routes.lazy.compactMap({ $0.elements("hosts").first?.stringValue }).first else {
            return nil
        }
        let usual = settings.publicScheme == "https" ? 443 : 80
        let port = settings.publicPort == usual ? "" : ":\(settings.publicPort)"
        return "\(settings.publicScheme)://\(host)\(port)"
    }

    private var services: [JSON] {
        (serving?.services ?? []).map { service in
            let deployment = deployment(service)
            return [
                "name": .string(service.name), "hash": .string(service.hash),
                "ready": .integer(Int64(deployment?.status.integer("availableReplicas") ?? 0)),
                "desired": .integer(Int64(landscape.replicas(service.name))),
            ]
        }
    }

    /// The shares as the attempt under way says, or everything for the live revision.
    private var traffic: [JSON] {
        guard let serving = live, !serving.routes.isEmpty else { return [] }
        if let current, other != nil, !current.document.status.elements("weights").isEmpty {
            return current.document.status.elements("weights")
        }
        let isConfirmed = !routes.isEmpty && routes.allSatisfy(\.isConfirmed)
        let before = landscape.document.status.elements("traffic").first { $0.text("revision") == serving.name }
        let acknowledged = isConfirmed ? 100 : before?.integer("acknowledged") ?? 0
        return [["revision": .string(serving.name), "weight": 100, "acknowledged": .integer(Int64(acknowledged))]]
    }

    private func setConditions(_ conditions: inout Conditions) {
        let (isReady, reason, message) = readiness
        conditions.set("Ready", isReady ? .yes : .no, reason, message)
        let missing = builder.problems.filter { $0.kind == .missing }
        if missing.isEmpty {
            conditions.set("ResolvedRefs", .yes, "ResolvedRefs", "everything the landscape names is there")
        } else {
            conditions.set("ResolvedRefs", .no, "RefNotFound", missing.map(\.message).joined(separator: "; "))
        }
        if let current, !current.isFinished {
            let phase = current.phase == .new ? RolloutView.Phase.advancing : current.phase
            conditions.set("Progressing", .yes, phase.rawValue, "rollout \(current.name): \(progressMessage(current))")
        } else if !waiting.isEmpty {
            conditions.set("Progressing", .yes, "ServicesStarting", waiting.joined(separator: "; "))
        } else {
            conditions.set("Progressing", .no, "Complete", "nothing is on its way")
        }
        if let (reason, message) = stall {
            conditions.set("Stalled", .yes, reason, message)
        } else {
            conditions.set("Stalled", .no, "NotStalled", "nothing waits for somebody's help")
        }
    }

    private func progressMessage(_ rollout: RolloutView) -> String {
        rollout.document.condition("Progressing")?["message"]?.stringValue ?? "\(rollout.to) is starting"
    }

    private var readiness: (isReady: Bool, reason: String, message: String) {
        if let problem = builder.problems.first { return (false, problem.reason, problem.message) }
        if let refusal = observed.refusals.first {
            return (false, "ChildRefused", "\(refusal.key): \(refusal.message)")
        }
        guard let current, let target else { return (false, "NoRevision", "no revision exists yet") }
        if !current.isFinished {
            let phase = current.phase == .new ? RolloutView.Phase.advancing : current.phase
            return (false, phase.rawValue, "rollout \(current.name): \(progressMessage(current))")
        }
        guard let serving else {
            return (false, "RevisionGone", "revision \(current.serving), which is live, is no longer recorded")
        }
        if serving.name != target.name {
            let why = current.document.condition("Ready")?["message"]?.stringValue ?? "rolled back"
            return (false, current.phase.rawValue, "\(target.name) is not live: \(why)")
        }
        if let first = waiting.first { return (false, "ServicesNotReady", first) }
        if let route = routes.first(where: { !$0.isConfirmed || !$0.document.isTrue("Ready") }) {
            let why =
                route.document.condition("Ready")?["message"]?.stringValue ?? "the gateway has not confirmed it yet"
            return (false, "RoutesNotReady", "route \(route.document.name): \(why)")
        }
        return (true, "AsDeclared", "\(serving.name) is live")
    }

    /// What the services that run still wait for.
    private var waiting: [String] {
        guard let serving else { return [] }
        return [serving, other].compactMap { $0 }.flatMap { revision in
            revision.services.compactMap { service -> String? in
                if isReady(service) { return nil }
                if deployment(service) == nil {
                    let dependencies = missingDependencies(service, of: revision)
                    if !dependencies.isEmpty {
                        return "service \(service.name) waits for \(dependencies.joined(separator: ", "))"
                    }
                }
                let available = deployment(service)?.status.integer("availableReplicas") ?? 0
                let why = PodView.trouble(of: service, in: landscape.namespace, observed.view)
                return "service \(service.name): \(available) of \(landscape.replicas(service.name)) pods ready\(why)"
            }
        }
    }

    private var stall: (reason: String, message: String)? {
        if let problem = builder.problems.first(where: { $0.kind == .unsupported }) {
            return (problem.reason, problem.message)
        }
        if let refusal = observed.refusals.first { return ("ChildRefused", "\(refusal.key): \(refusal.message)") }
        guard let current, let stalled = current.document.condition("Stalled"), stalled.text("status") == "True" else {
            return nil
        }
        if current.phase == .promoted || (current.phase == .rolledBack && target?.name == serving?.name) { return nil }
        return (stalled.text("reason"), stalled.text("message"))
    }
}
