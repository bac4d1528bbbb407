internal import Documents

/// The gates of pods and Services: their rules, from namespaces, pods and NetworkPolicies.
extension WallsComputation {
    // MARK: Out

    /// What a pod's packets must get through: the air gap of its namespace, its own, and its policies.
    mutating func egressGates(_ pod: ClusterNetwork.Pod) -> [[String]] {
        var gates: [[String]] = []
        let ofNamespace = network.namespaces[pod.namespace]?.egress
        for rule in [ofNamespace, pod.egress] {
            if let rule, rule.isDenied { gates.append(airGap(rule, pod.namespace)) }
        }
        let policies = policies(of: pod.namespace, pod.labels).filter { $0.egress != nil }
        if !policies.isEmpty {
            var rules: [String] = []
            for policy in policies {
                for rule in policy.egress ?? [] { rules += egress(rule, of: policy) }
            }
            gates.append(rules + ["goto refuse"])
        }
        return gates
    }

    /// Within the namespace, and what the list allows. Addresses of allowed names come while the machine runs, as names
    /// are asked for, and go again; a connection may outlive them.
    private mutating func airGap(_ rule: EgressRule, _ namespace: String) -> [String] {
        var rules = ["ip daddr @\(membersOf(namespace)) return"]
        for allowance in rule.allowances {
            let port = allowance.port.map { " \(allowance.transport) dport \($0)" } ?? ""
            switch allowance.destination {
            case .block(let block): rules.append("\(block.isIPv6 ? "ip6" : "ip") daddr \(block)\(port) return")
            case .name(let name):
                let set = Self.learned(namespace, name)
                ruleset.sets[set] = Ruleset.Set(type: "ipv4_addr", flags: "timeout")
                rules.append("ip daddr @\(set)\(port) return")
            }
        }
        if rule.names?.isEmpty == false {
            rules.append(
                "ct state established ip daddr != { \(network.serviceRange), \(network.podRange) } return")
        }
        return rules + ["goto refuse"]
    }

    /// The set of addresses at which an air-gapped namespace's pods have found a name of their list.
    static func learned(_ namespace: String, _ name: String) -> String { "learned/\(namespace)/\(hash(name))" }

    private mutating func egress(_ rule: NetworkPolicy.Rule, of policy: NetworkPolicy) -> [String] {
        let ranges = "{ \(network.serviceRange) }"
        guard let peers = rule.peers else {
            guard let ports = rule.ports else { return ["return"] }
            // A Service's own port is not the port that the rule means.
            let via = via(rule, peers: [], policy)
            return ports.compactMap(Self.match).map { "ip daddr != \(ranges) \($0) return" } + via
        }
        var lines: [String] = []
        var pods: [NetworkPolicy.Peer] = []
        for peer in peers {
            switch peer {
            case .block(let block, let holes):
                lines += Self.lines(Self.match("daddr", block, holes), rule.ports)
            case .pods:
                pods.append(peer)
                lines += Self.lines("ip daddr @\(set(of: peer, policy)) ", rule.ports)
            }
        }
        return pods.isEmpty ? lines : lines + via(rule, peers: pods, policy)
    }

    /// Destinations that are known by address and port alone: Services all of whose pods are meant, by the ports that
    /// lead to the ports meant, and ports of pods by their name.
    private mutating func via(_ rule: NetworkPolicy.Rule, peers: [NetworkPolicy.Peer], _ policy: NetworkPolicy)
        -> [String]
    {
        func isMeant(_ pod: ClusterNetwork.Pod) -> Bool {
            rule.peers == nil || peers.contains { isMember(pod, of: $0, policy) }
        }
        var elements: [String] = []
        for (service, address, backing) in services {
            guard !backing.isEmpty, backing.allSatisfy(isMeant) else { continue }
            for port in service.ports
            where backing.allSatisfy({ Self.allows(rule.ports, port.transport, port.number(on: $0), $0) }) {
                elements.append("\(address) . \(port.transport) . \(port.number)")
            }
        }
        for port in rule.ports ?? [] {
            guard case .named(let name) = port.number else { continue }
            for (pod, place) in pods where isMeant(pod) {
                if let number = pod.port(named: name, port.transport) {
                    elements.append("\(place.address) . \(port.transport) . \(number)")
                }
            }
        }
        let name = "via/\(policy.namespace)/\(Self.hash(rule.key))"
        set(name, "ipv4_addr . inet_proto . inet_service", elements)
        return ["ip daddr . meta l4proto . th dport @\(name) return"]
    }

    // MARK: In

    mutating func ingressGate(to pod: ClusterNetwork.Pod) -> [String] { ingressGate(to: pod, through: nil) }

    /// One gate for each of a Service's pods, as far as they differ: who may not speak to one of them may not speak to
    /// the Service, which could lead to any.
    mutating func ingressGates(to service: ClusterNetwork.Service, _ backing: [ClusterNetwork.Pod]) -> [[String]] {
        if backing.isEmpty { return [fromNamespaces(service.namespace)] }
        var gates: [[String]] = []
        for pod in backing {
            let gate = ingressGate(to: pod, through: service)
            if !gates.contains(gate) { gates.append(gate) }
        }
        return gates
    }

