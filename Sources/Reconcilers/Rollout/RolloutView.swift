internal import ControlLoop
package import Documents
package import Seams

/// A Rollout as the loops read it: the attempt as it was declared, and how far it has come.
package struct RolloutView: DocumentView {
    /// Where an attempt stands; the reason of its condition Progressing.
    package enum Phase: String, Sendable {
        /// Nothing was recorded yet.
        case new = ""
        case advancing = "Advancing"
        case paused = "Paused"
        case rollingBack = "RollingBack"
        case promoted = "Promoted"
        case rolledBack = "RolledBack"
        case superseded = "Superseded"
    }

    /// One rung of the ladder.
    package enum Step: Sendable, Equatable {
        case setWeight(Int)
        /// `nil` waits for a decision.
        case pause(Duration?)
        case analysis(Duration?)
    }

    package let document: Document
    package init(_ document: Document) { self.document = document }

    package var name: String { document.name }
    package var landscape: String { document.spec["landscape"]?.text("name") ?? "" }
    package var from: String? { document.spec["from"]?.stringValue }
    package var to: String { document.spec.text("to") }
    package var strategy: String { document.spec["strategy"]?.stringValue ?? "BlueGreen" }
    package var decision: String { document.spec["decision"]?.stringValue ?? "Continue" }
    package var decisionStep: Int? { document.spec.integer("decisionStep") }
    package var rollsBackOnFailure: Bool { document.spec["onFailure"]?.stringValue != "Pause" }
    package var attempt: Int { document.labels[Label.attempt].flatMap(Int.init) ?? 0 }

    package var progressDeadline: Duration { duration("progressDeadline") ?? ReconcilerLimits.progressDeadline }
    package var keepPrevious: Duration { duration("keepPrevious") ?? ReconcilerLimits.keepPrevious }

    package var steps: [Step] {
        document.spec.elements("steps").compactMap { step in
            if let weight = step.integer("setWeight") { return .setWeight(weight) }
            if let pause = step["pause"] { return .pause(GatewayDuration.parse(pause.text("duration"))) }
            if let analysis = step["analysis"] { return .analysis(GatewayDuration.parse(analysis.text("duration"))) }
            return nil
        }
    }

    package var phase: Phase {
        (document.condition("Progressing")?["reason"]?.stringValue).flatMap(Phase.init) ?? .new
    }

    package var isFinished: Bool { [.promoted, .rolledBack, .superseded].contains(phase) }
    package var finished: Instant? { document.status["finished"]?.stringValue.flatMap(Instant.init(rfc3339:)) }

    /// The revision that is live as far as this attempt says: after a promotion the new one, also while going back from
    /// it; otherwise the one it started from.
    package var serving: String {
        switch phase {
        case .promoted: to
        case .rollingBack: finished == nil ? from ?? to : to
        case .new, .advancing, .paused, .rolledBack, .superseded: from ?? to
        }
    }

    /// Whether its new revision has, or had, all the traffic: also while going back from it.
    package var hasBeenPromoted: Bool { phase == .promoted || (phase == .rollingBack && finished != nil) }

    /// Percent of the traffic the new revision is meant to have now.
    package var weight: Int {
        if from == nil || from == to { return 100 }
        return document.status.elements("weights").first { $0.text("revision") == to }?.integer("weight") ?? 0
    }

    /// Until when the old revision stays warm after a promotion; `nil` where there is nothing to keep.
    package var keepsFromUntil: Instant? {
        guard phase == .promoted, from != nil, let finished else { return nil }
        return finished + keepPrevious
    }

    private func duration(_ member: String) -> Duration? {
        document.spec[member]?.stringValue.flatMap(GatewayDuration.parse)
    }
}
