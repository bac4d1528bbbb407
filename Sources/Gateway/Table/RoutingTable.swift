/// What the gateway serves: which requests go to which endpoints, and which service addresses it listens on. Immutable;
/// computed by the server from documents, sent to the gateway process whole, and swapped there in one step. Every list is
/// in an order that depends on the documents alone, so that equal documents give equal tables.
package struct RoutingTable: Sendable, Equatable {
    /// The endpoints behind one port of one Service.
    package struct Backend: Sendable, Equatable {
        /// `namespace/service:port`.
        package var name: String
        /// `address:port` of the ready endpoints, sorted.
        package var endpoints: [String]
        /// The Service or its port does not exist: its share of requests is answered 500.
        package var isMissing: Bool

        package init(name: String, endpoints: [String], isMissing: Bool = false) {
            self.name = name
            self.endpoints = endpoints
            self.isMissing = isMissing
        }
    }

    package struct WeightedBackend: Sendable, Equatable {
        /// Index into `backends`.
        package var backend: Int
        package var weight: Int

        package init(backend: Int, weight: Int) {
            self.backend = backend
            self.weight = weight
        }
    }

    package enum PathRewrite: Sendable, Equatable {
        case replacePrefix(String)
        case replaceFull(String)
    }

    package struct Header: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Where the requests of one HTTPRoute rule go.
    package struct Rule: Sendable, Equatable {
        /// `namespace/route/index`: keeps the draw's sequence across tables.
        package var name: String
        package var backends: [WeightedBackend]
        package var rewrite: PathRewrite?
        /// For the whole request, and for the endpoint's response head. Zero: the gateway's own limits.
        package var requestTimeoutMilliseconds = 0
        package var backendTimeoutMilliseconds = 0
        /// How often a request that may be sent twice is sent again when an endpoint closes its connection unanswered.
        package var retries = 0

        package init(name: String, backends: [WeightedBackend]) {
            self.name = name
            self.backends = backends
        }
    }

    package enum Path: Sendable, Equatable {
        case exact(String)
        /// Segment by segment: `/api` matches `/api` and `/api/x`, not `/apis`. Without a slash at the end; the root is empty.
        case prefix(String)
    }

    package struct Match: Sendable, Equatable {
        package var path: Path
        package var method: String?
        /// All must be there with exactly this value. Names in lower case, sorted.
        package var headers: [Header]
        /// All must be there with exactly this value. Sorted by name.
        package var parameters: [Header]
        /// Index into `rules`.
        package var rule: Int

        package init(path: Path, method: String? = nil, headers: [Header] = [], parameters: [Header] = [], rule: Int) {
            self.path = path
            self.method = method
            self.headers = headers
            self.parameters = parameters
            self.rule = rule
        }
    }

    /// The matches of one host name, the one that wins first.
    package struct Host: Sendable, Equatable {
        /// A host name in lower case, `*.` and one, or `*` for every host.
        package var name: String
        package var matches: [Match]

        package init(name: String, matches: [Match]) {
            self.name = name
            self.matches = matches
        }
    }

    /// One address and port at which a Service is reached within the machine.
    package struct ServiceAddress: Sendable, Hashable, Comparable {
        package var address: String
        package var port: Int
        /// Index into `backends`.
        package var backend: Int
        /// Datagrams instead of connections.
        package var isUDP: Bool
        /// How long a client stays with its endpoint after it was last heard of; 0: it does not.
        package var affinitySeconds: Int

        package init(address: String, port: Int, backend: Int, isUDP: Bool = false, affinitySeconds: Int = 0) {
            self.address = address
            self.port = port
            self.backend = backend
            self.isUDP = isUDP
            self.affinitySeconds = affinitySeconds
        }

        package static func < (left: Self, right: Self) -> Bool {
            (left.address, left.port, left.isUDP ? 1 : 0, left.backend)
                < (right.address, right.port, right.isUDP ? 1 : 0, right.backend)
        }
    }

    package var hosts: [Host]
    package var rules: [Rule]
    package var backends: [Backend]
    package var services: [ServiceAddress]

    package init(hosts: [Host] = [], rules: [Rule] = [], backends: [Backend] = [], services: [ServiceAddress] = []) {
        self.hosts = hosts
        self.rules = rules
        self.backends = backends
        self.services = services
    }
}
