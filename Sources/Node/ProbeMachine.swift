/// Decides when one probe of a running container is tried and what its answers mean. Pure; times are monotonic.
///
/// A readiness or startup probe without an initial delay is tried in a quick ramp until its first success, so that a
/// service that is up after 40 ms counts as up after 50 ms and not after a period. Failures in the ramp count towards
/// the threshold only as often as the probe's own period would have.
package struct ProbeMachine: Sendable {
    package enum Verdict: Sendable, Equatable { case none, passed, failed }

    package let specification: ProbeSpecification
    private let kind: ProbeSpecification.Kind
    private let began: Duration
    private var tries = 0
    private var successes = 0
    private var failures = 0
    private var lastCounted: Duration?
    private var isFlying = false
    /// When the next try is due; none while one is under way.
    package private(set) var nextTry: Duration?
    /// What the container is held to be.
    package private(set) var hasPassed: Bool

    package init(_ specification: ProbeSpecification, kind: ProbeSpecification.Kind, now: Duration, hasPassed: Bool) {
        self.specification = specification
        self.kind = kind
        self.hasPassed = hasPassed
        began = now
        nextTry = now + specification.initialDelay
    }

    /// Whether the probe is to be tried now; it then counts as under way.
    package mutating func isDue(now: Duration) -> Bool {
        guard !isFlying, let nextTry, nextTry <= now else { return false }
        isFlying = true
        self.nextTry = nil
        return true
    }

    package mutating func onAnswer(isSuccess: Bool, now: Duration) -> Verdict {
        isFlying = false
        nextTry = now + pause(after: isSuccess, now: now)
        tries += 1
        if isSuccess {
            failures = 0
            lastCounted = nil
            successes = min(successes + 1, specification.successThreshold)
            if hasPassed || successes < specification.successThreshold { return .none }
            hasPassed = true
            return .passed
        }
        successes = 0
        let isCounted = lastCounted.map { now - $0 >= specification.period } ?? true
        guard isCounted else { return .none }
        lastCounted = now
        failures += 1
        guard failures >= specification.failureThreshold else { return .none }
        failures = 0
        hasPassed = kind == .liveness
        return .failed
    }

    private func pause(after isSuccess: Bool, now: Duration) -> Duration {
        let isRamping =
            kind != .liveness && !hasPassed && specification.initialDelay == .zero
            && now - began < Limits.probeRampTime
        guard isRamping, specification.successThreshold > 1 || !isSuccess else { return specification.period }
        return min(specification.period, Limits.probeRamp[min(tries, Limits.probeRamp.count - 1)])
    }
}
