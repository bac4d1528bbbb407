internal import Client
internal import ControlLoop
internal import Documents

/// What an attempt sees of the world: how much of each revision is up, and what the gateway confirms. Pure.
struct RolloutScene {
    private let rollout: RolloutView
    private let view: View
    private let from: LandscapeRevision?
    private let to: LandscapeRevision?

    init(_ rollout: RolloutView, view: View) {
        self.rollout = rollout
        self.view = view
        func revision(_ name: String?) -> LandscapeRevision? {
            name.flatMap { view.get(Kinds.controllerRevision.resource, rollout.document.namespace, $0) }
                .flatMap(LandscapeRevision.init)
        }
        from = revision(rollout.from)
        to = revision(rollout.to)
    }

    var input: RolloutDecision.Input {
        let attempts = RolloutReconciler.attempts(rollout.landscape, rollout.document.namespace, view)
        return RolloutDecision.Input(
            to: to.map { capacity($0, besides: from) } ?? .none,
            from: rollout.from.map { _ in from.map { capacity($0, besides: to) } ?? .none },
            confirmation: confirmation, waitingFor: waitingFor, refusedRoute: refusedRoute,
            isFromGone: rollout.from != nil && from == nil,
            isSuperseded: (attempts.last?.attempt ?? 0) > rollout.attempt)
    }

    private func deployment(_ service: LandscapeRevision.Service) -> Document? {
        view.get(Kinds.deployment.resource, rollout.document.namespace, service.objectName)
    }

    /// Full when every service is. None when a service that routes lead to, and that the other revision does not share, has
    /// nothing up.
    private func capacity(_ revision: LandscapeRevision, besides other: LandscapeRevision?) -> Capacity {
        let routed = Set(revision.routes.flatMap { $0.elements("rules") }.map { $0.text("service") })
        var result = Capacity.full
        for service in revision.services {
            let capacity = deployment(service).map(Capacity.of) ?? .none
            let isShared = other?.service(service.name)?.hash == service.hash
            if capacity == .none, routed.contains(service.name), !isShared { return .none }
            if capacity != .full { result = .partial }
        }
        return result
    }

    private var waitingFor: String {
        guard let to else { return "revision \(rollout.to), which does not exist" }
        let behind = to.services.compactMap { service -> String? in
            guard let deployment = deployment(service) else { return "service \(service.name) to be started" }
            if Capacity.of(deployment) == .full { return nil }
            let available = deployment.status.integer("availableReplicas") ?? 0
            let wanted = deployment.spec.integer("replicas") ?? 1
            let why = PodView.trouble(of: service, in: rollout.document.namespace, view)
            return "service \(service.name): \(available) of \(wanted) pods ready\(why)"
        }
        return behind.joined(separator: "; ")
    }

    private var routes: [RouteView] {
        view.list(Kinds.route.resource, rollout.document.namespace).filter {
            $0.controller?.kind == Kinds.landscape.kind && $0.controller?.name == rollout.landscape
        }.map(RouteView.init)
    }

    private var refusedRoute: String? {
        routes.first(where: isRefused).map { route in
            let why = route.document.condition("Accepted")?.text("message") ?? ""
            return "route \(route.document.name) to be served: \(why)"
        }
    }

    /// Whether the gateway serves nothing for the route as it stands.
    private func isRefused(_ route: RouteView) -> Bool {
        guard let accepted = route.document.condition("Accepted"), accepted.text("status") == "False" else {
            return false
        }
        return accepted["observedGeneration"]?.integerValue == route.document.generation
    }

    /// What the routes of the landscape say, once the gateway has confirmed every one of them as it stands.
    private var confirmation: RolloutDecision.Confirmation {
        guard let to else { return .moving }
        let routes = routes
        let expected = rollout.serving == rollout.to ? to.routes.count : from?.routes.count ?? 0
        // A route of the old revision that is not served carries no traffic that would have to be moved.
        let isAlone = rollout.from == nil || rollout.from == rollout.to
        let isSettled = routes.allSatisfy { $0.isConfirmed || (!isAlone && isRefused($0)) }
        guard routes.count == expected, isSettled else { return .moving }
        var found: Int?
        for backends in routes.flatMap({ route in route.rules.map(route.backends) }) {
            guard let service = backends.first?.service else { continue }
            let old = from?.service(service)?.hash
            let new = to.service(service)?.hash
            if old == new || new == nil || rollout.from == rollout.to {
                guard backends.count == 1 else { return .moving }
                continue
            }
            if old == nil, rollout.from != nil { continue }
            let percent = backends.first { $0.revision == rollout.to }?.weight ?? 0
            if let found, found != percent { return .moving }
            found = percent
        }
        return found.map { .percent($0) } ?? .indifferent
    }
}
