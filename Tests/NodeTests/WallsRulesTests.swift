import Documents
import Node
import Testing

/// The rules as data: what is read from documents, and what the kernel is told.
struct WallsRulesTests {
    private func network() -> ClusterNetwork {
        ClusterNetwork(
            table: "espalier-test", linkPrefix: "evtest",
            podRange: IPv4Range(base: IPv4Address(10, 97, 8, 0), prefix: 21),
            serviceRange: IPv4Range(base: IPv4Address(10, 96, 8, 0), prefix: 21), gateway: IPv4Address(10, 97, 8, 1))
    }

    private func pod(_ number: UInt32, _ namespace: String = "a", _ labels: JSONObject = [:], _ ports: JSON = [])
        -> ClusterNetwork.Pod
    {
        var pod = ClusterNetwork.Pod(
            Document([
                "metadata": ["namespace": .string(namespace), "labels": .object(labels)],
                "spec": ["containers": [["ports": ports]]],
            ]))
        pod.place = ClusterNetwork.Place(address: IPv4Address(10, 97, 8, number), link: "evtest\(number)")
        return pod
    }

    private func policy(_ name: String, _ namespace: String, _ spec: JSON) -> (ObjectKey, NetworkPolicy) {
        let metadata: JSON = ["name": .string(name), "namespace": .string(namespace)]
        return (
            ObjectKey(Walls.policies, namespace: namespace, name: name),
            NetworkPolicy(Document(["metadata": metadata, "spec": spec]))
        )
    }

    /// The rules that the map sends an address through, its chain's and those of the chains it jumps to.
    private func rules(_ ruleset: Ruleset, _ map: String, _ address: String) -> [String] {
        func expand(_ chain: String) -> [String] {
            (ruleset.chains[chain]?.rules ?? []).flatMap { rule in
                rule.hasPrefix("jump ") ? expand(String(rule.dropFirst(5))) : [rule]
            }
        }
        let verdict = ruleset.sets[map]?.elements[address] ?? ""
        return expand(String(verdict.drop { $0 != " " }.dropFirst()))
    }

