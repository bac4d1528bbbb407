package import Documents

/// What a request line asks for: a route and its query. Made from bytes of an unauthenticated stranger, so every
/// access is checked, everything is bounded, and nothing traps.
package struct RequestTarget: Sendable, Equatable {
    package enum Route: Sendable, Equatable {
        /// `/api`: the versions of the core group.
        case coreVersions
        /// `/apis`: all other groups.
        case groups
        /// `/apis/{group}`
        case group(String)
        /// `/api/v1` and `/apis/{group}/{version}`
        case resources(group: String, version: String)
        case resource(ResourcePath)
        case version
        /// `/healthz`, `/livez`, `/readyz`, each also with the name of one check behind it.
        case health(String, check: String?)
        case openAPIIndex
        /// `/openapi/v3/apis/{group}/{version}`: what stands behind `/openapi/v3/`.
        case openAPIDocument(String)
        case openAPIVersion2
        case metrics
        /// `/debug/store/{operation}`
        case store(String)
        case openIDConfiguration
        case openIDKeys
        case unknown
    }

    package let route: Route
    package let query: Query

    /// The path without its query, as it was sent: for messages and for authorization of paths that are no resource.
    package let path: String

    /// Reads the target of a request line. Refuses what no client of ours sends: absolute forms, broken percent
    /// encoding, bytes that are not UTF-8, NULs, dot segments.
    package init(parsing bytes: [UInt8]) throws(APIError) {
        guard bytes.count <= APIServerLimits.targetBytes else {
            throw .badRequest("expected a path and query of at most \(APIServerLimits.targetBytes) bytes")
        }
        guard bytes.first == UInt8(ascii: "/") else { throw .badRequest("expected a path that begins with /") }
        let mark = bytes.firstIndex(of: UInt8(ascii: "?")) ?? bytes.endIndex
        var segments: [String] = []
        for raw in bytes[..<mark].split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: true) {
            let segment = try PercentEncoding.decode(raw, plusIsSpace: false)
            guard segment != ".", segment != "..", !segment.utf8.contains(0) else {
                throw .badRequest("the path has a segment that is not allowed")
            }
            segments.append(segment)
            if segments.count > APIServerLimits.pathSegments { throw .badRequest("the path has too many segments") }
        }
        query = try Query(parsing: mark < bytes.endIndex ? bytes[(mark + 1)...] : [])
        path = "/" + segments.joined(separator: "/")
        route = Self.route(segments)
    }

    private static func route(_ segments: [String]) -> Route {
        guard let first = segments.first else { return .unknown }
        switch (first, segments.count) {
        case ("api", 1): return .coreVersions
        case ("api", 2): return .resources(group: "", version: segments[1])
        case ("api", _): return resource(group: "", version: segments[1], segments[2...])
        case ("apis", 1): return .groups
        case ("apis", 2): return .group(segments[1])
        case ("apis", 3): return .resources(group: segments[1], version: segments[2])
        case ("apis", _): return resource(group: segments[1], version: segments[2], segments[3...])
        case ("version", 1): return .version
        case ("healthz", 1), ("livez", 1), ("readyz", 1): return .health(first, check: nil)
        case ("healthz", 2), ("livez", 2), ("readyz", 2): return .health(first, check: segments[1])
        case ("openapi", 2) where segments[1] == "v3": return .openAPIIndex
        case ("openapi", 2) where segments[1] == "v2": return .openAPIVersion2
        case ("openapi", 3...) where segments[1] == "v3": return .openAPIDocument(segments[2...].joined(separator: "/"))
        case ("metrics", 1): return .metrics
        case ("debug", 3) where segments[1] == "store": return .store(segments[2])
        case (".well-known", 2) where segments[1] == "openid-configuration": return .openIDConfiguration
        case ("openid", 3) where segments[1...] == ["v1", "jwks"]: return .openIDKeys
        default: return .unknown
        }
    }

    /// `/api/v1/namespaces/{name}/status` is a subresource of a namespace, not a resource called status.
    private static func resource(group: String, version: String, _ rest: ArraySlice<String>) -> Route {
        var parts = Array(rest)
        let isWatch = parts.count > 1 && parts[0] == "watch"
        if isWatch { parts.removeFirst() }
        var namespace: String?
        let isNamespaceItself = parts.count < 3 || (parts.count == 3 && ["status", "finalize"].contains(parts[2]))
        if parts.first == "namespaces", !(group.isEmpty && isNamespaceItself), parts.count >= 3 {
            namespace = parts[1]
            parts.removeFirst(2)
        }
        guard let resource = parts.first else { return .unknown }
        return .resource(
            ResourcePath(
                group: group, version: version, namespace: namespace, resource: resource,
                name: parts.count > 1 ? parts[1] : nil, subresource: parts.count > 2 ? parts[2] : nil,
                remainder: Array(parts.dropFirst(3)), isWatch: isWatch))
    }
}

