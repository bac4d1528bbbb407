import Store
import Testing

/// Clients, faults and checkers: the store's answers have an order, and the checkers would notice if they had none.
/// `hack/linearizability` runs this at full size.
struct LinearizabilityTests {
    private static let operations = CampaignScale.number("LINEARIZABILITY_OPERATIONS", small: 8000)

    @Test func theAnswersOfSixteenClientsHaveOneOrder() throws {
        let seed = CampaignScale.seed("linearizability")
        let perHistory = 500_000
        var (left, round) = (Self.operations, UInt64(0))
        var total = ClientCampaign.Report()
        while left > 0 {
            var campaign = try ClientCampaign(seed: seed &+ round, keyCount: 512)
            try campaign.run(operations: min(left, perHistory))
            #expect(campaign.violations.isEmpty, "SEED=\(seed), round \(round)")
            #expect(HistoryChecker.violations(campaign.history).prefix(5).isEmpty, "SEED=\(seed), round \(round)")
            let (violations, skipped) = ValueChecker.check(campaign.history)
            #expect(violations.prefix(5).isEmpty, "SEED=\(seed), round \(round)")
            #expect(skipped == 0)
            total.add(campaign.report)
            left -= perHistory
            round += 1
        }
        print(
            """
            linearizability: \(total.acknowledged) writes acknowledged, \(total.reads) reads, \(total.conflicts) \
            conflicts, \(total.unknown) writes unknown; \(total.powerCuts) power cuts, \(total.kills) kills, \
            \(total.failures) disk errors, \(total.inWrites) of them during a write; \(total.compactions) compactions
            """)
        #expect(total.inWrites > Self.operations / 4000)
        #expect(total.acknowledged > Self.operations / 4)
    }

    @Test(arguments: PlantedBug.ofClients)
    func aPlantedBugIsFound(_ bug: PlantedBug) throws {
        let seed = CampaignScale.seed("\(bug)")
        var campaign = try ClientCampaign(seed: seed, keyCount: 64, faultRarity: 200, bug: bug)
        var violations: [String] = []
        for operations in stride(from: 2000, through: 20_000, by: 2000) where violations.isEmpty {
            try campaign.run(operations: operations)
            violations = campaign.violations + HistoryChecker.violations(campaign.history)
        }
        #expect(!violations.isEmpty, "\(bug) was not found; SEED=\(seed)")
        print("\(bug): \(violations.count) violations, such as: \(violations.first ?? "none")")
    }

    /// What no revision shows: an order of values that no register has.
    @Test func theBlackBoxFindsValuesWithoutOrder() {
        func operation(_ called: UInt64, _ returned: UInt64, _ value: UInt64) -> ClientHistory.Operation {
            .init(
                client: 0, called: called, returned: returned, request: .put(1, value: value), answer: .written(called))
        }
        func read(_ called: UInt64, _ returned: UInt64, _ value: UInt64) -> ClientHistory.Operation {
            .init(
                client: 1, called: called, returned: returned, request: .get(1),
                answer: .read(revision: 0, [.init(key: 1, value: value, revision: 0)]))
        }
        var history = ClientHistory(groupSize: 8)
        history.operations = [operation(1, 4, 10), operation(2, 5, 20), read(6, 7, 10), read(8, 9, 10)]
        #expect(ValueChecker.check(history).violations.isEmpty)
        history.operations.append(read(10, 11, 20))
        #expect(!ValueChecker.check(history).violations.isEmpty)
        // A write nobody answered may come late, once.
        history.operations[1].returned = .max
        history.operations[1].answer = .unknown
        #expect(ValueChecker.check(history).violations.isEmpty)
        history.operations.append(read(12, 13, 10))
        #expect(!ValueChecker.check(history).violations.isEmpty)
    }

    /// A history that clients of the real process recorded: `hack/linearizability --socket` names the file.
    @Test(.enabled(if: CampaignScale.text("HISTORY") != nil))
    func theRecordedHistoryHasOneOrder() throws {
        let history = try RecordedHistory.read(try #require(CampaignScale.text("HISTORY")))
        #expect(HistoryChecker.violations(history).prefix(10).isEmpty)
        let (violations, skipped) = ValueChecker.check(history)
        #expect(violations.prefix(10).isEmpty)
        print(
            """
            recorded history: \(history.operations.count) operations, \(history.log.count) changes checked; values of \
            \(skipped) keys not searched
            """)
        #expect(history.operations.count > 100)
    }
}

/// Watching at volume, and what must be noticed. `hack/watch` runs this at full size.
struct WatchCampaignTests {
    private static let deliveries = CampaignScale.number("WATCH_DELIVERIES", small: 100_000)

    @Test func twoHundredWatchersAreToldEverythingOnce() throws {
        let seed = CampaignScale.seed("watch")
        var campaign = try WatchCampaign(seed: seed)
        try campaign.run(deliveries: Self.deliveries)
        #expect(campaign.violations.prefix(5).isEmpty, "SEED=\(seed)")
        let report = campaign.report
        print(
            """
            watch: \(report.deliveries) deliveries of \(report.transactions) transactions to 200 watchers, \
            \(report.bookmarks) bookmarks, \(report.resumed) resumed, \(report.overtaken) overtaken by \
            \(report.compactions) compactions and told so, \(report.restarts) restarts
            """)
        #expect(report.overtaken > 0)
        #expect(report.restarts > 0)
    }

    @Test(arguments: PlantedBug.ofWatches)
    func aPlantedBugIsFound(_ bug: PlantedBug) throws {
        let seed = CampaignScale.seed("watch, \(bug)")
        var campaign = try WatchCampaign(seed: seed, watcherCount: 60, bug: bug)
        try campaign.run(deliveries: 1_000_000, violations: 1)
        #expect(!campaign.violations.isEmpty, "\(bug) was not found; SEED=\(seed)")
        print("\(bug): such as: \(campaign.violations.first ?? "none")")
    }
}

extension ClientCampaign.Report {
    fileprivate mutating func add(_ other: Self) {
        powerCuts += other.powerCuts
        kills += other.kills
        failures += other.failures
        inWrites += other.inWrites
        acknowledged += other.acknowledged
        conflicts += other.conflicts
        reads += other.reads
        unknown += other.unknown
        compactions += other.compactions
    }
}
