import APIServer
import Client
import Documents
import Reconcilers
import Simulation
import Testing

/// What people do with a landscape, through the real API, in virtual time.
struct LandscapeScenarioTests {
    @Test(arguments: Mode.tested) func firstDeploymentGoesLiveWithoutTheLadder(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        #expect(try await world.condition(Kinds.landscape, "shop", "Ready") == "True AsDeclared")
        #expect(try await world.active() == "shop-1")
        let landscape = try await world.get(Kinds.landscape, "shop")
        #expect(landscape.status.text("url") == "http://shop.localhost:8080")
        #expect(landscape.status["traffic"] == [["revision": "shop-1", "weight": 100, "acknowledged": 100]])
        #expect(try await world.condition(Kinds.rollout, "shop-1", "Ready") == "True Promoted")
        #expect(try await world.weights() == [100])
        #expect(try await world.list(Kinds.pod).count == 2)
    }

    @Test(arguments: Mode.tested) func dependentStartsAfterWhatItDependsOn(_ mode: Mode) async throws {
        let world = try await World(mode)
        world.plane.node.startTime = .seconds(5)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(3))
        #expect(try await world.list(Kinds.pod).map { $0.labels[Label.component] } == ["api"])
        try await world.plane.run(for: .seconds(3))
        #expect(try await world.list(Kinds.pod).map { $0.labels[Label.component] ?? "" }.sorted() == ["api", "web"])
    }

    @Test(arguments: Mode.tested) func canaryClimbsAndIsPromoted(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        let api = try await world.list(Kinds.pod).first { $0.labels[Label.component] == "api" }
        try await world.applyShop(version: "2")
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Progressing") == "True Paused")
        #expect(try await world.weights() == [90, 10])
        #expect(try await world.active() == "shop-1")
        #expect(try await world.get(Kinds.rollout, "shop-2").status.integer("weight") == 10)
        try await world.decide("shop-2", "Promote", step: 1)
        try await world.plane.run(for: .seconds(10))
        #expect(try await world.weights() == [50, 50])
        try await world.plane.run(for: .seconds(100))
        #expect(try await world.weights() == [50, 50])
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Ready") == "True Promoted")
        #expect(try await world.active() == "shop-2")
        #expect(try await world.weights() == [100])
        // What did not change was not restarted; the old web stays warm, and goes later.
        #expect(try await world.list(Kinds.pod).contains { $0.uid == api?.uid })
        #expect(try await world.list(Kinds.pod).count == 3)
        try await world.plane.run(for: .seconds(700))
        #expect(try await world.list(Kinds.pod).count == 2)
    }

    @Test(arguments: Mode.tested) func abortGoesBackAtOnceAndRetryTriesAgain(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        try await world.applyShop(version: "2")
        try await world.plane.run(for: .seconds(30))
        try await world.decide("shop-2", "Abort")
        try await world.plane.run(for: .seconds(1))
        #expect(try await world.weights() == [100])
        #expect(try await world.active() == "shop-1")
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Ready") == "False Aborted")
        #expect(try await world.condition(Kinds.landscape, "shop", "Ready") == "False RolledBack")
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.list(Kinds.pod).count == 2)
        try await world.decide("shop-2", "Retry")
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.weights() == [90, 10])
    }

    @Test(arguments: Mode.tested) func undoAfterPromotionIsImmediate(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        try await world.applyShop(version: "2")
        try await world.plane.run(for: .seconds(30))
        try await world.decide("shop-2", "PromoteFull")
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.active() == "shop-2")
        // By the recorded spec, as the command line does it.
        let current = try await world.get(Kinds.landscape, "shop")
        let first = try await world.get(Kinds.controllerRevision, "shop-1")
        let spec = try #require(LandscapeRevision.spec(of: first, keepingFrom: current.spec))
        try await world.apply([
            "apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape",
            "metadata": ["name": "shop", "namespace": .string(World.namespace)], "spec": spec,
        ])
        try await world.plane.run(for: .seconds(1))
        #expect(try await world.active() == "shop-1")
        #expect(try await world.weights() == [100])
        #expect(try await world.get(Kinds.rollout, "shop-1-2").spec["steps"] == nil)
        #expect(try await world.list(Kinds.controllerRevision).count == 2)
    }

    @Test(arguments: Mode.tested) func abortAfterPromotionGoesBackToTheWarmRevision(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        try await world.applyShop(version: "2")
        try await world.plane.run(for: .seconds(30))
        try await world.decide("shop-2", "PromoteFull")
        try await world.plane.run(for: .seconds(30))
        try await world.decide("shop-2", "Abort")
        try await world.plane.run(for: .seconds(2))
        #expect(try await world.active() == "shop-1")
        #expect(try await world.weights() == [100])
    }

    @Test(arguments: Mode.tested) func versionThatNeverGetsReadyIsRolledBack(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        try await world.applyShop(version: "2", command: "never-ready")
        try await world.plane.run(for: .seconds(500))
        #expect(try await world.weights() == [100, 0])
        try await world.plane.run(for: .seconds(200))
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Ready") == "False ProgressDeadlineExceeded")
        #expect(try await world.active() == "shop-1")
        #expect(try await world.weights() == [100])
        let message = try await world.get(Kinds.landscape, "shop").condition("Stalled")?.text("message") ?? ""
        #expect(
            message.contains("service web: 0 of 1 pods ready") && message.contains("espalier rollout retry shop"),
            "\(message)")
        // A fixed version is a new revision and goes its own way.
        try await world.applyShop(version: "3")
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.weights() == [90, 10])
    }

    @Test(arguments: Mode.tested) func configurationIsPartOfTheRevision(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        try await world.configMap("2")
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Progressing") == "True Paused")
        let copies = try await world.list(Kinds.configMap).filter { $0.name.hasPrefix("shop-shop-code-") }
        #expect(copies.count == 2)
        let pods = try await world.list(Kinds.pod).filter { $0.labels[Label.component] == "web" }
        let mounted = Set(pods.compactMap { $0.spec.elements("volumes").first?["configMap"]?.text("name") })
        #expect(mounted == Set(copies.map(\.name)))
    }

    @Test(arguments: Mode.tested) func missingConfigurationIsSaidAndThenFound(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.plane.client.delete(
            ObjectKey(Kinds.configMap.resource, namespace: World.namespace, name: "shop-code"), options: DeleteOptions()
        )
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        #expect(try await world.condition(Kinds.landscape, "shop", "ResolvedRefs") == "False RefNotFound")
        #expect(try await world.list(Kinds.pod).isEmpty)
        try await world.configMap("1")
        try await world.plane.run(for: .seconds(10))
        #expect(try await world.condition(Kinds.landscape, "shop", "Ready") == "True AsDeclared")
    }

    @Test(arguments: Mode.tested) func scaleChangesNoRevision(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        try await world.applyShop(replicas: 3)
        try await world.plane.run(for: .seconds(10))
        #expect(try await world.list(Kinds.pod).count == 4)
        #expect(try await world.list(Kinds.controllerRevision).count == 1)
        try await world.applyShop(replicas: 2)
        try await world.plane.run(for: .seconds(10))
        #expect(try await world.list(Kinds.pod).count == 3)
        #expect(try await world.condition(Kinds.landscape, "shop", "Ready") == "True AsDeclared")
    }

    @Test(arguments: Mode.tested) func newerChangeSupersedesTheOneOnItsWay(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        try await world.applyShop(version: "2")
        try await world.plane.run(for: .seconds(30))
        try await world.applyShop(version: "3")
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Ready") == "False Superseded")
        #expect(try await world.get(Kinds.rollout, "shop-3").spec.text("from") == "shop-1")
        #expect(try await world.list(Kinds.pod).count == 3)
        // Taking the change back ends the attempt.
        try await world.applyShop(version: "1")
        try await world.plane.run(for: .seconds(30))
        #expect(try await world.active() == "shop-1")
        let landscape = try await world.get(Kinds.landscape, "shop")
        #expect(landscape.isTrue("Ready"), "\(landscape.status.text(indent: true))")
        #expect(try await world.list(Kinds.pod).count == 2)
    }

    @Test(arguments: Mode.tested) func recreateStopsTheOldBeforeItStartsTheNew(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop(rollout: ["strategy": "Recreate"])
        try await world.plane.run(for: .seconds(10))
        world.plane.node.startTime = .seconds(3)
        try await world.applyShop(version: "2", rollout: ["strategy": "Recreate"])
        for _ in 0..<20 {
            try await world.plane.run(for: .milliseconds(500))
            let web = try await world.list(Kinds.pod).filter { $0.labels[Label.component] == "web" }
            #expect(Set(web.map { $0.labels[Label.hash] ?? "" }).count <= 1)
        }
        #expect(try await world.active() == "shop-2")
        #expect(try await world.condition(Kinds.landscape, "shop", "Ready") == "True AsDeclared")
    }

    @Test(arguments: Mode.tested) func deletionLeavesNothing(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop()
        try await world.plane.run(for: .seconds(10))
        try await world.plane.client.delete(
            ObjectKey(Kinds.landscape.resource, namespace: World.namespace, name: "shop"), options: DeleteOptions())
        try await world.plane.run(for: .seconds(10))
        for kind in [
            Kinds.landscape, Kinds.rollout, Kinds.route, Kinds.httpRoute, Kinds.deployment, Kinds.replicaSet, Kinds.pod,
            Kinds.service,
            Kinds.endpointSlice, Kinds.controllerRevision,
        ] {
            #expect(try await world.list(kind).isEmpty, "\(kind.kind)")
        }
        #expect(try await world.list(Kinds.configMap).map(\.name) == ["shop-code"])
        try await world.plane.run(for: .seconds(4000))
        #expect(try await world.list(Kinds.event).isEmpty)
    }

    @Test(arguments: Mode.tested) func kindsWithoutALoopSaySo(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.apply([
            "apiVersion": "espalier.dev/v1alpha1", "kind": "ManagedService",
            "metadata": ["name": "db", "namespace": .string(World.namespace)],
            "spec": ["engine": "PostgreSQL", "version": "15"],
        ])
        try await world.plane.run(for: .seconds(1))
        #expect(try await world.condition(Kinds.managedService, "db", "Stalled") == "True NoReconciler")
        #expect(try await world.condition(Kinds.managedService, "db", "Ready") == "False NoReconciler")
    }
}
