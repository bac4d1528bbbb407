/// What became of one route when the table was computed.
package struct RouteVerdict: Sendable, Equatable {
    /// A condition that does not hold, and why.
    package struct Problem: Sendable, Equatable {
        package var reason: String
        package var message: String

        package init(reason: String, message: String) {
            self.reason = reason
            self.message = message
        }
    }

    /// `nil`: the route is served.
    package var refusal: Problem?
    /// `nil`: every backend it names exists.
    package var unresolved: Problem?

    package init(refusal: Problem? = nil, unresolved: Problem? = nil) {
        self.refusal = refusal
        self.unresolved = unresolved
    }
}

extension RoutingTable {
    /// The table that serves these documents, and a verdict on each route by its UID. A pure function: the order of the
    /// arguments does not matter. Where two routes claim the same match of the same host, the older is served and the
    /// younger refused whole, because a route served in part is worse than one that says what is wrong.
    package static func compute(
        routes: some Sequence<RouteDocument>, services: some Sequence<ServiceDocument>,
        endpointSlices: some Sequence<EndpointsDocument>, grants: some Sequence<GrantDocument> = []
    ) -> (table: RoutingTable, verdicts: [String: RouteVerdict]) {
        var computation = TableComputation(services: services, endpointSlices: endpointSlices, grants: grants)
        let ordered = routes.sorted { left, right in
            (left.created, left.namespace, left.name) < (right.created, right.namespace, right.name)
        }
        for route in ordered { computation.add(route) }
        return computation.finish()
    }
}

/// The work of `RoutingTable.compute`, step by step.
private struct TableComputation {
    private struct ServiceKey: Hashable {
        var namespace: String
        var name: String
    }

    /// A match of a host, as far as two of them can be the same.
    private struct Claim: Hashable {
        var host: String
        var path: String
        var isExact: Bool
        var method: String
        var conditions: [String]
    }

    private struct RankedMatch {
        var match: RoutingTable.Match
        /// Older routes first.
        var age: Int
    }

    private let services: [ServiceKey: ServiceDocument]
    private let slices: [ServiceKey: [EndpointsDocument]]
    private let grants: [String: [GrantDocument]]
    private var backends: [RoutingTable.Backend] = []
    private var backendPositions: [String: Int] = [:]
    private var rules: [RoutingTable.Rule] = []
    private var matches: [String: [RankedMatch]] = [:]
    private var claims: [Claim: RouteDocument] = [:]
    private var verdicts: [String: RouteVerdict] = [:]

    init(
        services: some Sequence<ServiceDocument>, endpointSlices: some Sequence<EndpointsDocument>,
        grants: some Sequence<GrantDocument>
    ) {
        self.grants = Dictionary(grouping: grants, by: \.namespace)
        self.services = Dictionary(
            services.map { (ServiceKey(namespace: $0.namespace, name: $0.name), $0) },
            uniquingKeysWith: { first, _ in first })
        slices = Dictionary(grouping: endpointSlices) { ServiceKey(namespace: $0.namespace, name: $0.service) }
    }

    mutating func add(_ route: RouteDocument) {
        var verdict = RouteVerdict()
        defer { verdicts[route.uid] = verdict }
        verdict.unresolved = unresolved(route)
        if !route.unsupported.isEmpty {
            verdict.refusal = RouteVerdict.Problem(
                reason: "UnsupportedValue", message: "not known here: \(route.unsupported.joined(separator: ", "))")
            return
        }
        let hosts = route.hosts.isEmpty ? ["*"] : route.hosts
        let claimed = claimsOf(route, hosts)
        for claim in claimed {
            if let owner = claims[claim], owner.title != route.title {
                let path = claim.path.isEmpty ? "/" : claim.path
                verdict.refusal = RouteVerdict.Problem(
                    reason: "Conflicted",
                    message: "host \(claim.host) with path \(path) is already served by \(owner.owner)")
                return
            }
        }
        for claim in claimed { claims[claim] = route }
        for (index, rule) in route.rules.enumerated() { add(rule, index, route, hosts) }
    }

    private mutating func add(_ rule: RouteDocument.Rule, _ index: Int, _ route: RouteDocument, _ hosts: [String]) {
        var target = RoutingTable.Rule(
            name: "\(route.title)/\(index)",
            backends: rule.backends.map {
                RoutingTable.WeightedBackend(
                    backend: backend(
                        namespace: $0.namespace, name: $0.name, port: $0.port,
                        isAllowed: $0.foreignKind == nil && isPermitted($0, route)),
                    weight: $0.weight)
            })
        target.rewrite = rule.rewrite
        target.requestTimeoutMilliseconds = rule.requestTimeoutMilliseconds
        target.backendTimeoutMilliseconds = rule.backendTimeoutMilliseconds
        target.retries = rule.retries
        rules.append(target)
        for match in rule.matches {
            let entry = RoutingTable.Match(
                path: match.path, method: match.method, headers: match.headers, parameters: match.parameters,
                rule: rules.count - 1)
            for host in hosts { matches[host, default: []].append(RankedMatch(match: entry, age: rules.count - 1)) }
        }
    }

