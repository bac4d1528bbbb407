package import Client
package import Documents
package import Seams

/// A gateway without sockets: confirms every HTTPRoute a little after it changed, or only while it is let. Driven step by
/// step, by one owner.
package struct FakeGateway {
    private let client: any Client
    package private(set) var stream: (any WatchStream)?
    private var routes: [ObjectKey: Document] = [:]
    private var due: [ObjectKey: (generation: Int64, at: Instant)] = [:]
    /// Whether it confirms at all; a test that wants to look at the time before turns it off.
    package var confirms = true
    package var delay: Duration = .milliseconds(100)
    /// Why it will not serve a route; the default is that it serves all.
    package var refuses: @Sendable (Document) -> String? = { _ in nil }

    package init(client: any Client) { self.client = client }

    package mutating func step(now: Instant) async throws(APIError) -> Bool {
        let resource = GroupResource(group: "gateway.networking.k8s.io", resource: "httproutes")
        if stream == nil { stream = try await client.watch([resource], options: WatchOptions(visibility: .durable)) }
        for event in try stream?.poll() ?? [] {
            let key = ObjectKey(resource, namespace: event.document.namespace, name: event.document.name)
            routes[key] = event.kind == .deleted ? nil : event.document
            if event.kind == .deleted { due[key] = nil }
        }
        if !confirms { return false }
        for key in routes.keys.sorted() {
            guard let route = routes[key], confirmed(route) != route.generation else { continue }
            if due[key]?.generation != route.generation { due[key] = (route.generation, now + delay) }
            guard let at = due[key]?.at, at <= now else { continue }
            routes[key] = try await client.patch(
                key, .merge(["status": ["parents": [Self.parent(route, refusal: refuses(route), now: now)]]]),
                subresource: .status,
                options: WriteOptions(fieldManager: "espalier-gateway"))
            due[key] = nil
            return true
        }
        return false
    }

    /// When it will confirm the next route; `nil` where all are confirmed.
    package var nextTimer: Instant? { confirms ? due.values.map(\.at).min() : nil }

    private func confirmed(_ route: Document) -> Int64? {
        let conditions = route.status["parents"]?.arrayValue?.first?["conditions"]?.arrayValue ?? []
        return conditions.first { $0["type"]?.stringValue == "espalier.dev/Programmed" }?["observedGeneration"]?
            .integerValue
    }

    private static func parent(_ route: Document, refusal: String?, now: Instant) -> JSON {
        let conditions = ["Accepted", "ResolvedRefs", "espalier.dev/Programmed"].map { type -> JSON in
            let holds = refusal == nil || type == "ResolvedRefs"
            return [
                "type": .string(type), "status": holds ? "True" : "False",
                "observedGeneration": .integer(route.generation), "lastTransitionTime": .string(now.rfc3339),
                "reason": holds ? "Programmed" : "Conflicted", "message": .string(holds ? "" : refusal ?? ""),
            ]
        }
        return [
            "parentRef": ["group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "espalier"],
            "controllerName": "espalier.dev/gateway", "conditions": .array(conditions),
        ]
    }
}
