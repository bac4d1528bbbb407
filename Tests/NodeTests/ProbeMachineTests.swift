import Node
import Seams
import Testing

/// When probes are tried and what their answers mean.
struct ProbeMachineTests {
    static let check = ProbeSpecification.Check.socket(port: "80", host: "")

    @Test func aReadinessProbeRampsUntilItsFirstSuccess() {
        var probe = ProbeMachine(ProbeSpecification(check: Self.check), kind: .readiness, now: .zero, hasPassed: false)
        var now = Duration.zero
        var times: [Duration] = []
        for _ in 0..<6 {
            let isDue = probe.isDue(now: now)
            #expect(isDue)
            times.append(now)
            _ = probe.onAnswer(isSuccess: false, now: now)
            now = probe.nextTry ?? now
        }
        #expect(times == [0, 10, 30, 80, 180, 280].map { .milliseconds($0) })
        _ = probe.isDue(now: now)
        let verdict = probe.onAnswer(isSuccess: true, now: now)
        #expect(verdict == .passed)
        #expect(probe.nextTry == now + .seconds(10))
    }

    @Test func failuresInTheRampCountOncePerPeriod() {
        var probe = ProbeMachine(
            ProbeSpecification(check: Self.check, period: .seconds(1), failureThreshold: 3), kind: .startup, now: .zero,
            hasPassed: false)
        var now = Duration.zero
        var failedAt: Duration?
        while failedAt == nil, now < .seconds(30) {
            now = probe.nextTry ?? now
            _ = probe.isDue(now: now)
            if probe.onAnswer(isSuccess: false, now: now) == .failed { failedAt = now }
        }
        #expect((failedAt ?? .zero) >= .seconds(2))
        #expect((failedAt ?? .zero) < .milliseconds(2400))
    }

    @Test func readinessIsLostAfterTheThresholdAndComesBack() {
        var probe = ProbeMachine(ProbeSpecification(check: Self.check), kind: .readiness, now: .zero, hasPassed: true)
        for round in 1...3 {
            let now = Duration.seconds(10 * round)
            _ = probe.isDue(now: now)
            let verdict = probe.onAnswer(isSuccess: false, now: now)
            #expect(verdict == (round == 3 ? .failed : .none))
        }
        #expect(!probe.hasPassed)
        _ = probe.isDue(now: .seconds(40))
        let verdict = probe.onAnswer(isSuccess: true, now: .seconds(40))
        #expect(verdict == .passed)
    }

    @Test func anInitialDelayIsHonoured() {
        var probe = ProbeMachine(
            ProbeSpecification(check: Self.check, initialDelay: .seconds(5)), kind: .readiness, now: .seconds(1),
            hasPassed: false)
        let early = probe.isDue(now: .milliseconds(5999))
        let onTime = probe.isDue(now: .seconds(6))
        let twice = probe.isDue(now: .seconds(6))
        #expect(!early)
        #expect(onTime)
        #expect(!twice, "one try at a time")
    }
}
