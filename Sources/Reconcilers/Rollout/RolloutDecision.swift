internal import Documents
internal import Seams

/// The rules of an attempt to go live, over time. A pure value: what was recorded goes in, `advance` moves it as far as the
/// observation allows, and the result is recorded again.
///
/// A weight counts once every route has confirmed it. Weights never rise while the new revision is not fully ready, and
/// fall to nothing when none of it is left. Going back needs an old revision that is up. No traffic is no evidence.
struct RolloutDecision: Sendable, Equatable {
    /// What the attempt sees.
    struct Input: Sendable {
        var to: Capacity
        /// `nil` where there is no old revision.
        var from: Capacity?
        var confirmation: Confirmation
        /// Services that hold it up, for messages.
        var waitingFor: String
        /// Why the gateway will not serve a route of the landscape as it stands; `nil` where it does or is about to.
        var refusedRoute: String?
        /// The revision it started from is recorded no more: nothing can lead back to it.
        var isFromGone = false
        var isSuperseded: Bool
    }

    /// What the gateway confirms through the routes.
    enum Confirmation: Sendable, Equatable {
        /// Some route is not confirmed as it stands, or the routes do not agree.
        case moving
        /// Every route gives the new revision this percentage.
        case percent(Int)
        /// No route tells the two revisions apart.
        case indifferent

        func confirms(_ weight: Int) -> Bool { self == .indifferent || self == .percent(weight) }
    }

    /// What is worth an event.
    enum Action: Sendable, Equatable {
        case started
        case weightConfirmed(Int)
        case paused
        case promoted
        case failed(reason: String, message: String)
        case rollingBack
        case rolledBack
    }

    var phase: RolloutView.Phase
    var step: Int
    var started: Instant?
    var stepStarted: Instant?
    /// Since when somebody's Pause holds it.
    var paused: Instant?
    var finished: Instant?
    /// Percent the new revision is meant to have.
    var weight: Int
    /// The generation whose one-time decision was acted on.
    var decisionGeneration: Int64
    /// Why it failed or went back; empty otherwise.
    var failureReason = ""
    var failureMessage = ""
    /// Set by `advance`: what it waits for, why it cannot go on alone, and when to look again.
    var message = ""
    var stall: (reason: String, message: String)?
    var wakeAt: Instant?

    static func == (left: RolloutDecision, right: RolloutDecision) -> Bool {
        left.phase == right.phase && left.step == right.step && left.started == right.started
            && left.stepStarted == right.stepStarted && left.paused == right.paused && left.finished == right.finished
            && left.weight == right.weight && left.decisionGeneration == right.decisionGeneration
            && left.failureReason == right.failureReason
    }

    mutating func advance(_ rollout: RolloutView, _ input: Input, now: Instant) -> [Action] {
        stall = nil
        wakeAt = nil
        var actions: [Action] = []
        if started == nil {
            started = now
            stepStarted = now
            phase = .advancing
            weight = rollout.weight
            actions.append(.started)
        }
        if input.isSuperseded {
            if !isTerminal {
                phase = .superseded
                finished = now
            }
            message = phase == .rolledBack ? failureMessage : "a newer attempt has taken over"
            return actions
        }
        actions += decide(rollout, input, now: now)
        switch phase {
        case .new, .advancing, .paused: actions += climb(rollout, input, now: now)
        case .rollingBack: actions += goBack(rollout, input, now: now)
        case .promoted: message = "\(rollout.to) is live"
        case .rolledBack:
            message = failureMessage
            stall = (failureReason, wayOut(rollout))
        case .superseded: message = "a newer attempt has taken over"
        }
        explainIgnoredDecision(rollout, input)
        return actions
    }

    private func wayOut(_ rollout: RolloutView) -> String {
        "\(failureMessage). Change the landscape, or try again: espalier rollout retry \(rollout.landscape)"
    }

    /// Says of a decision that cannot be followed why nothing comes of it.
    private mutating func explainIgnoredDecision(_ rollout: RolloutView, _ input: Input) {
        guard decisionGeneration < rollout.document.generation, phase != .rolledBack, phase != .rollingBack else {
            return
        }
        switch rollout.decision {
        case "Abort" where !canGoBack(rollout):
            stall = (
                "NothingToGoBackTo",
                "\(message); it cannot be aborted: there is nothing to go back to; change the landscape or delete it"
            )
        case "Abort" where input.isFromGone: stall = ("RevisionGone", goneMessage(rollout))
        case "Promote" where !canGoBack(rollout) && phase != .promoted:
            message += "; there is no step to promote: a first deployment goes live by itself once it is ready"
        default: break
        }
    }