    private func claimsOf(_ route: RouteDocument, _ hosts: [String]) -> [Claim] {
        var result: [Claim] = []
        for host in hosts {
            for match in route.rules.flatMap(\.matches) {
                let conditions =
                    match.headers.map { "header \($0.name)=\($0.value)" }
                    + match.parameters.map { "query \($0.name)=\($0.value)" }
                switch match.path {
                case .exact(let path):
                    result.append(
                        Claim(host: host, path: path, isExact: true, method: match.method ?? "", conditions: conditions)
                    )
                case .prefix(let path):
                    result.append(
                        Claim(
                            host: host, path: path, isExact: false, method: match.method ?? "", conditions: conditions))
                }
            }
        }
        return result
    }

    /// The first backend of a route that cannot be found.
    private func unresolved(_ route: RouteDocument) -> RouteVerdict.Problem? {
        for (index, rule) in route.rules.enumerated() {
            for (position, backend) in rule.backends.enumerated() {
                let field = "spec.rules[\(index)].backendRefs[\(position)]"
                if let kind = backend.foreignKind {
                    return RouteVerdict.Problem(reason: "InvalidKind", message: "\(field): kind \(kind) is no Service")
                }
                if !isPermitted(backend, route) {
                    return RouteVerdict.Problem(
                        reason: "RefNotPermitted",
                        message: "\(field): no ReferenceGrant of namespace \(backend.namespace) opens Service "
                            + "\(backend.name) to namespace \(route.namespace)")
                }
                guard let service = services[ServiceKey(namespace: backend.namespace, name: backend.name)] else {
                    return RouteVerdict.Problem(
                        reason: "BackendNotFound",
                        message: "\(field): Service \(backend.namespace)/\(backend.name) does not exist")
                }
                if !service.ports.contains(where: { $0.port == backend.port && $0.isTCP }) {
                    let ports = service.ports.map { String($0.port) }.joined(separator: ", ")
                    return RouteVerdict.Problem(
                        reason: "BackendNotFound",
                        message:
                            "\(field): Service \(backend.namespace)/\(backend.name) has no port \(backend.port), only \(ports)"
                    )
                }
            }
        }
        return nil
    }

    private func isPermitted(_ backend: RouteDocument.Backend, _ route: RouteDocument) -> Bool {
        if backend.namespace == route.namespace { return true }
        let landscape = services[ServiceKey(namespace: backend.namespace, name: backend.name)]?.landscape ?? ""
        return (grants[backend.namespace] ?? []).contains {
            $0.opens(service: backend.name, landscape: landscape, to: route.namespace)
        }
    }

    /// The position of a backend in the table; added when it is first named.
    private mutating func backend(
        namespace: String, name: String, port: Int, isAllowed: Bool = true, isUDP: Bool = false
    ) -> Int {
        let title = "\(namespace)/\(name):\(port)\(isUDP ? "/UDP" : "")\(isAllowed ? "" : " (not permitted)")"
        if let position = backendPositions[title] { return position }
        let key = ServiceKey(namespace: namespace, name: name)
        var backend = RoutingTable.Backend(name: title, endpoints: [])
        let ports = services[key]?.ports ?? []
        if isAllowed, let port = ports.first(where: { $0.port == port && (isUDP ? $0.isUDP : $0.isTCP) }) {
            backend.endpoints = endpoints(key, port)
        } else {
            backend.isMissing = true
        }
        backends.append(backend)
        backendPositions[title] = backends.count - 1
        return backends.count - 1
    }

    private func endpoints(_ service: ServiceKey, _ wanted: ServiceDocument.Port) -> [String] {
        var result: Set<String> = []
        for slice in slices[service] ?? [] {
            let found = slice.ports.first {
                $0.name == wanted.name && $0.isTCP == wanted.isTCP && $0.isUDP == wanted.isUDP
            }
            guard let port = found, port.port > 0 else { continue }
            for address in slice.addresses {
                result.insert(address.contains(":") ? "[\(address)]:\(port.port)" : "\(address):\(port.port)")
            }
        }
        return Array(result.sorted().prefix(GatewayLimits.endpointsPerBackend))
    }

    mutating func finish() -> (table: RoutingTable, verdicts: [String: RouteVerdict]) {
        var addresses: [RoutingTable.ServiceAddress] = []
        let ordered = services.values.sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
        for service in ordered where !service.clusterIP.isEmpty {
            for port in service.ports where (port.isTCP || port.isUDP) && (1...65535).contains(port.port) {
                let backend = backend(
                    namespace: service.namespace, name: service.name, port: port.port, isUDP: port.isUDP)
                addresses.append(
                    RoutingTable.ServiceAddress(
                        address: service.clusterIP, port: port.port, backend: backend, isUDP: port.isUDP,
                        affinitySeconds: service.affinitySeconds))
            }
        }
        let hosts = matches.keys.sorted().map { name in
            RoutingTable.Host(name: name, matches: (matches[name] ?? []).sorted(by: Self.goesFirst).map(\.match))
        }
        return (RoutingTable(hosts: hosts, rules: rules, backends: backends, services: addresses.sorted()), verdicts)
    }

    /// The order in which Gateway API wants matches tried.
    private static func goesFirst(_ left: RankedMatch, _ right: RankedMatch) -> Bool {
        func rank(_ match: RoutingTable.Match) -> [Int] {
            let path =
                switch match.path {
                case .exact(let text): [1, text.utf8.count]
                case .prefix(let text): [0, text.utf8.count]
                }
            return path + [match.method == nil ? 0 : 1, match.headers.count, match.parameters.count]
        }
        let (first, second) = (rank(left.match), rank(right.match))
        if first != second { return second.lexicographicallyPrecedes(first) }
        return left.age < right.age
    }
}
