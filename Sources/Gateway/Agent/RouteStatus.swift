internal import Documents
internal import Seams

/// The status of an HTTPRoute in the words of Gateway API, and one condition of our own: `espalier.dev/Programmed`, which
/// is true once every event loop of the gateway serves by this generation of the route.
enum RouteStatus {
    static let controllerName = "espalier.dev/gateway"

    /// Pinned to the version the status is about: a route made again under the same name has the same generation, and
    /// must not be told that it is served.
    static func document(of route: RouteDocument, status: JSON) -> Document {
        let metadata: JSON = [
            "name": .string(route.name), "namespace": .string(route.namespace),
            "resourceVersion": .string(route.resourceVersion),
        ]
        return Document([
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "status": status,
        ])
    }

    /// The whole status that follows `current`. Depends on `now` only for conditions that change.
    static func status(of route: RouteDocument, verdict: RouteVerdict, after current: JSON, now: Instant) -> JSON {
        let accepted =
            verdict.refusal.map { ("False", $0.reason, $0.message) } ?? ("True", "Accepted", "the route is served")
        let resolved =
            verdict.unresolved.map { ("False", $0.reason, $0.message) } ?? (
                "True", "ResolvedRefs", "every backend exists"
            )
        let programmed =
            verdict.refusal == nil
            ? ("True", "Programmed", "the gateway serves by this generation")
            : ("False", "NotAccepted", "the gateway serves nothing for this route")
        let existing = current["parents"]?.arrayValue ?? []
        let parents: [JSON] = route.parents.map { reference in
            let old = existing.first {
                $0["controllerName"]?.stringValue == controllerName && $0["parentRef"] == reference
            }
            let conditions = [
                condition("Accepted", accepted, route, old, now), condition("ResolvedRefs", resolved, route, old, now),
                condition("espalier.dev/Programmed", programmed, route, old, now),
            ]
            return [
                "conditions": .array(conditions), "controllerName": .string(controllerName), "parentRef": reference,
            ]
        }
        // The list is atomic: what other gateways say stays in it.
        let others = existing.filter { $0["controllerName"]?.stringValue != controllerName }
        return ["parents": .array(others + parents)]
    }

    private static func condition(
        _ type: String, _ value: (status: String, reason: String, message: String), _ route: RouteDocument,
        _ parent: JSON?,
        _ now: Instant
    ) -> JSON {
        let old = parent?["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == type }
        let isSame = old?["status"]?.stringValue == value.status
        let since = isSame ? old?["lastTransitionTime"]?.stringValue : nil
        return [
            "lastTransitionTime": .string(since ?? now.rfc3339), "message": .string(value.message),
            "observedGeneration": .integer(route.generation), "reason": .string(value.reason),
            "status": .string(value.status),
            "type": .string(type),
        ]
    }
}