    private func goneMessage(_ rollout: RolloutView) -> String {
        "revision \(rollout.from ?? ""), to which it was to go back, no longer exists: its ControllerRevision was "
            + "deleted. Change the landscape or delete it"
    }

    private var isTerminal: Bool { [.promoted, .rolledBack, .superseded].contains(phase) }

    /// Acts once on decisions that mean something once.
    private mutating func decide(_ rollout: RolloutView, _ input: Input, now: Instant) -> [Action] {
        let generation = rollout.document.generation
        guard decisionGeneration < generation else { return [] }
        switch rollout.decision {
        case "Abort"
        where [.new, .advancing, .paused, .promoted].contains(phase) && canGoBack(rollout) && !input.isFromGone:
            decisionGeneration = generation
            failureReason = "Aborted"
            failureMessage = "aborted by decision"
            phase = .rollingBack
            stepStarted = now
            paused = nil
            return [.rollingBack]
        case "Retry" where phase == .rolledBack || phase == .advancing:
            decisionGeneration = generation
            failureReason = ""
            failureMessage = ""
            if phase == .rolledBack { step = 0 }
            phase = .advancing
            finished = nil
            stepStarted = now
            return [.started]
        default: return []
        }
    }

    private func canGoBack(_ rollout: RolloutView) -> Bool { rollout.from != nil && rollout.from != rollout.to }

    private mutating func climb(_ rollout: RolloutView, _ input: Input, now: Instant) -> [Action] {
        var actions: [Action] = []
        let ladder = rollout.strategy != "Recreate" && canGoBack(rollout) ? rollout.steps : []
        if rollout.decision == "Pause" {
            if paused == nil {
                paused = now
                actions.append(.paused)
            }
            phase = .paused
            weight = safe(weight, input, rollout)
            message = "held at \(weight) percent; to go on: espalier rollout resume \(rollout.landscape)"
            return actions
        }
        if let since = paused {
            stepStarted = stepStarted.map { $0 + (now - since) }
            paused = nil
        }
        if rollout.decision == "PromoteFull", step < ladder.count {
            step = ladder.count
            stepStarted = now
        }
        phase = .advancing
        while true {
            if step >= ladder.count {
                return actions + reach(100, rollout, input, now: now, isLast: true)
            }
            switch ladder[step] {
            case .setWeight(let wanted):
                let reached = reach(wanted, rollout, input, now: now, isLast: false)
                actions += reached
                guard case .weightConfirmed = reached.last else { return actions }
                next(now)
            case .pause, .analysis:
                // A ladder that begins with a wait begins it when there is something to look at.
                if step == 0, rollout.phase != .paused {
                    let reached = reach(0, rollout, input, now: now, isLast: false)
                    guard case .weightConfirmed = reached.last else { return actions + reached }
                    stepStarted = now
                }
                guard stand(in: ladder[step], rollout, input, &actions, now: now) else { return actions }
            }
        }
    }

    private mutating func stand(
        in rung: RolloutView.Step, _ rollout: RolloutView, _ input: Input, _ actions: inout [Action], now: Instant
    ) -> Bool {
        if case .pause(let duration) = rung { return wait(duration, "pause", rollout, input, &actions, now: now) }
        return wait(nil, "analysis", rollout, input, &actions, now: now)
    }

    private mutating func next(_ now: Instant) {
        step += 1
        stepStarted = now
    }