    @Test func fromEmptyToWholeAndBackIsWhatTheTextsSay() {
        var network = network()
        let empty = Ruleset.walls(of: network)
        #expect(empty.changes(from: empty) == "")
        network.pods["1"] = pod(11)
        let one = Ruleset.walls(of: network)
        network.pods["2"] = pod(12)
        let two = Ruleset.walls(of: network)
        let changes = two.changes(from: one).split(separator: "\n")
        #expect(changes.count == 5 && changes.allSatisfy { $0.hasPrefix("add element") }, "\(changes)")
        network.pods["2"] = nil
        #expect(
            Ruleset.walls(of: network).changes(from: two).split(separator: "\n").allSatisfy {
                $0.hasPrefix("delete element")
            })
        network.pods = [:]
        #expect(Ruleset.walls(of: network) == empty)
    }

    @Test func aPodThatIsNowhereHasNoRules() {
        var network = network()
        network.pods["1"] = pod(11)
        network.pods["1"]?.place = nil
        #expect(Ruleset.walls(of: network).sets["out"]?.elements == [:])
    }

    @Test func gatesThatAreEqualAreOneChain() {
        var network = network()
        for number in 11..<60 { network.pods["\(number)"] = pod(UInt32(number)) }
        let base = Ruleset.walls(of: self.network()).chains.count
        #expect(Ruleset.walls(of: network).chains.count == base + 2)
    }

    @Test(
        arguments: [
            ("10.0.0.0/8", "10.0.0.0/8", nil, "tcp"), ("10.1.2.3", "10.1.2.3", nil, "tcp"),
            ("10.1.2.3/8", "10.0.0.0/8", nil, "tcp"), ("10.1.2.3:443", "10.1.2.3", 443, "tcp"),
            ("10.1.2.0/24:53/UDP", "10.1.2.0/24", 53, "udp"), ("2001:DB8::/32", "2001:db8::/32", nil, "tcp"),
            ("[2001:db8::1]:443", "2001:db8::1", 443, "tcp"), ("[2001:db8::]/32:443", "2001:db8::/32", 443, "tcp"),
            ("API.example.org.", "api.example.org", nil, "tcp"), ("*.example.org:443", "*.example.org", 443, "tcp"),
            ("0.0.0.0/0", "0.0.0.0/0", nil, "tcp"),
        ] as [(String, String, Int?, String)])
    func anEntryOfTheListIsRead(_ text: String, _ destination: String, _ port: Int?, _ transport: String) throws {
        let entry = try #require(EgressRule.Allowance(text))
        switch entry.destination {
        case .block(let block): #expect(block.description == destination)
        case .name(let name): #expect(name == destination)
        }
        #expect(entry.port == port && entry.transport.rawValue == transport)
    }

    @Test(arguments: [
        "", "10.0.0.0/33", "10.0.0", "10.0.0.0/8:0", "10.0.0.0/8:99999", "10.0.0.1/UDP", "a b", "x;y.org", "*",
        "a..b", "1.2.3.4.5", "[::1", "2001:db8::/129", "}:1", "10.0.0.0/+8", "x.org:+4", "*.*.org",
    ])
    func anEntryThatMakesNoSenseIsRefused(_ text: String) { #expect(EgressRule.Allowance(text) == nil) }

    @Test func aServiceIsAsClosedAsItsPods() {
        var network = network()
        let http: JSON = [["name": "http", "containerPort": 8080]]
        network.pods["1"] = pod(11, "a", ["app": "web"], http)
        network.pods["2"] = pod(12, "a", ["app": "web", "canary": "yes"], http)
        network.services[ObjectKey(Walls.services, namespace: "a", name: "web")] = ClusterNetwork.Service(
            Document([
                "metadata": ["namespace": "a"],
                "spec": [
                    "clusterIP": "10.96.8.7", "selector": ["app": "web"],
                    "ports": [["port": 80, "targetPort": "http"], ["port": 81, "targetPort": 9090]],
                ],
            ]))
        #expect(rules(.walls(of: network), "in", "10.96.8.7") == ["ip saddr @pods/a return", "goto refuse", "accept"])
        let (key, policy) = policy(
            "p", "a",
            [
                "podSelector": ["matchLabels": ["canary": "yes"]],
                "ingress": [
                    [
                        "from": [["ipBlock": ["cidr": "10.97.8.0/24", "except": ["10.97.8.9/32"]]]],
                        "ports": [["port": "http"]],
                    ]
                ],
            ])
        network.policies[key] = policy
        #expect(
            rules(.walls(of: network), "in", "10.96.8.7") == [
                "ip saddr @pods/a return", "goto refuse",
                "ip saddr 10.97.8.0/24 ip saddr != 10.97.8.9 tcp dport 80 return", "goto refuse", "accept",
            ])
        network.pods = [:]
        #expect(rules(.walls(of: network), "in", "10.96.8.7") == ["ip saddr @pods/a return", "goto refuse", "accept"])
    }

    @Test func whatAPolicySaysBadlyOpensNothing() {
        var network = network()
        network.pods["1"] = pod(11)
        let bad: [JSON] = [
            ["from": [["ipBlock": ["cidr": "10.0.0.0/8; flush ruleset"]]]],
            ["from": [["ipBlock": ["cidr": "10.0.0.0/8", "except": ["nonsense"]]]]],
            ["from": [["podSelector": ["matchExpressions": [["key": "a", "operator": "Perhaps"]]]]]],
            ["ports": [["protocol": "ICMP"]]], ["ports": [["port": 0]]], ["ports": [["port": 5, "endPort": 4]]],
            ["ports": [["port": "x } ; flush ruleset"]]],
        ]
        for rule in bad {
            let (key, policy) = policy("p", "a", ["podSelector": [:], "ingress": [rule]])
            network.policies[key] = policy
            #expect(rules(.walls(of: network), "in", "10.97.8.11") == ["goto refuse", "accept"], "\(rule)")
        }
    }

    @Test func anAirGapStaysWhateverAPolicySays() {
        var network = network()
        network.pods["1"] = pod(11)
        network.namespaces["a"] = ClusterNetwork.Namespace(
            Document(["metadata": ["name": "a", "labels": ["espalier.dev/egress": "Denied"]]]))
        let (key, policy) = policy("p", "a", ["podSelector": [:], "policyTypes": ["Egress"], "egress": [[:]]])
        network.policies[key] = policy
        #expect(
            rules(.walls(of: network), "out", "10.97.8.11") == [
                "ip daddr @members/a return", "goto refuse", "return", "goto refuse",
            ])
    }
}
