internal import CShim
internal import Glibc
package import Seams
internal import Synchronization

/// Gives each pod its place in the network, and takes it back. The names of a pod's namespace and of its link come from
/// the server's instance and the pod's UID, so that a crash between two steps leaves nothing that the next start does
/// not find. A pod's link ends at the host, not in a bridge: whatever leaves it is routed, and meets the walls. Without
/// them, where the machine has no `nft`, nothing of a pod's is forwarded. Thread-safe; the lock guards the table of
/// addresses and ports alone.
package final class PodNetwork: Sendable {
    private struct Taken {
        var addresses: [IPv4Address: String] = [:]
        var ports: [Int: String] = [:]
    }

    package let network: NodeNetwork
    /// `nil` on the host's network, and where there is no `nft`.
    package let walls: Walls?
    private let spawner: any ProcessSpawner
    private let tool: String?
    private let taken = Mutex(Taken())

    package init(_ network: NodeNetwork, spawner: any ProcessSpawner) {
        self.network = network
        self.spawner = spawner
        tool = NetworkTool.find()
        walls = Walls(network: network, spawner: spawner)
    }

    /// Answers the questions of this network's pods; `nil` where there are no walls to say who asks.
    package func resolver(clock: any Clock, random: any RandomSource) -> PodResolver? {
        guard case .bridge(let bridge) = network.mode, let walls else { return nil }
        return PodResolver(
            walls: walls, podRange: bridge.pods, serviceRange: network.services,
            upstream: HostResolvers(clock: clock, random: random))
    }

    /// The name of a pod's namespace; `nil` on the host network.
    package func namespace(of uid: String) -> String? {
        guard case .bridge = network.mode else { return nil }
        return "esp\(network.instance)-\(short(uid))"
    }

    package func namespacePath(of uid: String) -> String? { namespace(of: uid).map { "/run/netns/\($0)" } }

    private func short(_ uid: String) -> String {
        let digits = String(NodeNetwork.hash(uid) & 0xFFFF_FFFF, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    private func link(_ uid: String) -> String { "\(network.linkPrefix)\(short(uid))" }

    /// Makes the pod's namespace, link and address, or finds them; `recorded` is the address it had before. When this
    /// returns the walls know the place.
    package func prepare(uid: String, recorded: String?) async throws(ProcessError) -> String {
        guard case .bridge(let bridge) = network.mode, let tool, let namespace = namespace(of: uid) else {
            return network.hostAddress
        }
        let address = try reserve(uid, bridge, recorded: recorded.flatMap(IPv4Address.init))
        let link = link(uid)
        let isThere = StateFiles.exists("/run/netns/\(namespace)") && StateFiles.exists("/sys/class/net/\(link)")
        if !isThere || recorded != address.description {
            try await remove(uid: uid, keepingReservation: true)
            try await connect(link, namespace, address, bridge, NetworkTool(path: tool, spawner: spawner))
        }
        if let walls {
            walls.place(uid, at: ClusterNetwork.Place(address: address, link: link))
            try await walls.settle()
        }
        KernelSetting.write("/proc/sys/net/ipv4/conf/\(link)/forwarding", walls == nil ? "0" : "1")
        return address.description
    }

    /// Where pods of an earlier agent are, by UID, so that they go on speaking while they are taken over one by one.
    package func restore(_ recorded: [String: String]) {
        guard case .bridge(let bridge) = network.mode, let walls else { return }
        for (uid, text) in recorded {
            guard let address = IPv4Address(text), bridge.pods.contains(address),
                StateFiles.exists("/sys/class/net/\(link(uid))"),
                (try? reserve(uid, bridge, recorded: address)) == address  // Otherwise it is another's by now.
            else { continue }
            walls.place(uid, at: ClusterNetwork.Place(address: address, link: link(uid)))
        }
    }

    private func connect(
        _ link: String, _ namespace: String, _ address: IPv4Address, _ bridge: NodeNetwork.Bridge, _ tool: NetworkTool
    ) async throws(ProcessError) {
        try await tool.batch([
            "netns add \(namespace)", "link add \(link) type veth peer name eth0 netns \(namespace)",
            "link set \(link) addrgenmode none up", "route replace \(address) dev \(link) src \(bridge.address)",
        ])
        // Alone on its wire: everybody else is behind the host.
        try await tool.batch(
            [
                "link set lo up", "link set eth0 addrgenmode none up", "addr add \(address)/32 dev eth0",
                "route add \(bridge.address) dev eth0 scope link", "route add default via \(bridge.address)",
            ], namespace: namespace)
    }

    private func reserve(_ uid: String, _ bridge: NodeNetwork.Bridge, recorded: IPv4Address?) throws(ProcessError)
        -> IPv4Address
    {
        let count = bridge.pods.count - 3
        let first = Int(NodeNetwork.hash(uid) % UInt64(count))
        let address = taken.withLock { taken -> IPv4Address? in
            if let recorded, bridge.pods.contains(recorded), taken.addresses[recorded, default: uid] == uid {
                taken.addresses[recorded] = uid
                return recorded
            }
            for offset in 0..<count {
                let address = bridge.pods.address(2 + (first + offset) % count)
                if taken.addresses[address, default: uid] == uid {
                    taken.addresses[address] = uid
                    return address
                }
            }
            return nil
        }
        guard let address else { throw ProcessError(message: "all \(count) pod addresses of \(bridge.pods) are taken") }
        return address
    }

    package func remove(uid: String) async {
        try? await remove(uid: uid, keepingReservation: false)  // What is not there is removed.
    }

    private func remove(uid: String, keepingReservation: Bool) async throws(ProcessError) {
        if !keepingReservation {
            taken.withLock { taken in
                taken.addresses = taken.addresses.filter { $0.value != uid }
                taken.ports = taken.ports.filter { $0.value != uid }
            }
            if let walls {
                walls.place(uid, at: nil)
                try? await walls.settle()  // What is not applied now goes with the next change.
            }
        }
        guard let tool, let namespace = namespace(of: uid) else { return }
        let command = NetworkTool(path: tool, spawner: spawner)
        if StateFiles.exists("/sys/class/net/\(link(uid))") { _ = try? await command.run(["link", "del", link(uid)]) }
        if StateFiles.exists("/run/netns/\(namespace)") { try await command.run(["netns", "del", namespace]) }
    }

    /// Removes the namespaces and links of this server whose pods are not among `uids`.
    package func removeLeftovers(keeping uids: @autoclosure () -> [String]) async {
        guard let tool, case .bridge = network.mode else { return }
        // Listed before it is asked who is to be kept.
        let foundLinks = StateFiles.names(in: "/sys/class/net")
        let foundNamespaces = StateFiles.names(in: "/run/netns")
        let uids = uids()
        let namespaces = Set(uids.compactMap(namespace(of:)))
        let links = Set(uids.map(link))
        let command = NetworkTool(path: tool, spawner: spawner)
        for name in foundLinks
        where name.hasPrefix(network.linkPrefix) && !links.contains(name) {
            _ = try? await command.run(["link", "del", name])  // It may have gone with its namespace.
        }
        for name in foundNamespaces
        where name.hasPrefix("esp\(network.instance)-") && !namespaces.contains(name) {
            _ = try? await command.run(["netns", "del", name])  // It may have gone meanwhile.
        }
    }

    /// Free ports of the host for a pod that shares its network, one for each of `ports`, the same ones every time.
    package func hostPorts(for ports: [ContainerSpecification.Port], uid: String, recorded: [String: Int]) -> [String:
        Int]
    {
        var result: [String: Int] = [:]
        taken.withLock { taken in
            for port in ports {
                let key = port.name.isEmpty ? String(port.number) : port.name
                if let before = recorded[key] {
                    taken.ports[before] = uid
                    result[key] = before
                    continue
                }
                let first = Int(NodeNetwork.hash("\(uid)/\(key)") % UInt64(Limits.ports.count))
                for offset in 0..<Limits.ports.count {
                    let candidate = Limits.ports.lowerBound + (first + offset) % Limits.ports.count
                    guard taken.ports[candidate] == nil, Self.isFree(candidate) else { continue }
                    taken.ports[candidate] = uid
                    result[key] = candidate
                    break
                }
            }
        }
        return result
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        return withUnsafeBytes(of: &address) { bytes in
            guard let base = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return bind(descriptor, base, socklen_t(bytes.count)) == 0
        }
    }
}