    /// Raises the weight as far as the capacity allows; answers `.weightConfirmed` or `.promoted` once it is there.
    private mutating func reach(
        _ wanted: Int, _ rollout: RolloutView, _ input: Input, now: Instant, isLast: Bool
    ) -> [Action] {
        let isAlone = !canGoBack(rollout)
        if isAlone {
            weight = 100
        } else {
            weight = input.to == .full ? wanted : safe(min(weight, wanted), input, rollout)
        }
        if input.to == .full, input.confirmation.confirms(weight), weight == wanted || isAlone {
            if isLast {
                phase = .promoted
                finished = now
                message = "\(rollout.to) is live"
                return [.promoted]
            }
            return [.weightConfirmed(wanted)]
        }
        let confirmation = input.refusedRoute ?? "the gateway to confirm \(weight) percent"
        let cause = input.to == .full ? confirmation : input.waitingFor
        message = "waiting for \(cause)"
        if input.to == .full, input.refusedRoute != nil { stall = ("RouteNotAccepted", message) }
        let due = (stepStarted ?? now) + rollout.progressDeadline
        if now < due {
            wake(due)
            return []
        }
        let text = "no progress in time: still waiting for \(cause)"
        if rollout.rollsBackOnFailure, !isAlone {
            failureReason = "ProgressDeadlineExceeded"
            failureMessage = text
            phase = .rollingBack
            stepStarted = now
            return [.failed(reason: failureReason, message: text), .rollingBack] + goBack(rollout, input, now: now)
        }
        stall = ("ProgressDeadlineExceeded", "\(text). It goes on by itself once that is there")
        return []
    }

    /// Nothing may go to a revision of which nothing is up, as long as there is another.
    private func safe(_ weight: Int, _ input: Input, _ rollout: RolloutView) -> Int {
        canGoBack(rollout) && input.to == .none ? 0 : weight
    }

    /// Stands in a pause or an analysis; answers whether it is over.
    private mutating func wait(
        _ duration: Duration?, _ kind: String, _ rollout: RolloutView, _ input: Input, _ actions: inout [Action],
        now: Instant
    ) -> Bool {
        let held = weight
        weight = safe(ladderWeight(rollout), input, rollout)
        if weight > held, input.to != .full { weight = held }
        if isPromoted(rollout) {
            decisionGeneration = rollout.document.generation
            next(now)
            return true
        }
        if let duration, let stepStarted {
            let due = stepStarted + duration
            if now >= due {
                next(now)
                return true
            }
            wake(due)
            message = "pausing at \(weight) percent until \(due.rfc3339)"
            phase = .paused
            return false
        }
        phase = .paused
        if kind == "analysis" {
            stall = (
                "NoAnalysis",
                "step \(step + 1) of \(rollout.steps.count) is an analysis, and nothing here measures; no verdict is no "
                    + "success. Look for yourself, then: espalier rollout promote \(rollout.landscape), or abort"
            )
            message = "waiting for a verdict at \(weight) percent"
        } else {
            message = "pausing at \(weight) percent; to go on: espalier rollout promote \(rollout.landscape)"
        }
        return false
    }

    /// The weight of the last rung at or before the step it stands on.
    private func ladderWeight(_ rollout: RolloutView) -> Int {
        var weight = 0
        for rung in rollout.steps.prefix(step + 1) {
            if case .setWeight(let value) = rung { weight = value }
        }
        return weight
    }

    /// Whether a Promote is meant for the step it stands on and was not acted on yet.
    private func isPromoted(_ rollout: RolloutView) -> Bool {
        guard rollout.decision == "Promote", decisionGeneration < rollout.document.generation else { return false }
        return rollout.decisionStep == nil || rollout.decisionStep == step
    }

    private mutating func goBack(_ rollout: RolloutView, _ input: Input, now: Instant) -> [Action] {
        phase = .rollingBack
        let old = rollout.from ?? ""
        if input.isFromGone {
            message = goneMessage(rollout)
            stall = ("RevisionGone", message)
            return []
        }
        guard let from = input.from, from != .none else {
            message = "waiting for \(old) to be up again before it gets the traffic back"
            return []
        }
        // After a promotion the new revision carries everything. As long as all of it is up, the old one gets that back
        // only when it can carry it too, or has had its time.
        let due = (stepStarted ?? now) + rollout.progressDeadline
        if finished != nil, weight > 0, input.to == .full, from != .full, now < due {
            wake(due)
            message = "waiting for all of \(old) to be up again before it gets the traffic back"
            return []
        }
        weight = 0
        guard input.confirmation.confirms(0) else {
            message = "waiting for the gateway to confirm that \(old) has the traffic again"
            return []
        }
        phase = .rolledBack
        finished = now
        message = failureMessage
        stall = (failureReason, wayOut(rollout))
        return [.rolledBack]
    }

    private mutating func wake(_ instant: Instant) { wakeAt = min(wakeAt ?? instant, instant) }
}
