package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Says of a kind whose loop does not run here that nothing will happen: `Ready=False`, `Stalled=True`.
package struct NoReconciler: Reconciler {
    package let primary: ResourceInformation

    package init(_ primary: ResourceInformation) { self.primary = primary }

    package var owner: FieldOwner { FieldOwner(loop: "platform") }
    package var interests: [Interest] { [] }

    package func reconcile(_ observed: Observation<PlainView>, now: Instant) -> Outcome {
        let document = observed.primary.document
        var conditions = Conditions(previous: document.status["conditions"], generation: document.generation, now: now)
        let message = "no loop for \(primary.kind) runs here; the document is kept, and nothing acts on it"
        conditions.set("Ready", .no, "NoReconciler", message)
        conditions.set("Stalled", .yes, "NoReconciler", message)
        var outcome = Outcome()
        outcome.status = ["observedGeneration": .integer(document.generation), "conditions": conditions.json]
        return outcome
    }
}
