package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Turns a Route into a Gateway API HTTPRoute of the same name, and tells how much of it the gateway has confirmed.
///
/// A change whose backends are not all there is not put in force: the HTTPRoute stays as it was until they are. So a
/// mistake in one backend takes nothing down.
package struct RouteReconciler: Reconciler {
    package static let controllerName = "espalier.dev/gateway"
    package static let programmed = "espalier.dev/Programmed"

    package init() {}

    package var primary: ResourceInformation { Kinds.route }
    package var owner: FieldOwner { FieldOwner(loop: "route") }

    package var interests: [Interest] {
        [
            .child(Kinds.httpRoute.resource),
            .reference(Kinds.service.resource, Self.users), .reference(Kinds.controllerRevision.resource, Self.users),
            .reference(Kinds.referenceGrant.resource) { grant, view in
                Self.neighbours(grant.namespace, view).flatMap { Self.routes(in: $0, using: grant.namespace, view) }
            },
        ]
    }

    /// The Routes that may lead to what a document of a landscape is about: those beside it, and those of namespaces that
    /// may refer to it.
    private static func users(of document: Document, _ view: View) -> [PrimaryName] {
        guard let landscape = document.labels[Label.partOf] else { return [] }
        return ([document.namespace] + neighbours(document.namespace, view)).flatMap { namespace in
            view.list(Kinds.route.resource, namespace).filter {
                RouteView($0).landscapes.contains { $0.name == landscape && $0.namespace == document.namespace }
            }.map(PrimaryName.init)
        }
    }

    private static func routes(in namespace: String, using other: String, _ view: View) -> [PrimaryName] {
        view.list(Kinds.route.resource, namespace).filter { route in
            RouteView(route).landscapes.contains { $0.namespace == other }
        }.map(PrimaryName.init)
    }

    /// The namespaces whose Routes a ReferenceGrant lets into `namespace`.
    private static func neighbours(_ namespace: String, _ view: View) -> [String] {
        var found: [String] = []
        for grant in view.list(Kinds.referenceGrant.resource, namespace) {
            for from in grant.spec.elements("from") where from.text("kind") == Kinds.route.kind {
                let name = from.text("namespace")
                if name != namespace, !found.contains(name) { found.append(name) }
            }
        }
        return found
    }

    package func reconcile(_ observed: Observation<RouteView>, now: Instant) -> Outcome {
        let route = observed.primary
        var outcome = Outcome()
        var pass = RoutePass(route, view: observed.view)
        let wanted = pass.httpRoutes()
        for document in wanted {
            let existing = observed.view.get(Kinds.httpRoute.resource, document.namespace, document.name)
            if pass.problems.isEmpty || existing?.controller?.uid != route.document.uid {
                outcome.children.append(.apply(Kinds.httpRoute.resource, document, because: "the route says so"))
            } else if let existing {
                outcome.children.append(.keep(Kinds.httpRoute.resource, existing, because: "a backend is missing"))
            }
        }
        let state = RouteState(route, wanted: wanted, pass: pass, observed: observed)
        outcome.status = state.status(now: now)
        return outcome
    }
}
