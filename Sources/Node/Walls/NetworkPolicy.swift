package import Documents

/// The transports that ports belong to, as rules name them.
package enum Transport: String, Sendable, Hashable, Comparable {
    case tcp, udp, sctp

    /// `TCP` where a document leaves it out; `nil` for what is no transport.
    package init?(_ json: JSON?) {
        switch json?.stringValue ?? "TCP" {
        case "TCP": self = .tcp
        case "UDP": self = .udp
        case "SCTP": self = .sctp
        default: return nil
        }
    }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// A NetworkPolicy (networking.k8s.io/v1) as the walls read it. What cannot be read narrows: a peer or port that makes
/// no sense opens nothing, a pod selector that makes none takes every pod of the namespace.
package struct NetworkPolicy: Sendable, Hashable {
    package enum Peer: Sendable, Hashable {
        /// Without namespaces: those of the policy's own namespace.
        case pods(namespaces: LabelSelector?, pods: LabelSelector)
        case block(AddressBlock, except: [AddressBlock])
    }

    /// A port of the pod that is spoken to.
    package struct Port: Sendable, Hashable {
        package enum Number: Sendable, Hashable {
            case every
            case numbers(ClosedRange<Int>)
            case named(String)
        }
        package var transport: Transport
        package var number: Number
    }

    package struct Rule: Sendable, Hashable {
        /// `nil`: everybody. Empty: nobody.
        package var peers: [Peer]?
        /// `nil`: every port. Empty: none.
        package var ports: [Port]?
    }

    package var namespace: String
    package var name: String
    package var pods: LabelSelector
    /// `nil` where the policy says nothing of this direction.
    package var ingress: [Rule]?
    package var egress: [Rule]?

    package init(_ document: Document) {
        namespace = document.namespace
        name = document.name
        let spec = document.spec
        pods = (try? LabelSelector(json: spec["podSelector"] ?? [:])) ?? .everything  // What it means to take narrows.
        let types = spec["policyTypes"]?.arrayValue?.compactMap(\.stringValue)
        let hasIngress = types?.contains("Ingress") ?? true
        let hasEgress = types?.contains("Egress") ?? (spec["egress"] != nil)
        ingress = hasIngress ? Self.rules(spec["ingress"], peers: "from") : nil
        egress = hasEgress ? Self.rules(spec["egress"], peers: "to") : nil
    }

    package func selects(namespace: String, labels: [String: String]) -> Bool {
        namespace == self.namespace && pods.matches(labels)
    }

    private static func rules(_ json: JSON?, peers: String) -> [Rule] {
        (json?.arrayValue ?? []).map { rule in
            let from = rule[peers]?.arrayValue ?? []
            let ports = rule["ports"]?.arrayValue ?? []
            return Rule(
                peers: from.isEmpty ? nil : from.compactMap(peer), ports: ports.isEmpty ? nil : ports.compactMap(port))
        }
    }

    private static func peer(_ json: JSON) -> Peer? {
        if let block = json["ipBlock"] {
            guard let whole = block["cidr"]?.stringValue.flatMap(AddressBlock.init) else { return nil }
            let holes = (block["except"]?.arrayValue ?? []).map { $0.stringValue.flatMap(AddressBlock.init) }
            // A hole that cannot be read must not be open.
            guard !holes.contains(nil) else { return nil }
            return .block(whole, except: holes.compactMap { $0 })
        }
        let namespaces = json["namespaceSelector"]
        let pods = json["podSelector"]
        if namespaces == nil, pods == nil { return nil }
        do {
            return .pods(
                namespaces: try namespaces.map { json throws(APIError) in try LabelSelector(json: json) },
                pods: try pods.map { json throws(APIError) in try LabelSelector(json: json) } ?? .everything)
        } catch {
            return nil
        }
    }

    private static func port(_ json: JSON) -> Port? {
        guard let transport = Transport(json["protocol"]) else { return nil }
        guard let port = json["port"] else { return Port(transport: transport, number: .every) }
        if let name = port.stringValue { return Port(transport: transport, number: .named(name)) }
        guard let first = port.integerValue.map({ Int(clamping: $0) }), (1...65535).contains(first) else { return nil }
        let last = json["endPort"]?.integerValue.map { Int(clamping: $0) } ?? first
        guard (first...65535).contains(last) else { return nil }
        return Port(transport: transport, number: .numbers(first...last))
    }
}

extension LabelSelector {
    /// Equal for equal selectors only.
    fileprivate var key: String { matchesNothing ? "nothing" : "{\(self)}" }
}

extension NetworkPolicy.Peer {
    /// Equal for peers that mean the same pods or addresses only.
    var key: String {
        switch self {
        case .pods(let namespaces, let pods): "\(namespaces?.key ?? "own") \(pods.key)"
        case .block(let block, let holes): ([block] + holes).map(\.description).joined(separator: " ")
        }
    }
}

extension NetworkPolicy.Rule {
    var key: String {
        let peers = peers?.map(\.key).joined(separator: ";") ?? "all"
        return "\(peers)|\(ports?.map { "\($0.transport) \($0.number)" }.joined(separator: ";") ?? "all")"
    }
}
