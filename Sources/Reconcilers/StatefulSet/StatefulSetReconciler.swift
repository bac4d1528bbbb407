package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Keeps pods with names that stay, each with the same volumes whenever it is made again. Claims belong to nobody: they
/// outlive pod and set, unless the set's retention policy says otherwise.
package struct StatefulSetReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.statefulSet }
    package var owner: FieldOwner { FieldOwner(loop: "statefulset") }

    package var interests: [Interest] {
        [
            .child(Kinds.pod.resource), .child(Kinds.controllerRevision.resource),
            .reference(Kinds.claim.resource) { claim, view in
                view.list(Kinds.statefulSet.resource, claim.namespace).filter { set in
                    let set = StatefulSetView(set)
                    return set.claimTemplates.contains {
                        set.ordinal(of: claim.name, prefix: "\($0["metadata"]?.text("name") ?? "")-") != nil
                    }
                }.map(PrimaryName.init)
            },
        ]
    }

    package func reconcile(_ observed: Observation<StatefulSetView>, now: Instant) -> Outcome {
        if observed.primary.document.isBeingDeleted { return Outcome() }
        var pass = StatefulSetPass(observed, now: now)
        pass.run()
        return pass.outcome
    }
}
