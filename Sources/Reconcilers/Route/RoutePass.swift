internal import Client
internal import ControlLoop
internal import Documents

/// Resolves the backends of one Route and renders its HTTPRoutes. Every default is written out, so that what the server
/// stores is what was wanted, byte for byte. A value used once.
struct RoutePass {
    let route: RouteView
    let view: View
    private(set) var problems: [String] = []

    init(_ route: RouteView, view: View) {
        self.route = route
        self.view = view
    }

    /// The HTTPRoute of the Route, and the one of its preview host where it has one.
    mutating func httpRoutes() -> [Document] {
        if route.document.spec["tcpPort"] != nil { return [] }
        let rules = route.rules.map { rule in self.rule(rule, route.backends(rule)) }
        var documents = [document(route.document.name, route.hosts, rules)]
        if let host = route.previewHost, let active = route.active {
            let preview = route.rules.compactMap { rule -> JSON? in
                guard let backend = route.backends(rule).first(where: { $0.name != active }) else { return nil }
                let alone = RouteView.Backend(
                    name: backend.name, landscape: backend.landscape, namespace: backend.namespace,
                    service: backend.service, port: backend.port, revision: backend.revision, weight: 100)
                return self.rule(rule, [alone])
            }
            documents.append(document(ChildName.stable([route.document.name, "preview"]), [host], preview))
        }
        return documents
    }

    private func document(_ name: String, _ hosts: [String], _ rules: [JSON]) -> Document {
        var labels: [String: String] = [:]
        labels[Label.partOf] = route.document.labels[Label.partOf]
        var document = Kinds.httpRoute.document(namespace: route.document.namespace, name: name, labels: labels)
        document["spec"] = [
            "parentRefs": [["group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "espalier"]],
            "hostnames": .array(hosts.map(JSON.string)), "rules": .array(rules),
        ]
        return document
    }

    private mutating func rule(_ rule: JSON, _ backends: [RouteView.Backend]) -> JSON {
        let references = backends.map { reference($0) }
        let isWhole = references.allSatisfy { $0 != nil }
        var json: JSONObject = [
            "matches": .array(matches(rule)), "backendRefs": .array(isWhole ? references.compactMap { $0 } : []),
        ]
        if rule["stripPrefix"]?.boolValue == true {
            json["filters"] = [
                [
                    "type": "URLRewrite",
                    "urlRewrite": ["path": ["type": "ReplacePrefixMatch", "replacePrefixMatch": "/"]],
                ]
            ]
        }
        if let timeout = rule["timeout"] { json["timeouts"] = ["request": timeout] }
        if let retries = rule["retries"] { json["retry"] = ["attempts": retries] }
        return .object(json)
    }

    private func matches(_ rule: JSON) -> [JSON] {
        let matches = rule.elements("matches")
        return (matches.isEmpty ? [[:]] : matches).map { match in
            var json: JSONObject = [
                "path": ["type": match["path"]?["type"] ?? "PathPrefix", "value": match["path"]?["value"] ?? "/"]
            ]
            json["method"] = match["method"]
            let headers = match.elements("headers").map { header -> JSON in
                ["type": "Exact", "name": header["name"] ?? "", "value": header["value"] ?? ""]
            }
            if !headers.isEmpty { json["headers"] = .array(headers) }
            return .object(json)
        }
    }

    /// The Service and port of a backend; `nil`, and a problem, where something of it is not there.
    private mutating func reference(_ backend: RouteView.Backend) -> JSON? {
        guard isAllowed(backend) else {
            return missing(
                backend,
                "namespace \(backend.namespace) has no ReferenceGrant for Routes of \(route.document.namespace)")
        }
        var name = ChildName.stable([backend.landscape, backend.service])
        if let revision = backend.revision {
            let recorded = view.get(Kinds.controllerRevision.resource, backend.namespace, revision)
                .flatMap(LandscapeRevision.init)
            guard let recorded else { return missing(backend, "revision \(revision) does not exist") }
            guard let service = recorded.service(backend.service) else {
                return missing(backend, "revision \(revision) has no service \(backend.service)")
            }
            name = service.objectName
        }
        guard let service = view.get(Kinds.service.resource, backend.namespace, name),
            service.labels[Label.partOf] == backend.landscape
        else { return missing(backend, "landscape \(backend.landscape) has no service \(backend.service) with ports") }
        let ports = service.spec.elements("ports")
        guard let port = backend.port.map({ wanted in ports.first { $0.text("name") == wanted } }) ?? ports.first,
            let number = port["port"]
        else { return missing(backend, "service \(backend.service) has no port \(backend.port ?? "")") }
        var json: JSONObject = ["group": "", "kind": "Service", "name": .string(name)]
        if backend.namespace != route.document.namespace { json["namespace"] = .string(backend.namespace) }
        json["port"] = number
        json["weight"] = .integer(Int64(backend.weight))
        return .object(json)
    }

    private mutating func missing(_ backend: RouteView.Backend, _ what: String) -> JSON? {
        let text = "backend \(backend.name): \(what)"
        if !problems.contains(text) { problems.append(text) }
        return nil
    }

    private func isAllowed(_ backend: RouteView.Backend) -> Bool {
        if backend.namespace == route.document.namespace { return true }
        return view.list(Kinds.referenceGrant.resource, backend.namespace).contains { grant in
            grant.spec.elements("from").contains {
                $0.text("group") == Kinds.route.resource.group && $0.text("kind") == Kinds.route.kind
                    && $0.text("namespace") == route.document.namespace
            }
                && grant.spec.elements("to").contains {
                    $0.text("group") == Kinds.landscape.resource.group && $0.text("kind") == Kinds.landscape.kind
                        && ($0["name"] == nil || $0.text("name") == backend.landscape)
                }
        }
    }
}
