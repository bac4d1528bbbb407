import Documents
import Seams
import Testing

@testable import APIServer

/// Which evictions a PodDisruptionBudget lets through.
@Suite struct EvictionTests {
    private static let start = Instant(rfc3339: "2026-01-01T00:10:00Z") ?? Instant(nanoseconds: 0)

    private func pod(_ name: String, isReady: Bool = true, made: String = "2026-01-01T00:00:00Z") -> Document {
        Document([
            "metadata": ["name": .string(name), "creationTimestamp": .string(made)],
            "status": ["conditions": [["type": "Ready", "status": isReady ? "True" : "False"]]],
        ])
    }

    private func decide(
        _ spec: JSON, _ pods: [Document], expected: Int? = nil, status: JSON = [:], evicting: Int = 0
    ) -> DisruptionBudget.Decision {
        let budget = Document(["metadata": ["name": "b", "generation": 3], "spec": spec, "status": status])
        return DisruptionBudget(budget: budget, pods: pods, expected: expected ?? pods.count, now: Self.start)
            .decide(pods[evicting])
    }

    private func isAllowed(_ decision: DisruptionBudget.Decision) -> Bool {
        if case .refused = decision { false } else { true }
    }

    @Test(
        arguments: [
            (["minAvailable": 2], 3, true), (["minAvailable": 3], 3, false), (["minAvailable": "50%"], 3, true),
            (["minAvailable": "67%"], 3, false), (["maxUnavailable": 1], 3, true), (["maxUnavailable": 0], 3, false),
            (["maxUnavailable": "1%"], 3, true), ([:], 1, true),
        ] as [(JSON, Int, Bool)])
    func countsAndPercentages(_ spec: JSON, _ count: Int, _ expected: Bool) {
        #expect(isAllowed(decide(spec, (0..<count).map { pod("p\($0)") })) == expected)
    }

    @Test func aPodThatIsMissingCountsAsUnavailable() {
        let two = [pod("a"), pod("b")]
        #expect(!isAllowed(decide(["maxUnavailable": 1], two, expected: 3)))
        #expect(isAllowed(decide(["maxUnavailable": 1], two, expected: 2)))
    }

    @Test func aPodThatWasJustEvictedDoesNotCount() {
        let pods = [pod("a"), pod("b"), pod("c")]
        func disrupted(_ name: String, _ time: String) -> JSON { ["disruptedPods": [name: .string(time)]] }
        let spec: JSON = ["minAvailable": 2]
        #expect(!isAllowed(decide(spec, pods, status: disrupted("b", "2026-01-01T00:09:00Z"))))
        #expect(isAllowed(decide(spec, pods, status: disrupted("b", "2026-01-01T00:07:00Z"))), "long ago")
        let again = [pod("a"), pod("b", made: "2026-01-01T00:09:30Z"), pod("c")]
        #expect(
            isAllowed(decide(spec, again, status: disrupted("b", "2026-01-01T00:09:00Z"))), "the name was given again")
    }

    @Test func aPodThatIsNotReadyGoesWhereEnoughOthersAre() {
        let pods = [pod("a", isReady: false), pod("b"), pod("c")]
        #expect(decide(["minAvailable": 2], pods) == .allowed)
        #expect(decide(["minAvailable": 3], pods) == .refused(needed: 3, healthy: 2))
        #expect(decide(["minAvailable": 3, "unhealthyPodEvictionPolicy": "AlwaysAllow"], pods) == .allowed)
    }

    @Test func whatIsAllowedIsWrittenDown() {
        guard case .allowedWith(let status) = decide(["minAvailable": 1], [pod("a"), pod("b"), pod("c")]) else {
            Issue.record("refused")
            return
        }
        #expect(
            status == [
                "disruptedPods": ["a": "2026-01-01T00:10:00Z"], "disruptionsAllowed": 1, "currentHealthy": 2,
                "desiredHealthy": 1, "expectedPods": 3, "observedGeneration": 3,
            ])
    }

    @Test func theSecondOfTwoEvictionsIsRefused() throws {
        let api = try TestAPI()
        for name in ["a", "b"] {
            try api.create(
                TestAPI.pods,
                [
                    "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "labels": ["app": "x"]],
                    "spec": ["nodeName": "n", "containers": [["name": "c", "image": "i"]]],
                ])
            _ = try api.pipeline.patch(
                try api.resource(TestAPI.pods), try api.key(TestAPI.pods, name),
                .merge(["status": ["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]]]),
                api.options, subresource: "status")
        }
        try api.create(
            WellKnown.podDisruptionBudgets,
            [
                "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": ["name": "b"],
                "spec": ["minAvailable": 1, "selector": ["matchLabels": ["app": "x"]]],
            ])
        _ = try api.pipeline.evict(try api.key(TestAPI.pods, "a"), DeleteRequest())
        #expect(try api.get(TestAPI.pods, "a").isBeingDeleted)
        let refusal = api.refusal { _ = try api.pipeline.evict(try api.key(TestAPI.pods, "b"), DeleteRequest()) }
        #expect(refusal?.code == 429)
        #expect(refusal?.causes.first?.message == "The disruption budget b needs 1 healthy pods and has 1 currently")
        #expect(try !api.get(TestAPI.pods, "b").isBeingDeleted)
    }

    @Test func aPodIsBoundOnce() throws {
        let api = try TestAPI()
        try api.create(
            TestAPI.pods,
            [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p"],
                "spec": ["containers": [["name": "c", "image": "i"]]],
            ])
        let binding = Document(["target": ["kind": "Node", "name": "n"]])
        let key = try api.key(TestAPI.pods, "p")
        _ = try api.pipeline.bind(key, binding, api.options)
        #expect(try api.get(TestAPI.pods, "p").spec["nodeName"] == "n")
        #expect(api.refusal { _ = try api.pipeline.bind(key, binding, api.options) }?.code == 409)
        #expect(api.refusal { _ = try api.pipeline.bind(key, Document([:]), api.options) }?.code == 422)
    }

    @Test func aPartOfAPodIsAllThatItsSubresourceChanges() throws {
        let api = try TestAPI()
        try api.create(
            TestAPI.pods,
            [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p"],
                "spec": ["containers": [["name": "c", "image": "i"]]],
            ])
        let patch: JSON = [
            "spec": [
                "nodeName": "n", "ephemeralContainers": [["name": "e", "image": "i"]],
                "containers": [["name": "c", "image": "other", "resources": ["requests": ["cpu": "1"]]]],
            ]
        ]
        func patched(_ part: String) throws -> Document {
            let resource = try api.resource(TestAPI.pods)
            let answer = try api.pipeline.patch(
                resource, try api.key(TestAPI.pods, "p"), .strategic(patch), api.options, subresource: part)
            return answer.document
        }
        let resized = try patched("resize")
        #expect(resized.spec["containers"]?.arrayValue?[0]["resources"] == ["requests": ["cpu": "1"]])
        #expect(resized.spec["containers"]?.arrayValue?[0]["image"] == "i")
        #expect(resized.spec["ephemeralContainers"] == nil)
        let debugged = try patched("ephemeralcontainers")
        #expect(debugged.spec["ephemeralContainers"]?.arrayValue?[0]["name"] == "e")
        #expect(debugged.spec["nodeName"] == nil)
    }
}
