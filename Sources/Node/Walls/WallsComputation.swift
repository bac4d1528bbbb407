extension Ruleset {
    /// The walls of a network: who may speak to whom. A pure function of the network.
    ///
    /// Every packet of a pod's meets, in this order: `spoof` (it bears the address of the link it came by), its own egress
    /// gates by its source address (map `out`), and the gates of where it goes by its destination (map `in`), which has
    /// pods and Service addresses alike. A gate is a chain that returns what it lets through and refuses the rest. Equal
    /// gates are one chain, named by a hash of its rules.
    package static func walls(of network: ClusterNetwork) -> Ruleset {
        var computation = WallsComputation(network)
        return computation.compute()
    }
}

/// The work of `Ruleset.walls`, step by step.
struct WallsComputation {
    let network: ClusterNetwork
    /// The pods that are on the network, in the order of their addresses.
    let pods: [(pod: ClusterNetwork.Pod, place: ClusterNetwork.Place)]
    /// Those with an address, with the pods they lead to.
    let services: [(service: ClusterNetwork.Service, address: IPv4Address, backing: [ClusterNetwork.Pod])]
    var ruleset: Ruleset

    init(_ network: ClusterNetwork) {
        self.network = network
        let pods: [(pod: ClusterNetwork.Pod, place: ClusterNetwork.Place)] = network.pods.values
            .compactMap { pod in pod.place.map { (pod, $0) } }.sorted { $0.place.address < $1.place.address }
        let known = pods.map { $0.pod }
        services = network.services.values.compactMap { service in
            guard let address = service.address, network.serviceRange.contains(address) else { return nil }
            return (service, address, Self.backing(service, known))
        }.sorted { $0.address < $1.address }
        self.pods = pods
        ruleset = Ruleset(table: network.table)
    }

    mutating func compute() -> Ruleset {
        addFrame()
        for (pod, place) in pods {
            let address = place.address.description
            add("links", ["\"\(place.link)\" . \(address)"])
            add(podsOf(pod.namespace), [address])
            add(membersOf(pod.namespace), [address])
            put("out", address, through("out/\(pod.namespace)", egressGates(pod)))
            put("in", address, into("in/\(pod.namespace)", [ingressGate(to: pod)]))
        }
        for (service, address, backing) in services {
            add(membersOf(service.namespace), [address.description])
            add("services", service.ports.map { "\(address) . \($0.transport) . \($0.number)" })
            put("in", address.description, into("in/\(service.namespace)", ingressGates(to: service, backing)))
        }
        return ruleset
    }

    // MARK: What every network has

    private mutating func addFrame() {
        let ours = "\"\(network.linkPrefix)*\""
        let ranges = "{ \(network.serviceRange), \(network.podRange) }"
        set("links", "ifname . ipv4_addr")
        set("services", "ipv4_addr . inet_proto . inet_service")
        set("out", "ipv4_addr : verdict")
        set("in", "ipv4_addr : verdict")
        set("server-ports", "inet_service", network.serverPorts.map(String.init))
        set("published-ports", "inet_service", network.publishedPorts.map(String.init))
        set("opened-uplinks", "ifname", network.openedUplinks.map { "\"\($0)\"" })
        chain("refuse", ["meta l4proto tcp reject with tcp reset", "reject"])
        chain("prerouting", hook: "filter", "prerouting", "raw", ["iifname \(ours) jump spoof"])
        chain("spoof", ["meta nfproto ipv6 drop", "iifname . ip saddr != @links drop"])
        chain(
            "forward", hook: "filter", "forward", "filter",
            [
                "iifname \(ours) goto from-pod", "oifname \(ours) goto to-pod",
                "iifname @opened-uplinks oifname != \"ev*\" drop",
            ])
        // Answers only: a wall that closes stops what is under way, too.
        let answers = "ct direction reply ct state established,related accept"
        chain(
            "from-pod",
            [
                answers, "ip daddr 169.254.0.0/16 goto refuse", "ip saddr vmap @out",
                "oifname \(ours) ip daddr vmap @in", "ip daddr \(ranges) goto refuse", "accept",
            ])
        chain("to-pod", [answers, "drop"])
        chain(
            "input", hook: "filter", "input", "filter",
            ["iifname \(ours) goto to-host", "iifname != \"lo\" ip daddr \(ranges) drop"])
        chain(
            "to-host",
            [
                answers, "ip daddr \(network.gateway) meta l4proto { tcp, udp } th dport 53 accept",
                "ip daddr \(network.gateway) icmp type echo-request accept", "tcp dport @server-ports goto refuse",
                "ip saddr vmap @out", "ip daddr . meta l4proto . th dport @services ip daddr vmap @in",
                "ip daddr != \(network.serviceRange) tcp dport @published-ports accept", "goto refuse",
            ])
        chain(
            "postrouting", hook: "nat", "postrouting", "srcnat",
            ["ip saddr \(network.podRange) ip daddr != \(ranges) masquerade"])
    }

