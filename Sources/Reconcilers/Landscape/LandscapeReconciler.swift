package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Keeps a landscape as declared: makes its revisions, runs their services, leads its routes to them, and starts a rollout
/// for each change. Pure; the story is in `LandscapePass`.
package struct LandscapeReconciler: Reconciler {
    package let settings: LoopSettings

    package init(settings: LoopSettings) { self.settings = settings }

    package var primary: ResourceInformation { Kinds.landscape }
    package var owner: FieldOwner { FieldOwner(loop: "landscape") }

    package var interests: [Interest] {
        [
            .child(Kinds.controllerRevision.resource), .child(Kinds.deployment.resource),
            .child(Kinds.service.resource),
            .child(Kinds.route.resource), .child(Kinds.rollout.resource), .child(Kinds.managedService.resource),
            .child(Kinds.configMap.resource), .child(Kinds.secret.resource),
            .reference(Kinds.configMap.resource) {
                Self.users(of: $0, Kinds.configMap.resource, "configMapKeyRef", $1)
            },
            .reference(Kinds.secret.resource) { Self.users(of: $0, Kinds.secret.resource, "secretKeyRef", $1) },
            .reference(Kinds.pod.resource) { pod, _ in
                // Of a pod that is ready there is nothing to tell.
                guard let landscape = pod.labels[Label.partOf], !PodView(pod).isReady else { return [] }
                return [PrimaryName(namespace: pod.namespace, name: landscape)]
            },
            .reference(Kinds.plan.resource) { plan, view in
                view.all(Kinds.landscape.resource).filter { landscape in
                    landscape.spec.elements("services").contains { $0["plan"]?.stringValue == plan.name }
                }.map(PrimaryName.init)
            },
            .reference(Kinds.route.resource) { route, _ in
                RouteView(route).landscapes.map { PrimaryName(namespace: $0.namespace, name: $0.name) }
            },
        ]
    }

    /// The landscapes that name a ConfigMap or Secret.
    private static func users(
        of document: Document, _ resource: GroupResource, _ member: String, _ view: View
    ) -> [PrimaryName] {
        view.list(Kinds.landscape.resource, document.namespace).filter { landscape in
            landscape.spec.elements("services").contains { service in
                ServiceConfiguration.references(service, resource, member).contains { $0.name == document.name }
            }
        }.map(PrimaryName.init)
    }

    package func reconcile(_ observed: Observation<LandscapeView>, now: Instant) -> Outcome {
        var pass = LandscapePass(observed, settings: settings, now: now)
        return pass.outcome()
    }
}
