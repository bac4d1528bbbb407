import APIServer
import Client
import Documents
import Logging
import Seams
import Simulation
import Testing

@testable import ControlLoop

@Suite struct LeaderElectionTests {
    /// Two candidates for one Lease, each with a clock of its own.
    private struct Candidate {
        let clock = SimulatedClock()
        let election: LeaderElection
        var seen = LeaseSighting()

        init(_ name: String, _ client: any Client) {
            election = LeaderElection(
                client: client, clock: clock, random: SeededRandom(seed: 1),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                settings: LeaderElection.Settings(namespace: "kube-system", name: "espalier-operator", identity: name),
                work: {})
        }

        mutating func leads(after duration: Duration = .zero) async throws(APIError) -> Bool {
            clock.advance(by: duration)
            return try await election.attempt(&seen)
        }
    }

    private func lease(_ plane: ControlPlane) async throws(APIError) -> JSON {
        let resource = GroupResource(group: "coordination.k8s.io", resource: "leases")
        return try await plane.client.get(
            ObjectKey(resource, namespace: "kube-system", name: "espalier-operator")
        ).spec
    }

    @Test(
        "a lease that changes is respected, one that stands still for its duration is taken over",
        arguments: Mode.tested)
    func takeover(_ mode: Mode) async throws {
        let plane = try await World(mode).plane
        var first = Candidate("first", plane.client)
        var second = Candidate("second", plane.client)
        #expect(try await first.leads())
        #expect(try await second.leads() == false)
        // Renewed in time: the second begins to count again.
        #expect(try await first.leads(after: .seconds(10)))
        #expect(try await second.leads(after: .seconds(14)) == false)
        #expect(try await second.leads(after: .seconds(14)) == false)
        #expect(try await second.leads(after: .seconds(2)))
        #expect(try await first.leads(after: .seconds(2)) == false)
        let spec = try await lease(plane)
        #expect(spec["holderIdentity"] == "second")
        #expect(spec["leaseTransitions"] == 1)
        #expect(spec["leaseDurationSeconds"] == 15)
    }

    @Test("a clock that is wrong changes nothing: only durations are measured", arguments: Mode.tested)
    func wrongClock(_ mode: Mode) async throws {
        let plane = try await World(mode).plane
        var first = Candidate("first", plane.client)
        var second = Candidate("second", plane.client)
        #expect(try await first.leads())
        second.clock.jump(by: .seconds(3600))
        #expect(try await second.leads() == false)
        #expect(try await second.leads(after: .seconds(14)) == false)
    }

    @Test(
        "a lease that is given back is there for others at once, and another's is not given back",
        arguments: Mode.tested)
    func release(_ mode: Mode) async throws {
        let plane = try await World(mode).plane
        var first = Candidate("first", plane.client)
        var second = Candidate("second", plane.client)
        #expect(try await first.leads())
        #expect(try await second.leads() == false)
        await second.election.release()
        #expect(try await lease(plane)["holderIdentity"] == "first")
        await first.election.release()
        #expect(try await second.leads())
    }
}
