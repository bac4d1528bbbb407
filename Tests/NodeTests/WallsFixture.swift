import Documents
import Glibc
import Node
import Seams
import Testing

/// A network of a test's own on the real kernel: pods without containers, a neighbour outside of it, and programs that
/// listen and connect in any of them. Every test ends with `end`, which finds what was left.
final class WallsFixture: Sendable {
    /// Where a program runs: the machine itself, a pod's namespace, or the neighbour's.
    struct Place: Sendable {
        var namespace: String?
        var address: String
        var uid = ""

        static let host = Place(namespace: nil, address: "127.0.0.1")
    }

    /// What became of a connection.
    enum Outcome: String, Sendable { case connected, refused, silent, unreachable }

    static let isRoot = geteuid() == 0 && access("/usr/sbin/nft", X_OK) == 0

    let directory: String
    let network: NodeNetwork
    let bridge: NodeNetwork.Bridge
    let podNetwork: PodNetwork
    let walls: Walls
    private let spawner = SystemProcessSpawner()
    private let started = Shared<[ProcessIdentity]>([])
    private let counter = Shared(0)

    init() async throws {
        var template = Array("/tmp/espalier-walls-XXXXXX".utf8CString)
        directory = String(cString: try #require(mkdtemp(&template)))
        network = await NodeNetwork.probe(dataDirectory: directory, spawner: spawner)
        guard case .bridge(let bridge) = network.mode else { throw TestFailure("no bridge: \(network.mode)") }
        self.bridge = bridge
        podNetwork = PodNetwork(network, spawner: spawner)
        walls = try #require(podNetwork.walls)
    }

    func end() async throws {
        for process in started.get() { spawner.signal(process, SIGKILL) }
        for process in started.get() { await spawner.waitForExit(process) }
        await podNetwork.removeLeftovers(keeping: [])
        for name in names("/run/netns") where name == outsideName { try await ip(["netns", "del", name]) }
        await network.remove(spawner: spawner)
        // The kernel takes a namespace's links down in its own time.
        let instance = network.instance
        try await until("the links go") {
            !names("/sys/class/net").contains { $0.contains(instance.prefix(5)) }
        }
        #expect(names("/run/netns").filter { $0.contains(network.instance) } == [], "network namespaces left over")
        let tables = try await run("/usr/sbin/nft", ["nft", "list", "tables"])
        #expect(!tables.contains(network.table), "rules left over")
        _ = try await run("/bin/rm", ["rm", "-rf", "--", directory])
    }

    // MARK: Who is there

    func pod(
        _ name: String, _ namespace: String = "team-a", labels: JSONObject = [:], annotations: JSONObject = [:],
        ports: JSON = []
    ) async throws -> Place {
        counter.set(counter.get() + 1)
        let uid = "uid-\(counter.get())-\(name)"
        let document = Document([
            "apiVersion": "v1", "kind": "Pod",
            "metadata": [
                "name": .string(name), "namespace": .string(namespace), "uid": .string(uid), "labels": .object(labels),
                "annotations": .object(annotations),
            ], "spec": ["containers": [["name": "main", "ports": ports]]],
        ])
        walls.onChanges([Walls.Change(Walls.pods, document)])
        let address = try await podNetwork.prepare(uid: uid, recorded: nil)
        return Place(namespace: podNetwork.namespace(of: uid), address: address, uid: uid)
    }

    /// Sets a Service or NetworkPolicy and waits until the kernel knows.
    func set(_ resource: GroupResource, _ name: String, _ namespace: String, spec: JSON) async throws {
        let metadata: JSON = ["name": .string(name), "namespace": .string(namespace)]
        walls.onChanges([Walls.Change(resource, Document(["metadata": metadata, "spec": spec]))])
        try await walls.settle()
    }

    func namespace(_ name: String, labels: JSONObject = [:], annotations: JSONObject = [:]) async throws {
        let metadata: JSON = ["name": .string(name), "labels": .object(labels), "annotations": .object(annotations)]
        walls.onChanges([Walls.Change(Walls.namespaces, Document(["metadata": metadata]))])
        try await walls.settle()
    }

    func service(
        _ offset: Int, _ name: String, _ namespace: String = "team-a", selector: JSON = [:], port: Int64 = 80,
        target: JSON? = nil
    ) async throws -> Place {
        let address = network.services.address(offset).description
        try await set(
            Walls.services, name, namespace,
            spec: [
                "clusterIP": .string(address), "selector": selector,
                "ports": [["port": .integer(port), "targetPort": target ?? .integer(port)]],
            ])
        return Place(namespace: nil, address: address)
    }

    private var outsideName: String { "out\(network.instance)" }

    /// A neighbour on another device of the machine, who sends what is for the pods' and Services' ranges to it.
    func outside() async throws -> Place {
        let link = "eo\(network.instance)"
        let third = Int(network.instance, radix: 16).map { $0 % 250 } ?? 0
        let (near, far) = ("192.168.\(third).1", "192.168.\(third).2")
        try await ip(["netns", "add", outsideName])
        try await ip(["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", outsideName])
        try await ip(["addr", "add", "\(near)/30", "dev", link])
        try await ip(["link", "set", link, "up"])
        try await ip(["-n", outsideName, "addr", "add", "\(far)/30", "dev", "eth0"])
        try await ip(["-n", outsideName, "link", "set", "eth0", "up"])
        try await ip(["-n", outsideName, "route", "add", "default", "via", near])
        _ = try await run("/bin/sh", ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/\(link)/forwarding"])
        return Place(namespace: outsideName, address: far)
    }

    // MARK: What they do

    /// Listens on a port until the test's end; answers each connection and datagram with the client's address.
    func listen(_ place: Place, _ port: Int, at address: String = "0.0.0.0", udp: Bool = false) async throws {
        let ready = "\(directory)/ready-\(counter.get())-\(port)-\(udp)"
        counter.set(counter.get() + 1)
        let program = """
            import socket
            u = \(udp ? "True" : "False")
            f = socket.AF_INET6 if ":" in "\(address)" else socket.AF_INET
            s = socket.socket(f, socket.SOCK_DGRAM if u else socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("\(address)", \(port)))
            if not u: s.listen(50)
            open("\(ready)", "w").close()
            while True:
                if u:
                    d, a = s.recvfrom(2000); s.sendto(a[0].encode(), a)
                else:
                    c, a = s.accept(); c.sendall(a[0].encode()); c.close()
            """
        let arguments = command(place, ["/usr/bin/python3", "-c", program])
        let process = try spawner.start(
            ProcessLaunch(path: arguments[0], arguments: arguments, environment: ["PATH=/usr/sbin:/usr/bin:/bin"]))
        started.set(started.get() + [process])
        let deadline = ContinuousClock.now + patience
        while access(ready, F_OK) != 0 {
            guard spawner.isAlive(process), ContinuousClock.now < deadline else {
                throw TestFailure("nobody listens on \(address):\(port)")
            }
            try await SystemClock().sleep(for: .milliseconds(2))
        }
    }

    /// Tries to reach an address; answers also what it said.
    func reach(_ from: Place, _ address: String, _ port: Int, udp: Bool = false, source: String = "")
        async throws -> (outcome: Outcome, answer: String)
    {
        let program = """
            import socket, errno
            f = socket.AF_INET6 if ":" in "\(address)" else socket.AF_INET
            s = socket.socket(f, \(udp ? "socket.SOCK_DGRAM" : "socket.SOCK_STREAM"))
            s.settimeout(1)
            try:
                if "\(source)": s.bind(("\(source)", 0))
                s.connect(("\(address)", \(port)))
                if \(udp ? "True" : "False"): s.send(b"x")
                print("connected", s.recv(100).decode())
            except socket.timeout: print("silent")
            except OSError as e:
                print("refused" if e.errno in (errno.ECONNREFUSED, errno.ECONNRESET) else "unreachable", e)
            """
        let arguments = command(from, ["/usr/bin/python3", "-c", program])
        let output = try await run(arguments[0], arguments)
        let words = output.split(separator: " ", maxSplits: 1).map { $0.filter { $0 != "\n" } }
        guard let outcome = words.first.flatMap({ Outcome(rawValue: String($0)) }) else { throw TestFailure(output) }
        return (outcome, words.count > 1 ? words[1] : "")
    }

    /// Whether the first can open a connection to the second, which listens on `port`.
    func connects(_ from: Place, _ to: Place, _ port: Int) async throws -> Outcome {
        try await reach(from, to.address, port).outcome
    }

    @discardableResult
    func shell(_ place: Place, _ script: String) async throws -> String {
        let arguments = command(place, ["/bin/sh", "-c", script])
        return try await run(arguments[0], arguments)
    }

    private func command(_ place: Place, _ arguments: [String]) -> [String] {
        place.namespace.map { ["/usr/sbin/ip", "netns", "exec", $0] + arguments } ?? arguments
    }

    func ip(_ arguments: [String]) async throws { _ = try await run("/usr/sbin/ip", ["ip"] + arguments) }

    func run(_ path: String, _ arguments: [String]) async throws -> String {
        let result = try await spawner.run(
            ProcessLaunch(path: path, arguments: arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]),
            input: [], timeout: .seconds(20))
        guard result.code == 0 else { throw TestFailure("\(arguments): \(result.code) \(result.text)") }
        return result.text
    }
}