    // MARK: Sets and chains

    mutating func set(_ name: String, _ type: String, _ elements: [String] = []) {
        ruleset.sets[name] = Ruleset.Set(
            type: type, elements: Dictionary(elements.map { ($0, "") }) { first, _ in first })
    }

    private mutating func add(_ name: String, _ elements: [String]) {
        for element in elements { ruleset.sets[name]?.elements[element] = "" }
    }

    private mutating func put(_ map: String, _ key: String, _ value: String) {
        ruleset.sets[map]?.elements[key] = value
    }

    private mutating func chain(_ name: String, _ rules: [String]) {
        ruleset.chains[name] = Ruleset.Chain(rules: rules)
    }

    private mutating func chain(
        _ name: String, hook type: String, _ hook: String, _ priority: String, _ rules: [String]
    ) {
        ruleset.chains[name] = Ruleset.Chain(
            hook: "type \(type) hook \(hook) priority \(priority); policy accept;", rules: rules)
    }

    /// The addresses of a namespace's pods.
    mutating func podsOf(_ namespace: String) -> String {
        let name = "pods/\(namespace)"
        if ruleset.sets[name] == nil { set(name, "ipv4_addr") }
        return name
    }

    /// The addresses of a namespace's pods and Services.
    mutating func membersOf(_ namespace: String) -> String {
        let name = "members/\(namespace)"
        if ruleset.sets[name] == nil { set(name, "ipv4_addr") }
        return name
    }

    /// A chain with these rules, found again by their hash. Where two hash alike the second gets another name: hashes
    /// are no secret, and a gate taken for another would be a hole.
    private mutating func gate(_ prefix: String, _ rules: [String]) -> String {
        let hash = String(NodeNetwork.hash(rules.joined(separator: "\n")), radix: 16)
        var name = "\(prefix)/\(hash)"
        while let other = ruleset.chains[name], other.rules != rules { name += "x" }
        chain(name, rules)
        return name
    }

    /// What `out` says of an address: through all of these gates, and on.
    private mutating func through(_ prefix: String, _ gates: [[String]]) -> String {
        let jumps = jumps(prefix, gates)
        if jumps.count <= 1 { return jumps.first ?? "continue" }
        return "jump " + gate(prefix, jumps)
    }

    /// What `in` says of an address: whatever is through all of these gates is there.
    private mutating func into(_ prefix: String, _ gates: [[String]]) -> String {
        "goto " + gate(prefix, jumps(prefix, gates) + ["accept"])
    }

    private mutating func jumps(_ prefix: String, _ gates: [[String]]) -> [String] {
        var distinct: [[String]] = []
        for gate in gates where !distinct.contains(gate) { distinct.append(gate) }
        return distinct.map { rules in "jump " + gate(prefix, rules) }
    }
}
