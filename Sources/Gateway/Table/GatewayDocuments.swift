package import Documents
internal import Seams

/// An HTTPRoute as the gateway reads it. Taken from a document once, when the document changes.
package struct RouteDocument: Sendable, Equatable {
    package struct Backend: Sendable, Equatable {
        package var namespace: String
        package var name: String
        package var port: Int
        package var weight: Int
        /// Neither a Service of the core group nor left out.
        package var foreignKind: String?
    }

    package struct Match: Sendable, Equatable {
        package var path: RoutingTable.Path
        package var method: String?
        package var headers: [RoutingTable.Header]
        package var parameters: [RoutingTable.Header]
    }

    package struct Rule: Sendable, Equatable {
        package var matches: [Match]
        package var backends: [Backend]
        package var rewrite: RoutingTable.PathRewrite?
        package var requestTimeoutMilliseconds = 0
        package var backendTimeoutMilliseconds = 0
        package var retries = 0
    }

    package var namespace: String
    package var name: String
    package var uid: String
    package var resourceVersion: String
    package var generation: Int64
    /// RFC 3339, which sorts as time does.
    package var created: String
    /// Empty: every host.
    package var hosts: [String]
    package var rules: [Rule]
    /// Asked for, and not known here: the route is refused rather than served half.
    package var unsupported: [String] = []
    /// The parents the route names that are this gateway; one that names none gets ours.
    package var parents: [JSON]
    /// What the document's status says now.
    package var status: JSON

    package var title: String { "\(namespace)/\(name)" }
    /// The landscape the route is part of; empty where it is part of none.
    package var landscape: String
    /// How people know the route: by its landscape, where it has one.
    package var owner: String {
        landscape.isEmpty
            ? "HTTPRoute \(title)" : "landscape \(landscape) of namespace \(namespace) (HTTPRoute \(title))"
    }

    /// `nil` for a route that names parents and none of them is this gateway.
    package init?(_ document: Document, gateway: String = "espalier") {
        namespace = document.namespace
        name = document.name
        uid = document.uid
        resourceVersion = document.resourceVersion
        landscape = document.labels["app.kubernetes.io/part-of"] ?? ""
        generation = document.generation
        created = document.creationTimestamp
        status = document.status
        let spec = document.spec
        let named = spec["parentRefs"]?.arrayValue ?? []
        parents = named.filter { parent in
            parent["name"]?.stringValue == gateway && (parent["kind"]?.stringValue ?? "Gateway") == "Gateway"
        }
        if named.isEmpty {
            parents = [["group": "gateway.networking.k8s.io", "kind": "Gateway", "name": .string(gateway)]]
        } else if parents.isEmpty {
            return nil
        }
        hosts = (spec["hostnames"]?.arrayValue ?? []).compactMap { $0.stringValue?.asciiLowercased }
        rules = []
        for (index, rule) in (spec["rules"]?.arrayValue ?? []).enumerated() {
            rules.append(Self.rule(rule, namespace, "spec.rules[\(index)]", &unsupported))
        }
    }

    private static func rule(_ json: JSON, _ namespace: String, _ path: String, _ unsupported: inout [String]) -> Rule {
        var rule = Rule(matches: [], backends: [])
        for (index, match) in (json["matches"]?.arrayValue ?? []).enumerated() {
            rule.matches.append(Self.match(match, "\(path).matches[\(index)]", &unsupported))
        }
        if rule.matches.isEmpty { rule.matches = [Match(path: .prefix(""), method: nil, headers: [], parameters: [])] }
        for (index, backend) in (json["backendRefs"]?.arrayValue ?? []).enumerated() {
            if !(backend["filters"]?.arrayValue ?? []).isEmpty {
                unsupported.append("\(path).backendRefs[\(index)].filters")
            }
            let kind = backend["kind"]?.stringValue ?? "Service"
            let group = backend["group"]?.stringValue ?? ""
            rule.backends.append(
                Backend(
                    namespace: backend["namespace"]?.stringValue ?? namespace, name: backend["name"]?.stringValue ?? "",
                    port: Int(backend["port"]?.integerValue ?? 0), weight: Int(backend["weight"]?.integerValue ?? 1),
                    foreignKind: kind == "Service" && group.isEmpty ? nil : kind))
        }
        for (index, filter) in (json["filters"]?.arrayValue ?? []).enumerated() {
            let field = "\(path).filters[\(index)]"
            guard filter["type"]?.stringValue == "URLRewrite", let rewrite = filter["urlRewrite"],
                rewrite["hostname"] == nil
            else {
                unsupported.append("\(field) (\(filter["type"]?.stringValue ?? "no type"))")
                continue
            }
            switch rewrite["path"]?["type"]?.stringValue {
            case "ReplacePrefixMatch":
                rule.rewrite = .replacePrefix(
                    (rewrite["path"]?["replacePrefixMatch"]?.stringValue ?? "").withoutLastSlash)
            case "ReplaceFullPath": rule.rewrite = .replaceFull(rewrite["path"]?["replaceFullPath"]?.stringValue ?? "/")
            default: break
            }
        }
        rule.requestTimeoutMilliseconds = milliseconds(json["timeouts"]?["request"])
        rule.backendTimeoutMilliseconds = milliseconds(json["timeouts"]?["backendRequest"])
        rule.retries = Int(min(max(0, json["retry"]?["attempts"]?.integerValue ?? 0), Int64(GatewayLimits.retries)))
        return rule
    }

    private static func milliseconds(_ json: JSON?) -> Int {
        guard let duration = json?.stringValue.flatMap(GatewayDuration.parse) else { return 0 }
        return Int(duration.wholeNanoseconds / 1_000_000)
    }

    private static func match(_ json: JSON, _ field: String, _ unsupported: inout [String]) -> Match {
        let value = json["path"]?["value"]?.stringValue ?? "/"
        let path: RoutingTable.Path
        switch json["path"]?["type"]?.stringValue ?? "PathPrefix" {
        case "Exact": path = .exact(value)
        case "PathPrefix": path = .prefix(value.withoutLastSlash)
        case let other:
            unsupported.append("\(field).path.type (\(other))")
            path = .exact(value)
        }
        return Match(
            path: path, method: json["method"]?.stringValue,
            headers: pairs(json["headers"], "\(field).headers", &unsupported) { $0.asciiLowercased },
            parameters: pairs(json["queryParams"], "\(field).queryParams", &unsupported) { $0 })
    }

    private static func pairs(
        _ json: JSON?, _ field: String, _ unsupported: inout [String], _ name: (String) -> String
    ) -> [RoutingTable.Header] {
        var result: [RoutingTable.Header] = []
        for (index, entry) in (json?.arrayValue ?? []).enumerated() {
            let type = entry["type"]?.stringValue ?? "Exact"
            if type != "Exact" { unsupported.append("\(field)[\(index)].type (\(type))") }
            result.append(
                RoutingTable.Header(
                    name: name(entry["name"]?.stringValue ?? ""), value: entry["value"]?.stringValue ?? ""))
        }
        return result.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
}

/// A Service as the gateway reads it.
package struct ServiceDocument: Sendable, Equatable {
    package struct Port: Sendable, Equatable {
        package var name: String
        package var port: Int
        package var isTCP: Bool
        package var isUDP = false
    }

    package var namespace: String
    package var name: String
    /// Empty for a headless Service, and before the address has been given.
    package var clusterIP: String
    package var ports: [Port]
    /// The landscape it is part of; empty for none.
    package var landscape: String
    /// `sessionAffinity: ClientIP`: how long a client stays with its endpoint. 0: not at all.
    package var affinitySeconds = 0

    package init(_ document: Document) {
        namespace = document.namespace
        name = document.name
        if document.spec["sessionAffinity"]?.stringValue == "ClientIP" {
            let seconds = document.spec["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"]?.integerValue
            affinitySeconds = Int(min(max(1, seconds ?? 10_800), 86_400))
        }
        landscape = document.labels["app.kubernetes.io/part-of"] ?? ""
        let address = document.spec["clusterIP"]?.stringValue ?? ""
        clusterIP = address == "None" ? "" : address
        ports = (document.spec["ports"]?.arrayValue ?? []).map { port in
            Port(
                name: port["name"]?.stringValue ?? "", port: Int(port["port"]?.integerValue ?? 0),
                isTCP: (port["protocol"]?.stringValue ?? "TCP") == "TCP", isUDP: port["protocol"]?.stringValue == "UDP")
        }
    }
}

/// An EndpointSlice as the gateway reads it: the ready addresses and the ports they share.
package struct EndpointsDocument: Sendable, Equatable {
    package var namespace: String
    package var name: String
    package var service: String
    package var addresses: [String]
    package var ports: [ServiceDocument.Port]

    package init(_ document: Document) {
        namespace = document.namespace
        name = document.name
        service = document.labels["kubernetes.io/service-name"] ?? ""
        addresses = []
        for endpoint in document["endpoints"]?.arrayValue ?? [] {
            let conditions = endpoint["conditions"]
            guard conditions?["ready"]?.boolValue ?? true, !(conditions?["terminating"]?.boolValue ?? false) else {
                continue
            }
            addresses += (endpoint["addresses"]?.arrayValue ?? []).compactMap(\.stringValue)
        }
        ports = (document["ports"]?.arrayValue ?? []).map { port in
            ServiceDocument.Port(
                name: port["name"]?.stringValue ?? "", port: Int(port["port"]?.integerValue ?? 0),
                isTCP: (port["protocol"]?.stringValue ?? "TCP") == "TCP", isUDP: port["protocol"]?.stringValue == "UDP")
        }
    }
}

/// A ReferenceGrant as the gateway reads it: routes of other namespaces may lead to Services of this one. A grant to
/// Routes for a Landscape counts too, for the Services that are part of the landscape: the HTTPRoutes are made from them.
package struct GrantDocument: Sendable, Equatable {
    /// Namespaces whose HTTPRoutes, or Routes, the grant is for.
    private var httpRoutesFrom: [String] = []
    private var routesFrom: [String] = []
    /// Services and landscapes it opens; an empty name opens all.
    private var services: [String] = []
    private var landscapes: [String] = []
    package var namespace: String
    package var name: String

    package init(_ document: Document) {
        namespace = document.namespace
        name = document.name
        for from in document.spec["from"]?.arrayValue ?? [] {
            let namespace = from["namespace"]?.stringValue ?? ""
            switch (from["group"]?.stringValue, from["kind"]?.stringValue) {
            case ("gateway.networking.k8s.io", "HTTPRoute"): httpRoutesFrom.append(namespace)
            case ("espalier.dev", "Route"): routesFrom.append(namespace)
            default: break
            }
        }
        for to in document.spec["to"]?.arrayValue ?? [] {
            let name = to["name"]?.stringValue ?? ""
            switch (to["group"]?.stringValue ?? "", to["kind"]?.stringValue) {
            case ("", "Service"): services.append(name)
            case ("espalier.dev", "Landscape"): landscapes.append(name)
            default: break
            }
        }
    }

    /// Whether routes of a namespace may lead to a Service of the grant's.
    package func opens(service: String, landscape: String, to namespace: String) -> Bool {
        if httpRoutesFrom.contains(namespace), services.contains(where: { $0.isEmpty || $0 == service }) { return true }
        return !landscape.isEmpty && routesFrom.contains(namespace)
            && landscapes.contains { $0.isEmpty || $0 == landscape }
    }
}

extension String {
    var asciiLowercased: String {
        var text = self
        return text.withUTF8 { UnsafeRawBufferPointer($0).lowercasedText() }
    }

    var withoutLastSlash: String { utf8.last == UInt8(ascii: "/") ? String(dropLast()) : self }
}
