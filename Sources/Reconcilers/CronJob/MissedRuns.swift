internal import Documents
internal import Seams

/// Which times of a schedule have come since the last one that counted. Pure.
struct MissedRuns: Equatable {
    /// The newest that is not later than now.
    let latest: Instant?
    /// More than a hundred: the clock or the loop stood still for long.
    let areMany: Bool

    init(_ schedule: CronSchedule, after earliest: Instant, until now: Instant, in zone: TimeZone) {
        var found: Instant?
        var count = 0
        var time = schedule.next(after: earliest, in: zone)
        while let next = time, next <= now, count <= ReconcilerLimits.missedRuns {
            found = next
            count += 1
            time = schedule.next(after: next, in: zone)
        }
        areMany = count > ReconcilerLimits.missedRuns
        if areMany, let counted = found { found = Self.latest(schedule, counted, now, zone) }
        latest = found
    }

    /// Looks back from now, ever farther, instead of walking through all of them.
    private static func latest(
        _ schedule: CronSchedule, _ counted: Instant, _ now: Instant, _ zone: TimeZone
    ) -> Instant {
        var span: Duration = .seconds(120)
        while now + (.zero - span) > counted {
            if var found = schedule.next(after: now + (.zero - span), in: zone), found <= now {
                while let next = schedule.next(after: found, in: zone), next <= now { found = next }
                return found
            }
            span *= 2
        }
        var found = counted
        while let next = schedule.next(after: found, in: zone), next <= now { found = next }
        return found
    }
}
