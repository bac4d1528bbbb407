import Client
import Documents
import Glibc
import Node
import Seams
import Testing

/// Pods with addresses of their own, where this machine permits it: root and CAP_NET_ADMIN.
@Suite(.serialized, .enabled(if: geteuid() == 0, "a bridge needs root and CAP_NET_ADMIN"))
struct NetworkTests {
    static let server = """
        import http.server, socket
        class H(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
        http.server.ThreadingHTTPServer(("", 80), H).serve_forever()
        """

    static func spec(_ command: [String], _ extra: JSONObject = [:]) -> JSON {
        var container: JSONObject = ["name": "main", "command": .array(command.map { .string($0) })]
        for member in extra.members { container[member.key] = member.value }
        return [
            "runtimeClassName": "espalier-process", "terminationGracePeriodSeconds": 2,
            "containers": [.object(container)],
        ]
    }

    @Test func eachPodHasAnAddressAndItsOwnPorts() async throws {
        let node = try await TestNode(bridge: true)
        guard case .bridge(let bridge) = node.configuration.network.mode else {
            Issue.record("no bridge although we are root: \(node.configuration.network.mode)")
            return
        }
        node.startAgent()
        let web = Self.spec(
            ["/usr/bin/python3", "-c", Self.server],
            [
                "ports": [["name": "http", "containerPort": 80]],
                "readinessProbe": ["httpGet": ["path": "/", "port": "http"]],
            ])
        _ = try await node.create("one", web)
        _ = try await node.create("two", web)
        let one = try await node.wait("one", "readiness") { $0.isReady }
        let two = try await node.wait("two", "readiness") { $0.isReady }
        let addresses = [one, two].compactMap { $0.status["podIP"]?.stringValue.flatMap(IPv4Address.init) }
        #expect(addresses.count == 2 && addresses[0] != addresses[1])
        #expect(addresses.allSatisfy { bridge.pods.contains($0) && $0 != bridge.address })
        #expect(one.status["hostIP"]?.stringValue == bridge.address.description)

        // A Service's address is this machine's own: bound here, reached from a pod.
        let service = node.configuration.network.services.address(77)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(3000).bigEndian
        address.sin_addr.s_addr = service.number.bigEndian
        let bound = withUnsafeBytes(of: &address) { bytes in
            bind(listener, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        #expect(bound == 0, "a service address must be bindable")
        #expect(listen(listener, 5) == 0)
        // Nobody reaches an address of the range that is no Service's.
        _ = try await node.client.create(
            Document([
                "apiVersion": "v1", "kind": "Service", "metadata": ["name": "there", "namespace": "default"],
                "spec": ["clusterIP": .string("\(service)"), "ports": [["port": 3000]]],
            ]), options: options)
        let program = "import socket; socket.create_connection(('\(service)', 3000), timeout=5); print('reached')"
        _ = try await node.create(
            "client",
            {
                var spec = Self.spec(["/usr/bin/python3", "-c", program])
                spec["restartPolicy"] = "Never"
                return spec
            }())
        try await node.wait("client", "success") { $0.phase == "Succeeded" }

        // Adoption keeps the address.
        await node.dropAgent()
        node.startAgent()
        _ = try await node.create("three", web)
        let three = try await node.wait("three", "readiness") { $0.isReady }
        #expect(!addresses.contains { $0.description == three.status["podIP"]?.stringValue })
        #expect(try await node.client.get(node.key("one")).resourceVersion == one.resourceVersion)

        try await node.client.delete(node.key("one"), options: DeleteOptions())
        try await node.waitGone("one")
        let instance = NodeNetwork.instance(dataDirectory: node.directory)
        #expect(names("/run/netns").filter { $0.contains(instance) }.count == 3)
        try await node.end()
    }

    @Test func twoServersOnOneMachineHaveDifferentRanges() async throws {
        let first = try await TestNode(bridge: true)
        let second = try await TestNode(bridge: true)
        #expect(first.configuration.network.services != second.configuration.network.services)
        #expect(first.configuration.network.mode != second.configuration.network.mode)
        let again = await NodeNetwork.probe(dataDirectory: first.directory, spawner: SystemProcessSpawner())
        #expect(again.mode == first.configuration.network.mode, "a server keeps its range")
        for node in [first, second] {
            node.startAgent()
            try await node.end()
        }
    }

    @Test func aFailedStartTakesItsBridgeAlong() async throws {
        let node = try await TestNode(bridge: true)
        guard case .bridge(let bridge) = node.configuration.network.mode else { return }
        let again = await NodeNetwork.probe(dataDirectory: node.directory, spawner: SystemProcessSpawner())
        await again.undo(spawner: SystemProcessSpawner())
        #expect(access("/sys/class/net/\(bridge.name)", F_OK) == 0, "a bridge that was there before stays")
        await node.configuration.network.undo(spawner: SystemProcessSpawner())
        #expect(access("/sys/class/net/\(bridge.name)", F_OK) != 0)
        node.startAgent()
        try await node.end()
    }

    @Test func aBridgeWhosePodsLiveIsLeftAlone() async throws {
        let node = try await TestNode(bridge: true)
        guard case .bridge(let bridge) = node.configuration.network.mode else { return }
        node.startAgent()
        _ = try await node.create("one", Self.spec(["/bin/sleep", "1000"]))
        try await node.wait("one", "readiness") { $0.isReady }
        // As a server in another mount namespace sees it: the data directory is not there.
        let renamed = try await SystemProcessSpawner().run(
            ProcessLaunch(
                path: "/usr/bin/env",
                arguments: ["env", "ip", "link", "set", bridge.name, "alias", node.directory + "-elsewhere"],
                environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]), input: [], timeout: .seconds(10))
        #expect(renamed.code == 0)
        let other = try await TestNode(bridge: true)
        #expect(access("/sys/class/net/\(bridge.name)", F_OK) == 0)
        other.startAgent()
        try await other.end()
        try await node.end()
    }

    @Test func aBridgeWhoseServerIsGoneIsRemoved() async throws {
        let gone = try await TestNode(bridge: true)
        guard case .bridge(let bridge) = gone.configuration.network.mode else { return }
        _ = try await SystemProcessSpawner().run(
            ProcessLaunch(path: "/bin/rm", arguments: ["rm", "-rf", "--", gone.directory], environment: []), input: [],
            timeout: .seconds(10))
        let next = try await TestNode(bridge: true)
        #expect(access("/sys/class/net/\(bridge.name)", F_OK) != 0)
        next.startAgent()
        try await next.end()
    }
}

/// Without a bridge: the host's network, a free port a pod.
@Suite(.serialized)
struct HostNetworkTests {
    @Test func aPodGetsAFreePortAndSaysWhich() async throws {
        let node = try await TestNode()
        node.startAgent()
        let program = NetworkTests.server.replacing("80)", with: "int(__import__('os').environ['PORT']))")
        let web = NetworkTests.spec(
            ["/usr/bin/python3", "-c", program],
            [
                "ports": [["name": "http", "containerPort": 80]],
                "readinessProbe": ["httpGet": ["path": "/", "port": "http"]],
            ])
        _ = try await node.create("one", web)
        _ = try await node.create("two", web)
        let one = try await node.wait("one", "readiness") { $0.isReady }
        let two = try await node.wait("two", "readiness") { $0.isReady }
        let ports = try [one, two].map {
            try JSONParser.parse(Array(($0.annotations["espalier.dev/ports"] ?? "").utf8))["http"]?.integerValue
        }
        #expect(ports.allSatisfy { $0 != nil } && ports[0] != ports[1])
        try await node.end()
    }
}
