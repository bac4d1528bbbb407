import APIServer
import Client
import ControlLoop
import Documents
import Reconcilers
import Simulation
import Testing

/// What a rollout does when things do not go as hoped.
struct RolloutScenarioTests {
    private func canary(_ steps: JSON) -> JSON {
        ["strategy": "Canary", "steps": steps, "analysis": [["name": "errors", "errorRate": ["maxPercent": "1"]]]]
    }

    private func paused(_ mode: Mode, _ steps: JSON = [["setWeight": 20], ["pause": [:]]]) async throws -> World {
        let world = try await World(mode)
        try await world.firstDeployment()
        try await world.applyShop(version: "2", rollout: canary(steps))
        try await world.pass(30)
        return world
    }

    @Test(arguments: Mode.tested) func trafficLeavesARevisionOfWhichNothingIsUp(_ mode: Mode) async throws {
        let world = try await paused(mode)
        #expect(try await world.weights() == [80, 20])
        world.plane.node.fate = {
            $0.spec.elements("containers").first?.named("VERSION", in: "env")?.text("value") == "2"
                ? .neverReady : .ready
        }
        let pod = try #require(
            try await world.list(Kinds.pod).first {
                $0.spec.elements("containers").first?.named("VERSION", in: "env")?.text("value") == "2"
            })
        try await world.setReady(pod, false)
        try await world.pass(5)
        #expect(try await world.weights() == [100, 0])
        world.plane.node.fate = { _ in .ready }
        try await world.setReady(pod, true)
        try await world.pass(5)
        #expect(try await world.weights() == [80, 20])
    }

    /// A promoted revision has all the traffic; half of the one before cannot carry that. It may not have to for ever.
    @Test(arguments: [10, 700], Mode.tested)
    func anAbortAfterThePromotionWaitsForAllOfTheOldRevision(_ seconds: Int, _ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop(replicas: 3)
        try await world.pass(10)
        try await world.applyShop(version: "2", replicas: 3, rollout: ["keepPrevious": "5s"])
        try await world.pass(60)
        world.plane.node.fate = Self.only(nil)
        try await world.decide("shop-2", "Abort")
        try await world.pass(5)
        let first = try #require(try await world.list(Kinds.pod).first(where: Self.isOld))
        world.plane.node.fate = Self.only(first.name)
        try await world.pass(seconds)
        #expect(try await world.weights() == (seconds < 600 ? [100, 0] : [100]))
        #expect(try await world.active() == (seconds < 600 ? "shop-2" : "shop-1"))
        world.plane.node.fate = { _ in .ready }
        try await world.pass(30)
        #expect(try await world.active() == "shop-1")
        #expect(try await world.weights() == [100])
    }

    private static func isOld(_ pod: Document) -> Bool {
        pod.spec.elements("containers").first?.named("VERSION", in: "env")?.text("value") == "1"
    }

    /// Of the old revision's pods, only the one of this name becomes ready.
    private static func only(_ name: String?) -> @Sendable (Document) -> FakeNode.Fate {
        { isOld($0) && $0.name != name ? .neverReady : .ready }
    }

    @Test(arguments: Mode.tested) func weightWaitsForTheGateway(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.firstDeployment()
        world.plane.gateway.confirms = false
        try await world.applyShop(version: "2")
        try await world.pass(60)
        let rollout = try await world.get(Kinds.rollout, "shop-2")
        #expect(rollout.status.integer("step") == 0 && rollout.status.integer("weight") == 0)
        #expect(rollout.condition("Progressing")?.text("message") == "waiting for the gateway to confirm 10 percent")
        world.plane.gateway.confirms = true
        try await world.pass(5)
        #expect(try await world.get(Kinds.rollout, "shop-2").status.integer("step") == 1)
    }

    @Test(arguments: Mode.tested) func analysisWithoutMeasurementWaitsForADecision(_ mode: Mode) async throws {
        let world = try await paused(
            mode, [["setWeight": 20], ["analysis": ["duration": "1m"]], ["setWeight": 60], ["pause": [:]]])
        try await world.pass(600)
        let rollout = try await world.get(Kinds.rollout, "shop-2")
        #expect(rollout.condition("Stalled")?.text("reason") == "NoAnalysis")
        #expect(try await world.weights() == [80, 20])
        try await world.decide("shop-2", "Promote")
        try await world.pass(5)
        #expect(try await world.weights() == [40, 60])
        // A Promote counts once: it does not end the next pause as well.
        try await world.pass(60)
        #expect(try await world.weights() == [40, 60])
    }

    @Test(arguments: Mode.tested) func pauseHoldsAndItsTimeDoesNotCount(_ mode: Mode) async throws {
        let world = try await paused(
            mode, [["setWeight": 20], ["pause": ["duration": "2m"]], ["setWeight": 60], ["pause": [:]]])
        try await world.decide("shop-2", "Pause")
        try await world.pass(3600)
        #expect(try await world.weights() == [80, 20])
        try await world.decide("shop-2", "Continue")
        try await world.pass(60)
        #expect(try await world.weights() == [80, 20])
        try await world.pass(60)
        #expect(try await world.weights() == [40, 60])
    }

    @Test(arguments: Mode.tested) func abortAfterTheOldRevisionWentBringsItBackFirst(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.firstDeployment()
        try await world.applyShop(version: "2", rollout: ["strategy": "BlueGreen", "keepPrevious": "10s"])
        try await world.pass(60)
        #expect(try await world.list(Kinds.pod).count == 2)
        world.plane.node.startTime = .seconds(5)
        try await world.decide("shop-2", "Abort")
        try await world.pass(3)
        #expect(try await world.active() == "shop-2")
        #expect(try await world.weights() == [100, 0])
        try await world.pass(10)
        #expect(try await world.active() == "shop-1")
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Ready") == "False Aborted")
    }
}

