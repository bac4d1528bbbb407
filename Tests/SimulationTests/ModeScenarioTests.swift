import Reconcilers
import Simulation
import Store
import Testing

/// Every story ends the same whether loops and agents are in the server's process or reach it by HTTP: in the same documents,
/// about which nobody writes any more.
@Suite(.enabled(if: Mode.tested.contains(.remote))) struct ModeScenarioTests {
    @Test(arguments: Scenario.all) func theEndIsTheSameInBothModes(_ scenario: Scenario) async throws {
        let embedded = try await World(decidesTwice: false)
        try await scenario.play(embedded)
        let remote = try await World(.remote)
        try await scenario.play(remote)
        let difference = Lines.difference(try await embedded.normalised(), try await remote.normalised())
        #expect(difference.isEmpty, "\(difference)")

        let revision = remote.plane.store.sequencedRevision
        remote.plane.restartLoops()
        try await remote.pass(1)
        #expect(remote.plane.loopClient.writes.isEmpty, "\(remote.plane.loopClient.writes)")
        #expect(remote.plane.store.sequencedRevision == revision)
    }
}
