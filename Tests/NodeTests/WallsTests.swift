import Documents
import Glibc
import Node
import Seams
import Testing

/// The walls on the real kernel: each way that is closed, and each that is open.
@Suite(.serialized, .enabled(if: WallsFixture.isRoot, "rules need root, CAP_NET_ADMIN and nft"))
struct WallsTests {
    @Test func namespacesAreClosedToEachOtherUntilOpened() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one")
        let two = try await net.pod("two")
        let other = try await net.pod("other", "team-b")
        try await net.listen(two, 80)
        #expect(try await net.connects(one, two, 80) == .connected)
        #expect(try await net.connects(.host, two, 80) == .connected, "probes and the gateway come in")
        #expect(try await net.connects(other, two, 80) == .refused)
        try await net.namespace("team-a", annotations: ["espalier.dev/allow-from": "team-x, team-b"])
        #expect(try await net.connects(other, two, 80) == .connected)
        try await net.namespace("team-a")
        #expect(try await net.connects(other, two, 80) == .refused)
        try await net.namespace("team-a", labels: ["espalier.dev/allow-from": "team-b"])
        #expect(try await net.connects(other, two, 80) == .connected)
        try await net.end()
    }

    @Test func serviceAddressesAreTheirNamespacesAndTheirPortsOnly() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one")
        let other = try await net.pod("other", "team-b")
        let service = try await net.service(77, "web")
        try await net.listen(.host, 80, at: service.address)
        try await net.listen(.host, 18_081, at: service.address)
        #expect(try await net.connects(one, service, 80) == .connected)
        #expect(try await net.connects(other, service, 80) == .refused)
        #expect(try await net.connects(one, service, 18_081) == .refused, "a port of the host behind the address")
        #expect(try await net.reach(one, net.network.services.address(78).description, 80).outcome == .refused)
        try await net.end()
    }

    @Test func theHostIsClosedButForNamesAndWhatIsPublished() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one")
        let gateway = net.bridge.address.description
        try await net.ip(["addr", "add", "169.254.169.254/32", "dev", net.bridge.name])
        for port in [18_083, 18_084, 18_085] { try await net.listen(.host, port) }
        try await net.listen(.host, 53, at: gateway)
        try await net.listen(.host, 53, at: gateway, udp: true)
        for address in [gateway, "169.254.169.254"] {
            #expect(try await net.reach(one, address, 18_083).outcome == .refused)
        }
        #expect(try await net.reach(one, "169.254.1.1", 80).outcome == .refused)
        #expect(try await net.reach(one, gateway, 53).outcome == .connected)
        #expect(try await net.reach(one, gateway, 53, udp: true).outcome == .connected)
        net.walls.set(serverPorts: [18_083, 18_085], publishedPorts: [18_084, 18_085])
        try await net.walls.settle()
        #expect(try await net.reach(one, gateway, 18_084).outcome == .connected)
        #expect(try await net.reach(one, gateway, 18_085).outcome == .refused, "the server's own port comes first")
        #expect(try await net.reach(.host, gateway, 18_083).outcome == .connected)
        try await net.end()
    }

    @Test func outsideIsReachedThroughTheHostAndDoesNotComeIn() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one")
        let sealed = try await net.pod("sealed", "vault")
        let loner = try await net.pod("loner", annotations: ["espalier.dev/egress": "Denied"])
        let service = try await net.service(77, "web")
        let outside = try await net.outside()
        try await net.listen(outside, 80)
        try await net.listen(outside, 81)
        try await net.listen(one, 80)
        try await net.listen(sealed, 80)
        try await net.listen(.host, 80, at: service.address)
        let near = outside.address.dropLast() + "1"
        let found = try await net.reach(one, outside.address, 80)
        #expect(found.outcome == .connected && found.answer == near, "address translation: seen as \(found.answer)")
        #expect(try await net.connects(outside, one, 80) == .silent)
        #expect(try await net.connects(outside, service, 80) == .silent)
        #expect(try await net.reach(outside, net.bridge.address.description, 80).outcome == .silent)

        #expect(try await net.connects(loner, outside, 80) == .refused)
        #expect(try await net.connects(loner, one, 80) == .connected)
        #expect(try await net.connects(sealed, outside, 80) == .connected)
        try await net.namespace("vault", labels: ["espalier.dev/egress": "Denied"])
        #expect(try await net.connects(sealed, outside, 80) == .refused)
        let list = "\(outside.address):80, 2001:db8::/32"
        try await net.namespace(
            "vault", annotations: ["espalier.dev/egress": "Denied", "espalier.dev/egress-allow": .string(list)])
        #expect(try await net.connects(sealed, outside, 80) == .connected)
        #expect(try await net.connects(sealed, outside, 81) == .refused)
        // Another namespace that lets it in does not open the gap.
        try await net.namespace("team-a", annotations: ["espalier.dev/allow-from": "vault"])
        #expect(try await net.connects(sealed, one, 80) == .refused)
        try await net.end()
    }

    @Test func nobodySpeaksUnderAnothersAddress() async throws {
        let net = try await WallsFixture()
        let thief = try await net.pod("thief", "team-b")
        let victim = try await net.pod("victim")
        let target = try await net.pod("target")
        try await net.listen(target, 80, udp: true)
        try await net.listen(victim, 81)
        #expect(try await net.reach(victim, target.address, 80, udp: true).outcome == .connected)
        let count = "nft list counters table inet \(net.network.table) >&2; cat /proc/net/snmp | grep ^Udp:"
        let before = try await net.shell(target, count)
        try await net.shell(thief, "ip addr add \(victim.address)/32 dev eth0")
        #expect(try await net.reach(thief, target.address, 80, udp: true, source: victim.address).outcome == .silent)
        #expect(try await net.shell(target, count) == before, "no datagram arrived")
        // ARP is believed of a link for what is on that link only.
        let announce = """
            import socket, fcntl, struct
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)); s.bind(("eth0", 0x0806))
            mac = s.getsockname()[4]; a = socket.inet_aton("\(victim.address)"); g = socket.inet_aton("\(net.bridge.address)")
            for op in (1, 2):
                s.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, op) + mac + a + b"\\xff" * 6 + g)
            """
        try await net.shell(thief, "/usr/bin/python3 -c '\(announce)'")
        #expect(try await net.connects(.host, victim, 81) == .connected)
        try await net.end()
    }

    @Test func nothingPassesByIPv6() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one")
        let two = try await net.pod("two")
        try await net.listen(.host, 18_086, at: "::")
        #expect(try await net.shell(one, "ip -6 addr show dev eth0") == "")
        // A pod that gives itself addresses gets no answer to them.
        for (pod, address) in [(one, "fe80::1:1"), (two, "fe80::1:2")] {
            try await net.shell(pod, "ip addr add \(address)/64 dev eth0 nodad && ip -6 route add default dev eth0")
        }
        try await net.listen(two, 80, at: "::")
        let hosts = try await net.shell(.host, "ip -6 -o addr show scope global | awk '{print $4}' | cut -d/ -f1")
        for address in hosts.split(separator: "\n").map(String.init) + ["fe80::1:2%eth0", "fd00:1::1"] {
            let found = try await net.reach(one, address, 18_086).outcome
            #expect(found == .silent || found == .unreachable, "\(address): \(found)")
        }
        try await net.end()
    }

    @Test func policiesTakeTheDefaultsPlace() async throws {
        let net = try await WallsFixture()
        let http: JSON = [["name": "http", "containerPort": 8080]]
        let web = try await net.pod("web", labels: ["app": "web"], ports: http)
        let client = try await net.pod("client", labels: ["app": "client"])
        let friend = try await net.pod("friend", "team-b", labels: ["app": "client"])
        let service = try await net.service(70, "web", selector: ["app": "web"], port: 80, target: "http")
        try await net.listen(web, 8080)
        try await net.listen(web, 8081)
        try await net.listen(.host, 80, at: service.address)
        try await net.namespace("team-b", labels: ["team": "b"])
        let peer: JSON = [
            "namespaceSelector": ["matchLabels": ["team": "b"]],
            "podSelector": ["matchLabels": ["app": "client"]],
        ]
        try await net.set(
            Walls.policies, "web", "team-a",
            spec: [
                "podSelector": ["matchLabels": ["app": "web"]], "policyTypes": ["Ingress"],
                "ingress": [["from": [peer], "ports": [["port": "http"]]]],
            ])
        #expect(try await net.connects(friend, web, 8080) == .connected)
        #expect(try await net.connects(friend, web, 8081) == .refused)
        #expect(try await net.connects(friend, service, 80) == .connected, "the Service leads to the port")
        #expect(try await net.connects(client, web, 8080) == .refused, "the namespace's default is gone")
        #expect(try await net.connects(client, service, 80) == .refused)

        // What may go out: to web's port 8080 and nothing else.
        try await net.set(Walls.policies, "web", "team-a", spec: ["podSelector": ["matchLabels": ["app": "no"]]])
        try await net.set(
            Walls.policies, "out", "team-a",
            spec: [
                "podSelector": ["matchLabels": ["app": "client"]], "policyTypes": ["Egress"],
                "egress": [
                    [
                        "to": [["podSelector": ["matchLabels": ["app": "web"]]]],
                        "ports": [["port": 8000, "endPort": 8080]],
                    ]
                ],
            ])
        #expect(try await net.connects(client, web, 8080) == .connected)
        #expect(try await net.connects(client, web, 8081) == .refused)
        #expect(try await net.connects(client, service, 80) == .connected)
        #expect(try await net.reach(client, "192.0.2.1", 80).outcome == .refused)
        try await net.end()
    }

    @Test func aClosedWallStopsWhatIsUnderWay() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one", "team-b")
        let two = try await net.pod("two")
        try await net.namespace("team-a", annotations: ["espalier.dev/allow-from": "*"])
        try await net.listen(two, 80, udp: true)
        let program = """
            import socket, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect(("\(two.address)", 80))
            def ask():
                try: s.send(b"x"); return s.recv(100) != b""
                except OSError: return False
            print(ask()); open("\(net.directory)/first", "w").close(); open("\(net.directory)/next").read(); print(ask())
            """
        try await net.shell(.host, "mkfifo \(net.directory)/next")
        async let output = net.shell(one, "/usr/bin/python3 -c '\(program)'")
        while access("\(net.directory)/first", F_OK) != 0 { try await SystemClock().sleep(for: .milliseconds(2)) }
        try await net.namespace("team-a")
        try await net.shell(.host, "echo > \(net.directory)/next")
        #expect(try await output == "True\nFalse\n")
        try await net.end()
    }

    @Test func rulesThatWereTakenAwayComeBackAndLeftoversGo() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one")
        let other = try await net.pod("other", "team-b")
        try await net.listen(one, 80)
        try await net.shell(.host, "nft delete table inet \(net.network.table)")
        try await net.walls.verify()
        #expect(try await net.connects(other, one, 80) == .refused)
        try await net.shell(.host, "nft delete table inet \(net.network.table)")
        // A change meets a kernel that knows nothing.
        let late = try await net.pod("late", "team-b")
        #expect(try await net.connects(late, one, 80) == .refused)
        #expect(try await net.connects(late, other, 80) == .refused, "nobody listens")

        // A crash left the table of a server whose bridge is gone.
        try await net.shell(.host, "nft add table inet espalier-00zzzz")
        let again = await NodeNetwork.probe(dataDirectory: net.directory, spawner: SystemProcessSpawner())
        #expect(again.mode == net.network.mode)
        let tables = try await net.shell(.host, "nft list tables inet")
        #expect(!tables.contains("espalier-00zzzz") && tables.contains(net.network.table))
        try await net.end()
    }

    /// Times are printed, not judged: what is judged is how much the kernel is told.
    @Test func aPodsComingIsAFewElements() async throws {
        let net = try await WallsFixture()
        var network = ClusterNetwork(
            table: net.network.table, linkPrefix: net.network.linkPrefix, podRange: net.bridge.pods,
            serviceRange: net.network.services, gateway: net.bridge.address)
        func add(_ number: Int) {
            let document = Document([
                "metadata": [
                    "namespace": .string("team-\(number % 10)"), "labels": ["app": .string("a\(number % 20)")],
                ]
            ])
            var pod = ClusterNetwork.Pod(document)
            pod.place = ClusterNetwork.Place(
                address: net.bridge.pods.address(number + 2), link: "\(net.network.linkPrefix)\(number)")
            network.pods["\(number)"] = pod
        }
        for number in 0..<200 { add(number) }
        for number in 0..<40 {
            let key = ObjectKey(Walls.services, namespace: "team-\(number % 10)", name: "s\(number)")
            network.services[key] = ClusterNetwork.Service(
                Document([
                    "metadata": ["namespace": .string("team-\(number % 10)")],
                    "spec": [
                        "clusterIP": .string(net.network.services.address(number + 1).description),
                        "selector": ["app": .string("a\(number % 20)")], "ports": [["port": 80]],
                    ],
                ]))
        }
        let tool = try #require(PacketFilterTool(spawner: SystemProcessSpawner()))
        let clock = ContinuousClock()
        var rules = Ruleset(table: "")
        let computing = clock.measure { rules = Ruleset.walls(of: network) }
        let applying = try await clock.measure { try await tool.apply(rules.text) }
        var changing: [Duration] = []
        for number in 200..<210 {
            add(number)
            let next = Ruleset.walls(of: network)
            let changes = next.changes(from: rules)
            #expect(changes.split(separator: "\n").count == 5, "\(changes)")
            changing.append(try await clock.measure { try await tool.apply(changes) })
            rules = next
        }
        changing.sort()
        print("200 pods: computed in \(computing), applied in \(applying); a pod more: \(changing[0])…\(changing[9])")
        // The kernel has what we think it has: the whole again differs in nothing.
        let before = try await net.shell(.host, "nft list table inet \(net.network.table)")
        try await tool.apply(rules.text)
        #expect(try await net.shell(.host, "nft list table inet \(net.network.table)") == before)
        try await net.end()
    }
}
