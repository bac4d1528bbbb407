internal import CShim
internal import Glibc
internal import Logging
package import Seams

/// How the pods of this server are reached: decided once at start, by trying.
///
/// With the right to do so, each server has a bridge of its own (`esp` and six digits of a hash of its data directory),
/// each pod a network namespace and an address on it. Otherwise pods share the host's network and the node gives each a
/// free port. Several servers on one machine never share a range: a range is taken by the bridge that bears it, and a
/// bridge whose data directory is gone is removed by whoever meets it.
package struct NodeNetwork: Sendable {
    package enum Mode: Sendable, Hashable {
        case bridge(Bridge)
        /// Why there is no bridge, for the log and the Node's conditions.
        case host(reason: String)
    }

    /// The bridge of one server. Pods have the addresses of `pods` from the third on; the second is the bridge's.
    package struct Bridge: Sendable, Hashable {
        package var name: String
        package var pods: IPv4Range
        package var address: IPv4Address { pods.address(1) }
    }

    package var mode: Mode
    /// Whether the bridge was made by this very start, and so may be taken down where the start fails.
    package var isNew = false
    /// Six hexadecimal digits that tell servers on one machine apart: part of every name outside the data directory.
    package var instance: String
    /// The addresses that the API server gives to Services: all of them are this machine's own.
    package var services: IPv4Range

    /// The table of the machine's packet filter that is this server's.
    package var table: String { "espalier-\(instance)" }
    /// What the names of the host's ends of its pods' links begin with.
    package var linkPrefix: String { "ev\(instance.prefix(5))" }

    /// What goes into the API server's configuration, `10.96.8.0/21`.
    package var serviceRange: String { services.description }

    /// Where a pod on the host network is reached, and the address of the host as its pods see it.
    package var hostAddress: String {
        switch mode {
        case .bridge(let bridge): bridge.address.description
        case .host: "127.0.0.1"
        }
    }

    /// FNV-1a, stable across versions: names of what outlives us are made from it.
    package static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }

    package static func instance(dataDirectory: String) -> String {
        let digits = String(hash(dataDirectory) & 0xFF_FFFF, radix: 16)
        return String(repeating: "0", count: 6 - digits.count) + digits
    }

    /// The environment entry of a server's pods and gateway, so that what is its own can be told from what is not. It
    /// says nothing of the machine's paths.
    package static func mark(_ instance: String) -> String { "ESPALIER_INSTANCE=\(instance)" }

    /// Decides the mode and, for a bridge, makes it. `dataDirectory` must exist and be absolute, without links.
    package static func probe(
        dataDirectory: String, spawner: any ProcessSpawner, allowsBridge: Bool = true
    ) async -> NodeNetwork {
        let instance = instance(dataDirectory: dataDirectory)
        func host(_ reason: String) -> NodeNetwork {
            let slot = UInt32(hash(dataDirectory) % 512)
            let services = IPv4Range(base: IPv4Address(127, 96 + slot / 16, slot % 16 * 16, 0), prefix: 20)
            return NodeNetwork(mode: .host(reason: reason), instance: instance, services: services)
        }
        guard allowsBridge else { return host("the bridge was switched off") }
        guard geteuid() == 0 else { return host("the server does not run as root") }
        guard let tool = NetworkTool.find() else { return host("there is no ip command (install iproute2)") }
        let isNew = !StateFiles.exists("/sys/class/net/esp\(instance)")
        do {
            let slot = try await takeSlot(dataDirectory: dataDirectory, instance: instance, tool: tool, spawner)
            return NodeNetwork(
                mode: .bridge(Bridge(name: "esp\(instance)", pods: podRange(slot))), isNew: isNew, instance: instance,
                services: serviceRange(slot))
        } catch {
            return host("no bridge could be made: \(error)")
        }
    }

    static let slots = 32
    static func podRange(_ slot: Int) -> IPv4Range {
        IPv4Range(base: IPv4Address(10, 97, UInt32(slot) * 8, 0), prefix: 21)
    }
    static func serviceRange(_ slot: Int) -> IPv4Range {
        IPv4Range(base: IPv4Address(10, 96, UInt32(slot) * 8, 0), prefix: 21)
    }

    /// Takes the range this server had before, else the first free one from its hash on, and makes the bridge.
    private static func takeSlot(
        dataDirectory: String, instance: String, tool: String, _ spawner: any ProcessSpawner
    ) async throws(ProcessError) -> Int {
        let record = "\(dataDirectory)/node/network"
        let lock = open("/run/lock/espalier-network", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { if lock >= 0 { close(lock) } }
        // Only for the moments of choosing; a server that hangs here must not keep others from starting.
        for _ in 0..<200 where lock >= 0 && espalier_try_lock(lock) == 0 {
            try? await SystemClock().sleep(for: .milliseconds(5))
        }
        let taken = try await takenSlots(except: "esp\(instance)", tool: tool, spawner)
        await removeTablesWithoutBridge(spawner)
        let before = StateFiles.text(record).flatMap { Int($0.filter(\.isNumber)) }
        let first = before ?? Int(hash(dataDirectory) >> 24 & 0xFF)
        let candidates = (0..<slots).map { (first + $0) % slots }
        guard let slot = candidates.first(where: { !taken.contains($0) }) else {
            throw ProcessError(message: "all \(slots) address ranges in 10.97.0.0/16 are taken by other servers")
        }
        let bridge = "esp\(instance)"
        var commands = StateFiles.exists("/sys/class/net/\(bridge)") ? [] : ["link add name \(bridge) type bridge"]
        if before != slot, commands.isEmpty { commands.append("addr flush dev \(bridge)") }
        commands += [
            "link set \(bridge) alias \"\(dataDirectory)\"",
            "addr replace \(podRange(slot).address(1))/21 dev \(bridge)",
            "link set \(bridge) addrgenmode none up",
            "route replace local \(serviceRange(slot)) dev \(bridge)",
        ]
        try await NetworkTool(path: tool, spawner: spawner).batch(commands)
        do {
            try StateFiles.makeDirectories("\(dataDirectory)/node")
            try StateFiles.write(record, Array("\(slot)\n".utf8))
        } catch {
            throw ProcessError(message: "cannot record the address range: \(error)")
        }
        return slot
    }

    /// The ranges of other servers' bridges, after removing bridges whose data directory is gone.
    private static func takenSlots(
        except own: String, tool: String, _ spawner: any ProcessSpawner
    ) async throws(ProcessError) -> Set<Int> {
        let network = NetworkTool(path: tool, spawner: spawner)
        let result = try await network.run(["-4", "-o", "addr", "show"])
        var taken: Set<Int> = []
        for line in result.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count > 3, words[1] != own, let address = IPv4Address(String(words[3].prefix { $0 != "/" }))
            else { continue }
            let (a, b, c) = (address.number >> 24, address.number >> 16 & 255, address.number >> 8 & 255)
            guard a == 10, b == 96 || b == 97 else { continue }
            let device = String(words[1])
            let owner = StateFiles.text("/sys/class/net/\(device)/ifalias")?.split(separator: "\n").first
            if device.hasPrefix("esp"), let owner, owner.hasPrefix("/"), !StateFiles.isDirectory(String(owner)),
                await !isInUse(String(device.dropFirst(3)), network)
            {
                _ = try? await network.run(["link", "del", device])  // A leftover; in the worst case it stays.
            } else {
                taken.insert(Int(c / 8))
            }
        }
        return taken
    }

    /// A server's table goes before its bridge and comes after it: a table without one is what a crash has left.
    private static func removeTablesWithoutBridge(_ spawner: any ProcessSpawner) async {
        guard let tool = PacketFilterTool(spawner: spawner), let tables = try? await tool.tables() else { return }
        for table in tables where table.hasPrefix("espalier-") && table.utf8.count == 15 {
            let bridge = "esp\(table.dropFirst(9))"
            if StateFiles.exists("/sys/class/net/\(bridge)") { continue }
            try? await tool.apply("delete table inet \(table)\n")  // In the worst case it stays and matches nothing.
        }
    }

    /// Whether anything of a server still lives, though its data directory cannot be seen: that may be so from another
    /// mount namespace. Its processes are found by their mark, and by the network namespaces they are in.
    private static func isInUse(_ instance: String, _ network: NetworkTool) async -> Bool {
        let mark = Array(mark(instance).utf8)
        let isMarked = StateFiles.names(in: "/proc").contains { name in
            guard Int32(name) != nil, let block = StateFiles.read("/proc/\(name)/environ") else { return false }
            return block.split(separator: 0).contains { $0.elementsEqual(mark) }
        }
        if isMarked { return true }
        for name in StateFiles.names(in: "/run/netns") where name.hasPrefix("esp\(instance)-") {
            // What cannot be asked may be in use.
            guard let pids = try? await network.run(["netns", "pids", name]) else { return true }
            if pids.contains(where: \.isNumber) { return true }
        }
        return false
    }

    /// Takes the bridge down after a failed start, where that start made it and no pod is on it.
    package func undo(spawner: any ProcessSpawner) async {
        let links = StateFiles.names(in: "/sys/class/net").filter { $0.hasPrefix(linkPrefix) }
        if isNew, links.isEmpty { await remove(spawner: spawner) }
    }

    /// Takes the bridge and the walls down at a complete stop.
    package func remove(spawner: any ProcessSpawner) async {
        guard case .bridge(let bridge) = mode, let tool = NetworkTool.find() else { return }
        try? await Walls(network: self, spawner: spawner)?.remove()  // The next server to start finds it.
        let network = NetworkTool(path: tool, spawner: spawner)
        _ = try? await network.run(["link", "del", bridge.name])  // Gone already is fine.
        UplinkForwarding.closeUnlessUsed()
    }
}

/// The `ip` command of iproute2.
struct NetworkTool: Sendable {
    var path: String
    var spawner: any ProcessSpawner

    static func find() -> String? {
        ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"].first { StateFiles.exists($0) }
    }

    @discardableResult
    func run(_ arguments: [String], input: String = "") async throws(ProcessError) -> String {
        let launch = ProcessLaunch(
            path: path, arguments: ["ip"] + arguments, environment: ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin"])
        let result = try await spawner.run(launch, input: Array(input.utf8), timeout: Limits.commandTimeout)
        guard result.code == 0 else {
            throw ProcessError(
                message: "ip \(arguments.joined(separator: " ")) answered \(result.code): \(result.text)")
        }
        return result.text
    }

    func batch(_ commands: [String], namespace: String? = nil) async throws(ProcessError) {
        let place = namespace.map { ["-n", $0] } ?? []
        try await run(place + ["-batch", "-"], input: commands.joined(separator: "\n") + "\n")
    }
}
