import Documents
import Gateway
import Testing

/// Documents in, table and verdicts out.
@Suite struct TableComputationTests {
    static func document(_ text: String) -> Document {
        guard let documents = try? YAMLReader.documents(in: Array(text.utf8), file: "test"), let first = documents.first
        else {
            Issue.record("not YAML: \(text)")
            return Document(.null)
        }
        return Document(first.json)
    }

    static func route(
        _ name: String, hosts: String = "[a.test]", rules: String, created: String = "2026-01-01T00:00:00Z"
    ) throws -> RouteDocument {
        try #require(
            RouteDocument(
                document(
                    "{metadata: {name: \(name), namespace: \"n\", uid: uid-\(name), generation: 1, creationTimestamp: \"\(created)\"}, "
                        + "spec: {hostnames: \(hosts), rules: \(rules)}}")))
    }

    static func service(_ name: String, clusterIP: String = "None") -> ServiceDocument {
        ServiceDocument(
            document(
                "{metadata: {name: \(name), namespace: \"n\"}, spec: {clusterIP: \(clusterIP), ports: [{name: http, port: 80}]}}"
            ))
    }

    static func slice(
        _ name: String, _ service: String, _ endpoints: String, ports: String = "[{name: http, port: 8080}]"
    ) -> EndpointsDocument {
        EndpointsDocument(
            document(
                "{metadata: {name: \(name), namespace: \"n\", labels: {kubernetes.io/service-name: \(service)}}, "
                    + "endpoints: \(endpoints), ports: \(ports)}"))
    }

    static let toWeb = "[{backendRefs: [{name: web, port: 80}]}]"

    static func compute(
        _ routes: [RouteDocument], _ services: [ServiceDocument] = [], _ slices: [EndpointsDocument] = []
    ) -> (table: RoutingTable, verdicts: [String: RouteVerdict]) {
        RoutingTable.compute(routes: routes, services: services, endpointSlices: slices)
    }

    @Test func leadsARouteToReadyEndpoints() throws {
        let (table, verdicts) = Self.compute(
            [try Self.route("r", rules: Self.toWeb)], [Self.service("web", clusterIP: "10.96.0.1")],
            [
                Self.slice("web-2", "web", "[{addresses: [10.0.0.2]}]", ports: "[{name: http, port: 9090}]"),
                Self.slice("web-1", "web", "[{addresses: [10.0.0.1], conditions: {ready: true}}]"),
                Self.slice("web-3", "web", "[{addresses: [10.0.0.3], conditions: {ready: false}}]"),
                Self.slice("web-4", "web", "[{addresses: [10.0.0.4], conditions: {ready: true, terminating: true}}]"),
                Self.slice("web-5", "web", "[{addresses: [10.0.0.5]}]", ports: "[{name: other, port: 1}]"),
            ])
        #expect(
            table
                == RoutingTable(
                    hosts: [.init(name: "a.test", matches: [.init(path: .prefix(""), rule: 0)])],
                    rules: [.init(name: "n/r/0", backends: [.init(backend: 0, weight: 1)])],
                    backends: [.init(name: "n/web:80", endpoints: ["10.0.0.1:8080", "10.0.0.2:9090"])],
                    services: [.init(address: "10.96.0.1", port: 80, backend: 0)]))
        #expect(verdicts == ["uid-r": RouteVerdict()])
    }

    @Test func opensAServicesPortsForTheirTransports() throws {
        let service = ServiceDocument(
            Self.document(
                "{metadata: {name: dns, namespace: \"n\"}, spec: {clusterIP: 10.96.0.3, sessionAffinity: ClientIP, "
                    + "sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, ports: [{name: dns, port: 53, "
                    + "protocol: UDP}, {name: dns-tcp, port: 53}, {name: s, port: 54, protocol: SCTP}]}}"))
        let ports = "[{name: dns, port: 5353, protocol: UDP}, {name: dns-tcp, port: 5354, protocol: TCP}]"
        let table = Self.compute([], [service], [Self.slice("d", "dns", "[{addresses: [10.0.0.1]}]", ports: ports)])
            .table
        #expect(
            table
                == RoutingTable(
                    backends: [
                        .init(name: "n/dns:53/UDP", endpoints: ["10.0.0.1:5353"]),
                        .init(name: "n/dns:53", endpoints: ["10.0.0.1:5354"]),
                    ],
                    services: [
                        .init(address: "10.96.0.3", port: 53, backend: 1, affinitySeconds: 60),
                        .init(address: "10.96.0.3", port: 53, backend: 0, isUDP: true, affinitySeconds: 60),
                    ]))
        #expect(try RoutingTable(json: try JSONParser.parse(table.json.encoded)) == table)
    }

    @Test func doesNotDependOnTheOrderOfDocuments() throws {
        let routes = [
            try Self.route(
                "b", rules: "[{matches: [{path: {type: PathPrefix, value: /b}}], backendRefs: [{name: web, port: 80}]}]"
            ),
            try Self.route("a", hosts: "[a.test, '*.b.test']", rules: Self.toWeb, created: "2026-01-02T00:00:00Z"),
            try Self.route("c", hosts: "[c.test]", rules: Self.toWeb),
        ]
        let services = [Self.service("web", clusterIP: "10.96.0.1"), Self.service("api", clusterIP: "10.96.0.2")]
        let slices = [
            Self.slice("s1", "web", "[{addresses: [10.0.0.1]}]"), Self.slice("s2", "web", "[{addresses: [10.0.0.2]}]"),
        ]
        let first = Self.compute(routes, services, slices)
        let second = Self.compute(routes.reversed(), services.reversed(), slices.reversed())
        #expect(first.table == second.table && first.verdicts == second.verdicts)
    }

    @Test func triesTheMostSpecificMatchFirst() throws {
        let rules = """
            [{matches: [{path: {type: PathPrefix, value: /}}]}, {matches: [{path: {type: PathPrefix, value: /api/}}]},
             {matches: [{path: {type: PathPrefix, value: /api}, headers: [{name: X-B, value: "1"}]}]},
             {matches: [{path: {type: PathPrefix, value: /api}, method: POST}]},
             {matches: [{path: {type: PathPrefix, value: /api}, queryParams: [{name: q, value: "1"}]}]},
             {matches: [{path: {type: Exact, value: /a}}]}]
            """
        let matches = Self.compute([try Self.route("r", rules: rules)]).table.hosts[0].matches
        #expect(matches.map(\.rule) == [5, 3, 2, 4, 1, 0])
        #expect(matches[0].path == .exact("/a") && matches[2].headers == [.init(name: "x-b", value: "1")])
    }

    @Test func servesTheOlderOfTwoThatClaimTheSame() throws {
        let (table, verdicts) = Self.compute(
            [
                try Self.route(
                    "a-young", hosts: "[b.test, a.test]", rules: Self.toWeb, created: "2026-01-02T00:00:00Z"),
                try Self.route("old", rules: Self.toWeb),
            ], [Self.service("web")])
        #expect(table.hosts.map(\.name) == ["a.test"] && table.rules.map(\.name) == ["n/old/0"])
        #expect(verdicts["uid-old"] == RouteVerdict())
        #expect(
            verdicts["uid-a-young"]?.refusal
                == .init(reason: "Conflicted", message: "host a.test with path / is already served by HTTPRoute n/old"))
    }

    @Test func namesTheLandscapeThatHasTheHost() throws {
        let text =
            "{metadata: {name: bistro-1, namespace: \"n\", uid: uid-bistro, creationTimestamp: \"2026-01-01T00:00:00Z\", "
            + "labels: {app.kubernetes.io/part-of: bistro}}, spec: {hostnames: [a.test], rules: \(Self.toWeb)}}"
        let first = try #require(RouteDocument(Self.document(text)))
        let second = try Self.route("cafe-1", rules: Self.toWeb, created: "2026-01-02T00:00:00Z")
        let (_, verdicts) = Self.compute([first, second], [Self.service("web")])
        #expect(
            verdicts["uid-cafe-1"]?.refusal?.message
                == "host a.test with path / is already served by landscape bistro of namespace n (HTTPRoute n/bistro-1)"
        )
    }

    @Test(arguments: [
        ("{name: gone, port: 80}", "BackendNotFound", "Service n/gone does not exist"),
        ("{name: web, port: 81}", "BackendNotFound", "Service n/web has no port 81, only 80"),
        (
            "{name: web, namespace: m, port: 80}", "RefNotPermitted",
            "no ReferenceGrant of namespace m opens Service web to namespace n"
        ),
        ("{name: web, kind: Bucket, group: x, port: 80}", "InvalidKind", "kind Bucket is no Service"),
    ])
    func namesTheBackendThatIsNotThere(_ reference: String, _ reason: String, _ message: String) throws {
        let (table, verdicts) = Self.compute(
            [try Self.route("r", rules: "[{backendRefs: [\(reference)]}]")], [Self.service("web")])
        #expect(
            verdicts["uid-r"]
                == RouteVerdict(unresolved: .init(reason: reason, message: "spec.rules[0].backendRefs[0]: \(message)")))
        #expect(table.backends.map(\.isMissing) == [true])
    }

    @Test(arguments: [
        (
            "[{matches: [{path: {type: RegularExpression, value: .}}]}]",
            "spec.rules[0].matches[0].path.type (RegularExpression)"
        ),
        ("[{filters: [{type: RequestMirror}]}]", "spec.rules[0].filters[0] (RequestMirror)"),
    ])
    func refusesWhatItDoesNotKnow(_ rules: String, _ what: String) throws {
        let (table, verdicts) = Self.compute([try Self.route("r", rules: rules)])
        #expect(verdicts["uid-r"]?.refusal == .init(reason: "UnsupportedValue", message: "not known here: \(what)"))
        #expect(table == RoutingTable())
    }

    @Test func readsRewritesTimeoutsAndWeights() throws {
        let rules = """
            [{matches: [{path: {type: PathPrefix, value: /api}}], timeouts: {request: 1m30s, backendRequest: 250ms},
              filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}],
              backendRefs: [{name: web, port: 80, weight: 90}, {name: new, port: 80, weight: 10}]}]
            """
        let rule = Self.compute([try Self.route("r", rules: rules)], [Self.service("web"), Self.service("new")]).table
            .rules[0]
        #expect(rule.rewrite == .replacePrefix(""))
        #expect(rule.requestTimeoutMilliseconds == 90_000 && rule.backendTimeoutMilliseconds == 250)
        #expect(rule.backends.map(\.weight) == [90, 10])
    }

    @Test(arguments: [
        ("{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: \"n\"}", "{group: '', kind: Service}", true),
        (
            "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: \"n\"}",
            "{group: '', kind: Service, name: web}", true
        ),
        (
            "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: \"n\"}",
            "{group: '', kind: Service, name: x}", false
        ),
        ("{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: o}", "{group: '', kind: Service}", false),
        ("{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: \"n\"}", "{group: '', kind: Service}", false),
        (
            "{group: espalier.dev, kind: Route, namespace: \"n\"}",
            "{group: espalier.dev, kind: Landscape, name: shop}", true
        ),
        (
            "{group: espalier.dev, kind: Route, namespace: \"n\"}", "{group: espalier.dev, kind: Landscape, name: x}",
            false
        ),
        ("{group: espalier.dev, kind: Route, namespace: \"n\"}", "{group: '', kind: Service}", false),
    ])
    func leadsToAnotherNamespaceWhereItIsGranted(_ from: String, _ to: String, _ isGranted: Bool) throws {
        let grant = GrantDocument(
            Self.document("{metadata: {name: g, namespace: m}, spec: {from: [\(from)], to: [\(to)]}}"))
        let service = ServiceDocument(
            Self.document(
                "{metadata: {name: web, namespace: m, labels: {app.kubernetes.io/part-of: shop}}, spec: {ports: [{port: 80}]}}"
            ))
        let (table, verdicts) = RoutingTable.compute(
            routes: [try Self.route("r", rules: "[{backendRefs: [{name: web, namespace: m, port: 80}]}]")],
            services: [service], endpointSlices: [EndpointsDocument](), grants: [grant])
        #expect((verdicts["uid-r"]?.unresolved == nil) == isGranted)
        #expect(table.backends.map(\.isMissing) == [!isGranted])
    }

    @Test func readsOnlyRoutesOfThisGateway() {
        #expect(RouteDocument(Self.document("{metadata: {name: r}, spec: {parentRefs: [{name: other}]}}")) == nil)
        let both = Self.document("{metadata: {name: r}, spec: {parentRefs: [{name: other}, {name: espalier}]}}")
        #expect(RouteDocument(both)?.parents == [["name": "espalier"]])
    }

    @Test func survivesTheSocket() throws {
        let table = Self.compute(
            [
                try Self.route("r", rules: Self.toWeb),
                try Self.route("s", hosts: "[]", rules: "[{backendRefs: [{name: gone, port: 1}]}]"),
            ], [Self.service("web", clusterIP: "10.96.0.1")],
            [Self.slice("s1", "web", "[{addresses: [10.0.0.1, 'fd00::1']}]")]
        ).table
        #expect(try RoutingTable(json: try JSONParser.parse(table.json.encoded)) == table)
        #expect(table.backends.first { $0.name == "n/web:80" }?.endpoints == ["10.0.0.1:8080", "[fd00::1]:8080"])
    }

    @Test(arguments: [
        "{rules: [{name: r, backends: [{backend: 0, weight: 1}]}]}",
        "{hosts: [{host: a, matches: [{prefix: '', rule: 3}]}]}",
        "{services: [{address: a, port: 1, backend: 0}]}", "{backends: 3}", "{backends: [{endpoints: []}]}",
        "{backends: [{name: b, endpoints: []}], services: [{address: a, port: 70000, backend: 0}]}",
        "{backends: [{name: b, endpoints: []}], rules: [{name: r, backends: [{backend: 0, weight: -1}]}]}",
    ])
    func refusesATableThatDoesNotHoldTogether(_ text: String) {
        #expect(throws: GatewayMessageError.self) { try RoutingTable(json: Self.document(text).json) }
    }
}