/// A path below a resource: a collection, a document, or a subresource of one.
package struct ResourcePath: Sendable, Hashable {
    package var group: String
    package var version: String
    /// `nil` for cluster-scoped documents and for all namespaces.
    package var namespace: String?
    package var resource: String
    package var name: String?
    package var subresource: String?
    /// What stands behind the subresource, as in `pods/web/proxy/a/b`.
    package var remainder: [String]
    /// Whether the path is the old form of a watch, as in `/api/v1/watch/pods`.
    package var isWatch: Bool

    package init(
        group: String, version: String, namespace: String?, resource: String, name: String?, subresource: String?,
        remainder: [String], isWatch: Bool = false
    ) {
        self.group = group
        self.version = version
        self.namespace = namespace
        self.resource = resource
        self.name = name
        self.subresource = subresource
        self.remainder = remainder
        self.isWatch = isWatch
    }
}

/// The parameters behind the question mark, in order. A name may stand there more than once.
package struct Query: Sendable, Equatable {
    package struct Parameter: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    package private(set) var parameters: [Parameter] = []

    package init() {}

    init(parsing bytes: ArraySlice<UInt8>) throws(APIError) {
        for pair in bytes.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: true) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let value = equals < pair.endIndex ? pair[(equals + 1)...] : []
            parameters.append(
                Parameter(
                    name: try PercentEncoding.decode(pair[..<equals], plusIsSpace: true),
                    value: try PercentEncoding.decode(value, plusIsSpace: true)))
            if parameters.count > APIServerLimits.queryParameters {
                throw .badRequest("expected at most \(APIServerLimits.queryParameters) query parameters")
            }
        }
    }

    /// The first value of a parameter; empty where it is missing.
    package subscript(name: String) -> String { parameters.first { $0.name == name }?.value ?? "" }

    package func all(_ name: String) -> [String] { parameters.filter { $0.name == name }.map(\.value) }

    package func has(_ name: String) -> Bool { parameters.contains { $0.name == name } }

    /// A boolean as Kubernetes reads one in a query: missing, `false` and `0` are false, everything else is true.
    package func flag(_ name: String) -> Bool {
        guard let value = parameters.first(where: { $0.name == name })?.value else { return false }
        return value != "false" && value != "0" && value != "False"
    }

    package func integer(_ name: String) throws(APIError) -> Int64? {
        let text = self[name]
        if text.isEmpty { return nil }
        guard let value = Int64(text) else {
            throw .badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax")
        }
        return value
    }
}

/// Percent encoding, RFC 3986.
enum PercentEncoding {
    static func decode(_ bytes: ArraySlice<UInt8>, plusIsSpace: Bool) throws(APIError) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var position = bytes.startIndex
        while position < bytes.endIndex {
            let byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "%") {
                guard position + 1 < bytes.endIndex, let high = digit(bytes[position]),
                    let low = digit(bytes[position + 1])
                else {
                    throw .badRequest("expected two hexadecimal digits behind % in the path or the query")
                }
                result.append(high << 4 | low)
                position += 2
            } else if byte == UInt8(ascii: "+"), plusIsSpace {
                result.append(0x20)
            } else {
                result.append(byte)
            }
        }
        guard let text = String(validating: result, as: UTF8.self) else {
            throw .badRequest("expected UTF-8 in the path and the query")
        }
        return text
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