/// What a rollout says when it cannot do what is wanted, and when nothing may happen without approval.
struct RolloutMessageScenarioTests {
    @Test(arguments: Mode.tested) func blueGreenWaitsInItsPauseBeforeItFlips(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.firstDeployment()
        world.plane.node.startTime = .seconds(20)
        try await world.applyShop(version: "2", rollout: ["strategy": "BlueGreen", "steps": [["pause": [:]]]])
        try await world.pass(10)
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Progressing") == "True Advancing")
        try await world.pass(600)
        #expect(try await world.condition(Kinds.rollout, "shop-2", "Progressing") == "True Paused")
        #expect(try await world.weights() == [100, 0])
        let message = try await world.get(Kinds.rollout, "shop-2").condition("Progressing")?.text("message") ?? ""
        #expect(message == "pausing at 0 percent; to go on: espalier rollout promote shop")
        try await world.decide("shop-2", "Promote")
        try await world.pass(5)
        #expect(try await world.active() == "shop-2")
        #expect(try await world.weights() == [100])
    }

    @Test(arguments: Mode.tested) func aTimedPauseBeginsWhenThereIsSomethingToLookAt(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.firstDeployment()
        world.plane.node.startTime = .seconds(50)
        let rollout: JSON = ["strategy": "BlueGreen", "steps": [["pause": ["duration": "1m"]]]]
        try await world.applyShop(version: "2", rollout: rollout)
        try await world.pass(100)
        #expect(try await world.active() == "shop-1")
        try await world.pass(15)
        #expect(try await world.active() == "shop-2")
    }

    @Test(arguments: Mode.tested) func aFirstRolloutHasNothingToGoBackTo(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop(command: "never-ready")
        try await world.pass(10)
        try await world.decide("shop-1", "Promote")
        try await world.pass(5)
        let promoted = try await world.get(Kinds.rollout, "shop-1").condition("Progressing")?.text("message") ?? ""
        #expect(promoted.contains("there is no step to promote"), "\(promoted)")
        try await world.decide("shop-1", "Abort")
        try await world.pass(5)
        let rollout = try await world.get(Kinds.rollout, "shop-1")
        #expect(rollout.condition("Stalled")?.text("reason") == "NothingToGoBackTo")
        let message = rollout.condition("Stalled")?.text("message") ?? ""
        #expect(message.contains("there is nothing to go back to; change the landscape or delete it"), "\(message)")
        #expect(try await world.condition(Kinds.landscape, "shop", "Stalled") == "True NothingToGoBackTo")
    }

