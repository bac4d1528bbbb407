package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Moves an attempt to go live along its ladder. It has no children: the Landscape's loop runs both revisions and puts the
/// weights this loop decides into the Routes; what the gateway confirms comes back through them.
package struct RolloutReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.rollout }
    package var owner: FieldOwner { FieldOwner(loop: "rollout") }

    package var interests: [Interest] {
        let others = [Kinds.route, Kinds.deployment, Kinds.controllerRevision, Kinds.rollout].map { kind in
            Interest.reference(kind.resource, Self.concerned)
        }
        // Of a pod that is ready there is nothing to tell.
        let pods = Interest.reference(Kinds.pod.resource) { pod, view in
            PodView(pod).isReady ? [] : Self.concerned(by: pod, view)
        }
        return others + [pods]
    }

    /// The attempts that are not history, of the landscape a document is part of.
    private static func concerned(by document: Document, _ view: View) -> [PrimaryName] {
        guard let landscape = document.labels[Label.partOf] else { return [] }
        let attempts = attempts(landscape, document.namespace, view)
        return attempts.filter { !$0.isFinished || $0.attempt == attempts.last?.attempt }
            .map { PrimaryName($0.document) }
    }

    /// The attempts of a landscape, oldest first.
    static func attempts(_ landscape: String, _ namespace: String, _ view: View) -> [RolloutView] {
        view.list(Kinds.rollout.resource, namespace).map(RolloutView.init)
            .filter { $0.landscape == landscape }.sorted { $0.attempt < $1.attempt }
    }

    package func reconcile(_ observed: Observation<RolloutView>, now: Instant) -> Outcome {
        let rollout = observed.primary
        let scene = RolloutScene(rollout, view: observed.view)
        var decision = RolloutDecision(recorded: rollout)
        let input = scene.input
        // History: nothing about it changes any more.
        if input.isSuperseded, rollout.isFinished { return Outcome() }
        let actions = decision.advance(rollout, input, now: now)
        var outcome = Outcome()
        outcome.wakeAt = decision.wakeAt
        outcome.events = events(actions, decision, rollout)
        outcome.status = status(decision, rollout, input, now: now)
        return outcome
    }

    private func status(
        _ decision: RolloutDecision, _ rollout: RolloutView, _ input: RolloutDecision.Input, now: Instant
    ) -> JSON {
        let before = rollout.document.status
        let confirmed: Int
        switch input.confirmation {
        case .percent(let percent): confirmed = percent
        case .indifferent: confirmed = decision.weight
        case .moving: confirmed = before.integer("weight") ?? 0
        }
        var status: JSONObject = [
            "observedGeneration": .integer(rollout.document.generation), "step": .integer(Int64(decision.step)),
            "weight": .integer(Int64(confirmed)), "observedDecision": .string(rollout.decision),
            "decisionGeneration": .integer(decision.decisionGeneration),
        ]
        status["place"] = place(decision, rollout).map(JSON.string)
        status["stepStarted"] = decision.stepStarted.map { .string($0.rfc3339Micro) }
        status["started"] = decision.started.map { .string($0.rfc3339Micro) }
        status["paused"] = decision.paused.map { .string($0.rfc3339Micro) }
        status["finished"] = decision.finished.map { .string($0.rfc3339Micro) }
        var weights: [JSON] = []
        if let from = rollout.from, from != rollout.to {
            weights.append([
                "revision": .string(from), "weight": .integer(Int64(100 - decision.weight)),
                "acknowledged": .integer(Int64(100 - confirmed)),
            ])
        }
        weights.append([
            "revision": .string(rollout.to), "weight": .integer(Int64(decision.weight)),
            "acknowledged": .integer(Int64(confirmed)),
        ])
        status["weights"] = .array(weights)
        var conditions = Conditions(previous: before["conditions"], generation: rollout.document.generation, now: now)
        let goesBack = decision.phase == .rollingBack || decision.phase == .rolledBack
        let isStuck = decision.stall != nil && decision.phase != .promoted
        let reason = goesBack ? decision.failureReason : isStuck ? "Stalled" : decision.phase.rawValue
        let message = goesBack ? decision.failureMessage : decision.message
        conditions.set("Ready", decision.phase == .promoted ? .yes : .no, reason, message)
        let isOver = [.promoted, .rolledBack, .superseded].contains(decision.phase)
        conditions.set("Progressing", isOver ? .no : .yes, decision.phase.rawValue, decision.message)
        if let stall = decision.stall {
            conditions.set("Stalled", .yes, stall.reason, stall.message)
        } else {
            conditions.set("Stalled", .no, "NotStalled", "nothing waits for somebody's help")
        }
        status["conditions"] = conditions.json
        return .object(status)
    }

    /// The step it stands on and how many there are, as people count: `2/4`.
    private func place(_ decision: RolloutDecision, _ rollout: RolloutView) -> String? {
        let count = rollout.steps.count
        return count == 0 ? nil : "\(min(decision.step + 1, count))/\(count)"
    }

    private func events(
        _ actions: [RolloutDecision.Action], _ decision: RolloutDecision, _ rollout: RolloutView
    ) -> [EventDraft] {
        let occurrence = "\(decision.decisionGeneration) \(decision.step)"
        var events = actions.map { action -> EventDraft in
            switch action {
            case .started:
                EventDraft("Started", "\(rollout.to) is on its way to be live", occurrence: occurrence)
            case .weightConfirmed(let percent):
                EventDraft(
                    "WeightConfirmed", "\(rollout.to) has \(percent) percent of the traffic",
                    occurrence: "\(occurrence) \(percent)")
            case .paused:
                EventDraft("Held", "somebody holds it", occurrence: "\(rollout.document.generation)")
            case .promoted: EventDraft("Promoted", "\(rollout.to) is live", occurrence: occurrence)
            case .failed(let reason, let message):
                EventDraft(reason, message, occurrence: occurrence, isWarning: true)
            case .rollingBack:
                EventDraft(
                    "RollingBack", "\(rollout.from ?? "") gets the traffic back", occurrence: occurrence,
                    isWarning: true)
            case .rolledBack:
                EventDraft(
                    "RolledBack", "\(rollout.from ?? "") has the traffic again", occurrence: occurrence, isWarning: true
                )
            }
        }
        if decision.phase == .paused, rollout.phase != .paused, rollout.decision != "Pause" {
            events.append(EventDraft("Paused", decision.message, occurrence: occurrence))
        }
        if let stall = decision.stall, rollout.document.isTrue("Stalled") == false {
            events.append(
                EventDraft("Stalled", stall.message, occurrence: "\(stall.reason) \(occurrence)", isWarning: true))
        }
        return events
    }
}

extension RolloutDecision {
    /// The attempt as its status recorded it.
    init(recorded rollout: RolloutView) {
        let status = rollout.document.status
        func instant(_ member: String) -> Instant? { status[member]?.stringValue.flatMap(Instant.init(rfc3339:)) }
        self.init(
            phase: rollout.phase, step: status.integer("step") ?? 0, started: instant("started"),
            stepStarted: instant("stepStarted"), paused: instant("paused"), finished: instant("finished"),
            weight: rollout.weight, decisionGeneration: status["decisionGeneration"]?.integerValue ?? 0)
        if rollout.phase == .rollingBack || rollout.phase == .rolledBack {
            failureReason = rollout.document.condition("Ready")?.text("reason") ?? ""
            failureMessage = rollout.document.condition("Ready")?.text("message") ?? ""
        }
    }
}
