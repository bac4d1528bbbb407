import APIServer
import Client
import Documents
import Reconcilers
import Simulation
import Store
import Testing

/// Loops that were shown an old prefix of history do no harm that outlives their catching up: nothing that belongs to a
/// newer UID is deleted, nothing is there twice, and the end is the same.
@Suite(.serialized) struct StaleTests {
    /// A landscape that was deleted and made again under the same name, and one that was promoted.
    static let stories: [Scenario] = [
        Scenario(description: "made again under the same name") { world in
            try await world.firstDeployment()
            try await world.plane.client.delete(
                ObjectKey(Kinds.landscape.resource, namespace: World.namespace, name: "shop"), options: DeleteOptions())
            try await world.pass(10)
            try await world.applyShop()
            try await world.pass(10)
        },
        Scenario(description: "promoted") { world in
            try await world.firstDeployment()
            try await world.applyShop(version: "2", rollout: ["keepPrevious": "5s"])
            try await world.pass(60)
        },
    ]

    @Test(arguments: stories) func oldPrefixDoesNoLastingHarm(_ story: Scenario) async throws {
        var prefix = 5
        var count = Int.max
        while prefix < count {
            let world = try await World()
            let recorder = try await world.plane.client.watch(
                world.plane.watchedResources, options: WatchOptions(visibility: .sequenced))
            try await story.play(world)
            let history = try recorder.poll()
            count = history.count
            let wanted = try await world.normalised()
            let identities = try await self.identities(world)

            let stale = StaleClient(
                world.plane.client, past: Array(history.prefix(prefix)), future: Array(history.dropFirst(prefix)))
            world.plane.restartLoops(with: stale)
            try await world.plane.settle()
            // Pods and everything with state behind it are still the same ones.
            let now = try await self.identities(world)
            #expect(
                identities.subtracting(now).isEmpty,
                "deleted after \(prefix) of \(count) events: \(identities.subtracting(now))")
            stale.catchUp(recorder)
            try await world.pass(120)
            let found = try await world.normalised()
            #expect(Lines.difference(wanted, found).isEmpty, "after \(prefix) of \(count) events")
            prefix += 17
        }
        #expect(count > 50)
    }

    private func identities(_ world: World) async throws -> Set<String> {
        var found: Set<String> = []
        for kind in [Kinds.landscape, Kinds.deployment, Kinds.replicaSet, Kinds.pod, Kinds.controllerRevision] {
            for document in try await world.list(kind) where !document.isBeingDeleted {
                found.insert("\(kind.kind) \(document.name) \(document.uid)")
            }
        }
        return found
    }
}