    @Test(arguments: [false, true], Mode.tested)
    func goingBackToARevisionThatIsGoneIsSaid(isOnItsWayBack: Bool, _ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.firstDeployment()
        try await world.applyShop(version: "2", rollout: ["strategy": "BlueGreen", "keepPrevious": "10s"])
        try await world.pass(60)
        let record = ObjectKey(Kinds.controllerRevision.resource, namespace: World.namespace, name: "shop-1")
        world.plane.node.startTime = .seconds(30)
        if isOnItsWayBack {
            try await world.decide("shop-2", "Abort")
            try await world.pass(5)
        }
        try await world.plane.client.delete(record, options: DeleteOptions())
        try await world.pass(5)
        if !isOnItsWayBack { try await world.decide("shop-2", "Abort") }
        try await world.pass(60)
        let stalled = try await world.get(Kinds.rollout, "shop-2").condition("Stalled")
        #expect(stalled?.text("reason") == "RevisionGone")
        #expect(
            stalled?.text("message").contains("revision shop-1, to which it was to go back, no longer exists") == true)
        #expect(try await world.active() == "shop-2")
        #expect(try await world.weights().contains(100))
    }

    @Test(arguments: Mode.tested) func whatWasNeverLiveIsNotActiveAndTheStatusSaysWhy(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.applyShop(command: "never-ready")
        try await world.pass(700)
        let landscape = try await world.get(Kinds.landscape, "shop")
        #expect(landscape.status["revision"] == ["candidate": "shop-1"])
        #expect(landscape.status.elements("traffic").isEmpty)
        #expect(try await world.condition(Kinds.rollout, "shop-1", "Ready") == "False Stalled")
        let why = "service web: 0 of 1 pods ready (the readiness probe failed: it answers 503)"
        for message in [
            landscape.condition("Stalled")?.text("message") ?? "", landscape.condition("Ready")?.text("message") ?? "",
            try await world.get(Kinds.rollout, "shop-1").condition("Stalled")?.text("message") ?? "",
        ] { #expect(message.contains(why), "\(message)") }
    }

    @Test(arguments: Mode.tested) func aHostThatIsServedAlreadyIsNamed(_ mode: Mode) async throws {
        let world = try await World(mode)
        world.plane.gateway.refuses = { _ in "host shop.localhost is already served by landscape blue" }
        try await world.applyShop()
        try await world.pass(10)
        let landscape = try await world.get(Kinds.landscape, "shop")
        #expect(landscape.condition("Stalled")?.text("reason") == "RouteNotAccepted")
        #expect(landscape.condition("Ready")?.text("message").contains("already served by landscape blue") == true)
        world.plane.gateway.refuses = { _ in nil }
        try await world.applyShop(hosts: ["other.localhost"])
        try await world.pass(30)
        #expect(try await world.condition(Kinds.landscape, "shop", "Ready") == "True AsDeclared")
    }

    @Test(arguments: Mode.tested) func aProtectionThatIsNotThereIsRefused(_ mode: Mode) async throws {
        let world = try await World(mode)
        var shop = World.shop(version: "1", command: "/usr/bin/python3", replicas: 1, rollout: nil)
        shop["spec"]?["network"] = ["egress": "Denied"]
        try await world.apply(shop)
        try await world.pass(10)
        #expect(try await world.condition(Kinds.landscape, "shop", "Stalled") == "True NotEnforced")
        #expect(try await world.condition(Kinds.landscape, "shop", "Ready") == "False NotEnforced")
        #expect(try await world.list(Kinds.pod).isEmpty)
    }
}

/// What a Route does with weights people write, and with backends that are not there.
struct RouteScenarioTests {
    @Test(arguments: Mode.tested) func weightsArePutInForceAndConfirmed(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await Scenario.all[10].play(world)
        #expect(try await world.weights("front") == [10, 90])
        let route = try await world.get(Kinds.route, "front")
        #expect(
            route.status["traffic"] == [
                ["backend": "blue", "weight": 10, "acknowledged": 10],
                ["backend": "green", "weight": 90, "acknowledged": 90],
            ])
        #expect(route.isTrue("Ready"))
    }

    @Test(arguments: Mode.tested) func missingBackendLeavesTheLastGoodStateInForce(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await Scenario.all[10].play(world)
        _ = try await world.plane.client.patch(
            ObjectKey(Kinds.route.resource, namespace: World.namespace, name: "front"),
            .json([["op": "replace", "path": "/spec/rules/0/backends/0/service", "value": "nope"]]), subresource: nil,
            options: WriteOptions(fieldManager: "kubectl"))
        try await world.pass(5)
        #expect(try await world.weights("front") == [10, 90])
        let route = try await world.get(Kinds.route, "front")
        #expect(
            route.condition("ResolvedRefs")?.text("message")
                == "backend blue: landscape blue has no service nope with ports")
        #expect(!route.isTrue("Ready"))
    }
}

