import Client
import Documents
import Reconcilers
import Seams
import Simulation
import Store
import Testing

/// What holds for every scenario: the same seed is the same run, and who has nothing to do writes nothing.
struct QuietTests {
    @Test(arguments: Scenario.all) func convergedMeansNoWrites(_ scenario: Scenario) async throws {
        let world = try await World()
        try await scenario.play(world)
        // Long enough for warm revisions and events to have gone.
        try await world.pass(5000)
        let revision = world.plane.store.sequencedRevision
        let writes = world.plane.loopClient.writes.count
        try await world.pass(5000)
        #expect(world.plane.store.sequencedRevision == revision)
        #expect(world.plane.loopClient.writes.count == writes)
        // Nor after a restart: everything there is to know stands in the documents.
        world.plane.restartLoops()
        try await world.pass(100)
        #expect(world.plane.store.sequencedRevision == revision)
        #expect(world.plane.loopClient.writes.isEmpty, "\(world.plane.loopClient.writes)")
    }

    @Test func sameSeedIsTheSameRun() async throws {
        var traces: [UInt64] = []
        for seed in [7, 7, 8] as [UInt64] {
            let world = try await World(seed: seed)
            try await Scenario.all[2].play(world)
            traces.append(world.plane.trace)
        }
        #expect(traces[0] == traces[1])
        #expect(traces[0] != traces[2])
    }

    @Test func endDoesNotDependOnTheOrder() async throws {
        let reference = try await World(seed: 1)
        try await Scenario.all[2].play(reference)
        let wanted = try await reference.normalised()
        for seed in 2...5 as ClosedRange<UInt64> {
            let world = try await World(seed: seed)
            try await Scenario.all[2].play(world)
            #expect(try await world.normalised() == wanted, "seed \(seed)")
        }
    }
}
