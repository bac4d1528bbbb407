import Documents
import Glibc
import Node
import Seams
import Testing

/// Names as pods ask for them, over the real network.
@Suite(.serialized, .enabled(if: WallsFixture.isRoot, "pods with a network need root, CAP_NET_ADMIN and nft"))
struct DNSServerTests {
    /// Names beyond the cluster, for the test to say.
    private struct Elsewhere: DNSUpstream {
        var address: String

        func ask(_ name: DNSName, _ type: DNSType) async -> DNSAnswer? {
            guard case .query(let query) = DNSQuery.read((try? DNSTests.query(name.description, type)) ?? []) else {
                return nil
            }
            guard name.description.hasSuffix("example.org") else { return try? DNSAnswer(query.answer(.noSuchName)) }
            let numbers = address.split(separator: ".").compactMap { UInt8($0) }
            let records = type == .a ? [DNSRecord(name, .a, numbers, seconds: 30)] : []
            return try? DNSAnswer(query.answer(.noError, records))
        }
    }

    private func serve(_ net: WallsFixture, _ elsewhere: String) async throws -> Task<Void, Never> {
        let resolver = PodResolver(
            walls: net.walls, podRange: net.bridge.pods, serviceRange: net.network.services,
            upstream: Elsewhere(address: elsewhere))
        resolver.onChanges(DNSTests.changes, isFirst: true)
        let server = DNSServer(resolver: resolver, clock: SystemClock())
        let address = net.bridge.address
        let (listening, feed) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            do { try await server.run(address: address) { feed.yield() } } catch { Issue.record("\(error)") }
            feed.finish()
        }
        for await _ in listening { break }
        return task
    }

    /// Asks from within a pod as a program's own library does, with the file it would have.
    private func libraryFinds(_ net: WallsFixture, _ pod: WallsFixture.Place, _ name: String) async throws -> String {
        let namespace = try #require(pod.namespace)
        let file = PodResolverConfiguration.text(
            [:], namespace: "team-a", resolver: net.bridge.address, host: "")
        try await net.shell(
            .host, "mkdir -p /etc/netns/\(namespace) && printf '\(file)' > /etc/netns/\(namespace)/resolv.conf")
        let found = try await net.shell(pod, "getent ahostsv4 \(name) | awk '{print $1}' | sort -u || true")
        try await net.shell(.host, "rm -r /etc/netns/\(namespace); rmdir /etc/netns 2>/dev/null || true")
        return found.split(separator: "\n").joined(separator: " ")
    }

    @Test func librariesInPodsFindNames() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one")
        let task = try await serve(net, "192.0.2.80")
        for name in ["web", "web.team-a", "web.team-a.svc", "web.team-a.svc.cluster.local"] {
            #expect(try await libraryFinds(net, one, name) == "10.96.8.7", "\(name)")
        }
        #expect(try await libraryFinds(net, one, "db") == "10.97.8.20 10.97.8.22")
        #expect(try await libraryFinds(net, one, "api.example.org") == "192.0.2.80")
        #expect(try await libraryFinds(net, one, "mail") == "192.0.2.80", "an ExternalName")
        #expect(try await libraryFinds(net, one, "nobody") == "")
        let asked = try await net.shell(one, "busybox nslookup web.team-a.svc.cluster.local \(net.bridge.address)")
        #expect(asked.contains("10.96.8.7"), "\(asked)")
        task.cancel()
        await task.value
        try await net.end()
    }

    @Test func connectionsCarrySeveralQuestions() async throws {
        let net = try await WallsFixture()
        let one = try await net.pod("one")
        let task = try await serve(net, "192.0.2.80")
        let questions = try ["web", "db", "shop-cart"].map { try DNSTests.query("\($0).team-a.svc.cluster.local", .a) }
        let wire = questions.flatMap { [UInt8($0.count >> 8), UInt8($0.count & 255)] + $0 }
        let program = """
            import socket
            s = socket.create_connection(("\(net.bridge.address)", 53), timeout=5); f = s.makefile("rb")
            s.sendall(bytes(\(wire)))
            for i in range(3):
                n = int.from_bytes(f.read(2), "big"); m = f.read(n); print(m[3] & 15, int.from_bytes(m[6:8], "big"))
            """
        #expect(try await net.shell(one, "/usr/bin/python3 -c '\(program)'") == "0 1\n0 2\n0 1\n")
        task.cancel()
        await task.value
        try await net.end()
    }

    @Test func anAirGapIsOpenForNamesOfTheListOnly() async throws {
        let net = try await WallsFixture()
        let outside = try await net.outside()
        try await net.listen(outside, 80)
        let sealed = try await net.pod("sealed", "vault")
        let list = "*.example.org:80"
        try await net.namespace(
            "vault", annotations: ["espalier.dev/egress": "Denied", "espalier.dev/egress-allow": .string(list)])
        let task = try await serve(net, outside.address)
        #expect(try await net.connects(sealed, outside, 80) == .refused, "nobody has asked yet")
        #expect(try await libraryFinds(net, sealed, "example.org") == "", "not below itself")
        #expect(try await libraryFinds(net, sealed, "api.example.com") == "")
        #expect(try await libraryFinds(net, sealed, "api.example.org") == outside.address)
        #expect(try await net.connects(sealed, outside, 80) == .connected)
        #expect(try await net.connects(sealed, outside, 81) == .refused)
        task.cancel()
        await task.value
        try await net.end()
    }

    /// The real forwarder against a resolver of the test's own, which first answers under another number.
    @Test func theHostsResolversAreAsked() async throws {
        let net = try await WallsFixture()
        let program = """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 18053))
            open("\(net.directory)/resolver", "w").close()
            d, a = s.recvfrom(1000)
            q = d[12:-11]
            r = lambda i, x: i + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + q + b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x1e\\0\\4" + bytes(x)
            s.sendto(r(bytes([d[0] ^ 1]) + d[1:2], [6, 6, 6, 6]), a); s.sendto(r(d[:2], [192, 0, 2, 9]), a)
            """
        async let answered = net.shell(.host, "/usr/bin/python3 -c '\(program)'")
        while access("\(net.directory)/resolver", F_OK) != 0 { try await SystemClock().sleep(for: .milliseconds(2)) }
        try await net.shell(.host, "printf 'nameserver 127.0.0.1\\n' > \(net.directory)/resolv.conf")
        let host = HostResolvers(
            path: "\(net.directory)/resolv.conf", port: 18053, clock: SystemClock(), random: SystemRandomSource())
        let name = try #require(DNSName("x.example.org"))
        let answer = try #require(await host.ask(name, .a))
        #expect(answer.answers == [DNSRecord(name, .a, [192, 0, 2, 9], seconds: 30)])
        _ = try await answered
        #expect(await host.ask(name, .a) == nil, "nobody there")
        try await net.end()
    }
}