/// Deployments people write themselves.
struct DeploymentScenarioTests {
    private func deployment(_ command: String, replicas: Int = 4) -> JSON {
        [
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": ["name": "plain", "namespace": .string(World.namespace)],
            "spec": [
                "replicas": .integer(Int64(replicas)), "selector": ["matchLabels": ["app": "plain"]],
                "template": [
                    "metadata": ["labels": ["app": "plain"]],
                    "spec": [
                        "containers": [
                            ["name": "main", "image": "registry.example/main", "command": [.string(command)]]
                        ]
                    ],
                ],
            ],
        ]
    }

    @Test(arguments: Mode.tested) func changeRollsAndBadOneStops(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.apply(deployment("one"))
        try await world.pass(10)
        #expect(try await world.get(Kinds.deployment, "plain").status.integer("availableReplicas") == 4)
        try await world.apply(deployment("two"))
        for _ in 0..<20 {
            try await world.plane.run(for: .milliseconds(250))
            let pods = try await world.list(Kinds.pod).filter { !$0.isBeingDeleted }
            #expect(pods.count <= 5 && pods.filter { $0.isTrue("Ready") }.count >= 3)
        }
        try await world.pass(10)
        var stored = try await world.get(Kinds.deployment, "plain")
        #expect(stored.status.integer("updatedReplicas") == 4 && stored.status.integer("replicas") == 4)
        #expect(stored.annotations[Label.deploymentRevision] == "2")
        try await world.apply(deployment("never-ready"))
        try await world.pass(700)
        stored = try await world.get(Kinds.deployment, "plain")
        #expect(stored.status.integer("availableReplicas") == 3)
        #expect(stored.condition("Progressing")?.text("reason") == "ProgressDeadlineExceeded")
    }

    @Test(arguments: Mode.tested) func podsThatFailAreReplacedAfterARest(_ mode: Mode) async throws {
        let world = try await World(mode)
        world.plane.node.fate = { _ in .fails }
        try await world.apply(deployment("one", replicas: 2))
        try await world.pass(60)
        #expect(try await world.list(Kinds.pod).count == 2)
        world.plane.node.fate = { _ in .ready }
        try await world.pass(30)
        #expect(try await world.get(Kinds.deployment, "plain").status.integer("availableReplicas") == 2)
        #expect(try await world.list(Kinds.pod).count == 2)
    }

    @Test(arguments: Mode.tested) func deletedPodIsMadeAgain(_ mode: Mode) async throws {
        let world = try await World(mode)
        try await world.apply(deployment("one", replicas: 2))
        try await world.pass(10)
        let pod = try #require(try await world.list(Kinds.pod).first)
        try await world.plane.client.delete(
            ObjectKey(Kinds.pod.resource, namespace: World.namespace, name: pod.name), options: DeleteOptions())
        try await world.pass(10)
        let pods = try await world.list(Kinds.pod)
        #expect(pods.count == 2 && !pods.contains { $0.uid == pod.uid })
    }
}

extension World {
    /// Reports a pod ready or not, as its node would.
    func setReady(_ pod: Document, _ isReady: Bool) async throws {
        let now = plane.clock.now().rfc3339
        _ = try await plane.client.patch(
            ObjectKey(Kinds.pod.resource, namespace: pod.namespace, name: pod.name),
            .merge([
                "status": [
                    "conditions": [
                        ["type": "Ready", "status": isReady ? "True" : "False", "lastTransitionTime": .string(now)]
                    ]
                ]
            ]),
            subresource: .status, options: WriteOptions(fieldManager: "espalier-node"))
    }
}
