import Client
import Documents
import Testing

@testable import espalier

@Suite struct RolloutTests {
    private func landscape(generation: Int64, observed: Int64, rollout: String) -> Document {
        Document([
            "kind": "Landscape", "metadata": ["name": "shop", "generation": .integer(generation)],
            "status": ["observedGeneration": .integer(observed), "rollout": ["name": .string(rollout)]],
        ])
    }

    private func rollout(_ name: String, _ phase: String, ready: Bool = false) -> Document {
        Document([
            "kind": "Rollout", "metadata": ["name": .string(name)],
            "spec": [
                "landscape": ["name": "shop"], "from": "shop-1", "to": "shop-2",
                "steps": [["setWeight": 5], ["setWeight": 50]],
            ],
            "status": [
                "step": 1, "weight": 50,
                "conditions": [
                    ["type": "Ready", "status": ready ? "True" : "False", "message": "all traffic has moved"],
                    [
                        "type": "Progressing", "status": phase == "Advancing" ? "True" : "False",
                        "reason": .string(phase),
                        "message": "waiting for the gateway",
                    ],
                ],
            ],
        ])
    }

    private func event(_ document: Document, _ kind: WatchEvent.Kind = .modified) -> WatchEvent {
        let resource = document.kind == "Landscape" ? LandscapeProgress.resource : RolloutView.resource
        return WatchEvent(kind, resource, document)
    }

    @Test func theEndOfAnEarlierRolloutIsNotTheEndOfThisOne() {
        var progress = LandscapeProgress(name: "shop")
        progress.on(event(rollout("shop-1", "Promoted", ready: true)))
        progress.on(event(landscape(generation: 2, observed: 1, rollout: "shop-1")))
        #expect(progress.rollout == nil)
        #expect(progress.landscape.map(LandscapeProgress.waiting) == "shop: generation 2 was not looked at yet")
        progress.on(event(landscape(generation: 2, observed: 2, rollout: "shop-2")))
        #expect(progress.rollout == nil)
        progress.on(event(rollout("shop-2", "Advancing")))
        #expect(progress.rollout?.document.name == "shop-2")
        #expect(progress.rollout?.hasEnded == false)
        progress.on(event(landscape(generation: 2, observed: 2, rollout: "shop-2"), .deleted))
        #expect(progress.landscape == nil)
    }

    @Test func aDecisionThatWouldChangeNothingIsRefused() {
        var document = rollout("shop-2", "Advancing")
        #expect(RolloutView(document: document).reasonAgainst("Abort") == nil)
        #expect(RolloutView(document: document).reasonAgainst("Pause") == nil)
        #expect(RolloutView(document: document).reasonAgainst("PromoteFull") == nil)
        // Step 2 sets a weight: it waits for the gateway, not for a person.
        #expect(RolloutView(document: document).reasonAgainst("Promote")?.hasPrefix("no step waits") == true)
        document["spec"]?["steps"] = [["setWeight": 5], ["pause": [:]]]
        #expect(RolloutView(document: document).reasonAgainst("Promote") == nil)
        document["spec"]?["from"] = nil
        #expect(RolloutView(document: document).reasonAgainst("Abort")?.contains("no earlier revision") == true)
        let live = RolloutView(document: rollout("shop-2", "Promoted", ready: true))
        #expect(live.reasonAgainst("Abort")?.contains("`espalier rollout undo shop` goes back") == true)
        #expect(live.reasonAgainst("Retry") == nil)
        let failed = RolloutView(document: rollout("shop-2", "RolledBack"))
        #expect(failed.reasonAgainst("Promote")?.contains("`espalier rollout retry shop`") == true)
    }

    @Test func onlyOurOwnFieldsAreTakenBack() {
        func conflict(_ managers: String...) -> APIError {
            var error = APIError.conflict(LandscapeProgress.resource, "shop", "Apply failed")
            error.causes = managers.map {
                .init(
                    reason: "FieldManagerConflict", message: "conflict with \"\($0)\" using espalier.dev/v1alpha1",
                    field: ".spec")
            }
            return error
        }
        #expect(ApplyCommand.isOnlyOurs(conflict("espalier", "espalier")))
        #expect(!ApplyCommand.isOnlyOurs(conflict("espalier", "kubectl")))
        #expect(!ApplyCommand.isOnlyOurs(conflict("espalier-landscape")))
        #expect(!ApplyCommand.isOnlyOurs(conflict()))
        #expect(!ApplyCommand.isOnlyOurs(APIError.badRequest("conflict with \"espalier\" using")))
    }

    @Test(arguments: [("Promoted", true, false), ("RolledBack", false, true), ("Superseded", false, true)])
    func endings(phase: String, ready: Bool, failed: Bool) {
        let view = RolloutView(document: rollout("shop-2", phase, ready: ready))
        #expect(view.hasEnded)
        #expect(view.hasFailed == failed)
    }

    @Test func goingBackAfterAPromotionIsNoEnd() {
        var document = rollout("shop-2", "RollingBack")
        document["status"]?["finished"] = "2026-01-01T00:00:00Z"
        #expect(!RolloutView(document: document).hasEnded)
    }

    @Test func summary() {
        #expect(
            RolloutView(document: rollout("shop-2", "Advancing")).summary
                == "shop-2: shop-1 → shop-2, step 2 of 2, 50 % of the traffic: waiting for the gateway")
        #expect(
            RolloutView(document: rollout("shop-2", "Promoted", ready: true)).summary
                == "shop-2: shop-1 → shop-2, 50 % of the traffic: all traffic has moved")
    }
}
