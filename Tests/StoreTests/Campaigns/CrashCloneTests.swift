import Seams
import Simulation
import Testing

/// Power fails at every operation of a long script. The script runs once: at each operation the disk is cloned in the
/// middle of it, so that a crash point costs a recovery and not the script again. `hack/crash --full` runs this with
/// 2,000 transactions and 100,000 recoveries.
struct CrashCloneTests {
    private static let transactions = CampaignScale.number("CRASH_TRANSACTIONS", small: 60)
    private static let recoveries = CampaignScale.number("CRASH_RECOVERIES", small: 500)

    @Test func everyOperationOfAScriptIsACrashPointManyTimes() throws {
        let seed = CampaignScale.seed("crash clones")
        var script = CrashScript(seed: seed)
        let points = try script.run(transactions: Self.transactions)
        var report = CrashReport()
        for point in points { try script.recover(point, nested: 0, &report) }
        let exhaustive = report
        let random = SeededRandom(seed: seed &* 41)
        while report.recoveries < Self.recoveries {
            try script.recover(points[random.next(below: points.count)], nested: random.next(below: 4), &report)
        }
        #expect(report.problems.prefix(5).isEmpty, "SEED=\(seed)")
        print(
            """
            crash clones: \(script.acknowledgedInAll) acknowledged transactions, \(points.count) operations of the \
            disk, each a crash point (\(report.kinds(points))); \(report.recoveries) recoveries, \(report.kills) \
            of them after a kill, \(report.nested) crashes during recovery again, up to \(report.deepest) deep; \
            \(report.inWrites) crash points had writes under way, of which \(report.kept) recoveries kept some; \
            \(report.continued) transactions written on afterwards; \(report.problems.count) problems
            """)
        #expect(exhaustive.recoveries == points.count)
        #expect(report.inWrites > points.count / 10)
        #expect(report.deepest == 3)
    }
}