    private mutating func ingressGate(to pod: ClusterNetwork.Pod, through service: ClusterNetwork.Service?) -> [String]
    {
        let policies = policies(of: pod.namespace, pod.labels).filter { $0.ingress != nil }
        if policies.isEmpty { return fromNamespaces(pod.namespace) }
        var lines: [String] = []
        for policy in policies {
            for rule in policy.ingress ?? [] {
                let ports = rule.ports.map { Self.ports($0, on: pod, through: service) }
                guard let peers = rule.peers else {
                    lines += ports.map { $0.map { "\($0) return" } } ?? ["return"]
                    continue
                }
                for peer in peers {
                    let source =
                        switch peer {
                        case .pods: "ip saddr @\(set(of: peer, policy)) "
                        case .block(let block, let holes): Self.match("saddr", block, holes)
                        }
                    lines += ports.map { $0.map { "\(source)\($0) return" } } ?? ["\(source)return"]
                }
            }
        }
        return lines + ["goto refuse"]
    }

    /// The default: from the namespace itself, and from those it has let in.
    private mutating func fromNamespaces(_ name: String) -> [String] {
        let allowed = network.namespaces[name]?.allowsFrom ?? []
        if allowed.contains("*") { return ["ip saddr \(network.podRange) return", "goto refuse"] }
        let known = Set(pods.map(\.pod.namespace)).intersection(allowed).union([name])
        return known.sorted().map { "ip saddr @\(podsOf($0)) return" } + ["goto refuse"]
    }

    // MARK: Selecting

    private func policies(of namespace: String, _ labels: [String: String]) -> [NetworkPolicy] {
        network.policies.filter { $0.value.selects(namespace: namespace, labels: labels) }
            .sorted { $0.key < $1.key }.map(\.value)
    }

    /// The pods a Service leads to. Without any yet, one that has its selector's labels and nothing else, so that the
    /// gate does not stand open until the first has come.
    static func backing(_ service: ClusterNetwork.Service, _ pods: [ClusterNetwork.Pod]) -> [ClusterNetwork.Pod] {
        guard let selector = service.selector else { return [] }
        let found = pods.filter { pod in
            pod.namespace == service.namespace && selector.allSatisfy { pod.labels[$0.key] == $0.value }
        }
        if !found.isEmpty { return found }
        let ports = service.ports.map { port in
            let number = if case .number(let number) = port.target { number } else { port.number }
            return JSON.object(["containerPort": .integer(Int64(number))])
        }
        return [
            ClusterNetwork.Pod(
                Document([
                    "metadata": [
                        "namespace": .string(service.namespace),
                        "labels": .object(JSONObject(selector.sorted { $0.key < $1.key }.map { ($0, .string($1)) })),
                    ], "spec": ["containers": [["ports": .array(ports)]]],
                ]))
        ]
    }

    private func isMember(_ pod: ClusterNetwork.Pod, of peer: NetworkPolicy.Peer, _ policy: NetworkPolicy) -> Bool {
        guard case .pods(let namespaces, let selector) = peer, selector.matches(pod.labels) else { return false }
        guard let namespaces else { return pod.namespace == policy.namespace }
        return namespaces.matches(
            network.namespaces[pod.namespace]?.labels ?? ["kubernetes.io/metadata.name": pod.namespace])
    }

    /// The set of the pods a peer means, filled when it is first asked for.
    private mutating func set(of peer: NetworkPolicy.Peer, _ policy: NetworkPolicy) -> String {
        let name = "peers/\(policy.namespace)/\(Self.hash(peer.key))"
        if ruleset.sets[name] == nil {
            set(
                name, "ipv4_addr",
                pods.filter { isMember($0.pod, of: peer, policy) }.map(\.place.address.description))
        }
        return name
    }

    private static func hash(_ text: String) -> String { String(NodeNetwork.hash(text), radix: 16) }

    // MARK: Matching

    private static func match(_ side: String, _ block: AddressBlock, _ holes: [AddressBlock]) -> String {
        let family = block.isIPv6 ? "ip6" : "ip"
        let same = holes.filter { $0.isIPv6 == block.isIPv6 }
        return "\(family) \(side) \(block) " + same.map { "\(family) \(side) != \($0) " }.joined()
    }

    private static func lines(_ prefix: String, _ ports: [NetworkPolicy.Port]?) -> [String] {
        guard let ports else { return ["\(prefix)return"] }
        return ports.compactMap(match).map { "\(prefix)\($0) return" }
    }

    /// A port as it stands in the packet; `nil` for one that is known by name only.
    private static func match(_ port: NetworkPolicy.Port) -> String? {
        switch port.number {
        case .every: "meta l4proto \(port.transport)"
        case .numbers(let numbers):
            "\(port.transport) dport "
                + (numbers.count == 1 ? "\(numbers.lowerBound)" : "\(numbers.lowerBound)-\(numbers.upperBound)")
        case .named: nil
        }
    }

    /// What a rule's ports are in packets to a pod, or to a Service on their way to it.
    private static func ports(
        _ ports: [NetworkPolicy.Port], on pod: ClusterNetwork.Pod, through service: ClusterNetwork.Service?
    ) -> [String] {
        if let service {
            return service.ports.filter { allows(ports, $0.transport, $0.number(on: pod), pod) }
                .map { "\($0.transport) dport \($0.number)" }
        }
        return ports.compactMap { port in
            guard case .named(let name) = port.number else { return match(port) }
            return pod.port(named: name, port.transport).map { "\(port.transport) dport \($0)" }
        }
    }

    /// Whether a rule's ports have a pod's port among them; where the pod does not have the port nothing gets there.
    private static func allows(
        _ ports: [NetworkPolicy.Port]?, _ transport: Transport, _ number: Int?, _ pod: ClusterNetwork.Pod
    ) -> Bool {
        guard let ports else { return true }
        guard let number else { return false }
        return ports.contains { port in
            guard port.transport == transport else { return false }
            return switch port.number {
            case .every: true
            case .numbers(let numbers): numbers.contains(number)
            case .named(let name): pod.port(named: name, transport) == number
            }
        }
    }
}
