internal import ControlLoop
package import Documents

/// A Route as the loops read it.
package struct RouteView: DocumentView {
    /// One backend of one rule.
    package struct Backend: Sendable, Equatable {
        package let name: String
        package let landscape: String
        package let namespace: String
        package let service: String
        package let port: String?
        package let revision: String?
        /// Percent; 100 where a backend stands alone.
        package let weight: Int
    }

    /// A landscape that a backend names.
    package struct Target: Sendable, Hashable {
        package let namespace: String
        package let name: String
    }

    package let document: Document
    package init(_ document: Document) { self.document = document }

    package var rules: [JSON] { document.spec.elements("rules") }
    package var hosts: [String] { document.spec.elements("hosts").compactMap(\.stringValue) }
    package var active: String? { document.spec["blueGreen"]?["active"]?.stringValue }
    package var previewHost: String? { document.spec["blueGreen"]?["previewHost"]?.stringValue }

    package func backends(_ rule: JSON) -> [Backend] {
        let backends = rule.elements("backends")
        return backends.map { backend in
            let name = backend.text("name")
            let alone = backends.count == 1 ? 100 : 0
            let weight = active.map { $0.isSameBytes(as: name) ? 100 : 0 } ?? backend.integer("weight") ?? alone
            return Backend(
                name: name, landscape: backend["landscape"]?.text("name") ?? "",
                namespace: backend["landscape"]?["namespace"]?.stringValue ?? document.namespace,
                service: backend.text("service"), port: backend["port"]?.stringValue,
                revision: backend["revision"]?.stringValue, weight: weight)
        }
    }

    package var landscapes: [Target] {
        var seen: [Target] = []
        for backend in rules.flatMap(backends) {
            let target = Target(namespace: backend.namespace, name: backend.landscape)
            if !seen.contains(target) { seen.append(target) }
        }
        return seen
    }

    /// Whether the gateway has confirmed the route as it is declared now.
    package var isConfirmed: Bool {
        let condition = document.condition("Programmed")
        return document.isTrue("Programmed") && condition?["observedGeneration"]?.integerValue == document.generation
    }

    /// Percent of a backend that the gateway has confirmed.
    package func acknowledged(_ backend: String) -> Int? {
        document.status.elements("traffic").first { $0.text("backend").isSameBytes(as: backend) }?.integer(
            "acknowledged")
    }
}
