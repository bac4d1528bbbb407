internal import CShim
internal import Glibc

/// How the node agent of one server is set up. Made by the composition root, fixed for the agent's life.
package struct NodeConfiguration: Sendable {
    /// The Node document's name, and what pods get as `spec.nodeName`.
    package var nodeName: String
    /// Absolute, without links, 0700; the agent's own part is `pods/` and `node/`.
    package var dataDirectory: String
    package var network: NodeNetwork
    /// The shim's executable: `espalier-shim` beside ours, else our own under another name.
    package var shimPath: String
    /// Pods of a server that runs as root run as one of these users, chosen by a hash of their UID.
    package var firstPodUser: UInt32 = 1_000_000
    /// How long a ready pod serves on after its deletion was asked for, while the gateway takes it out of its table.
    package var drain = Duration.milliseconds(300)
    /// At a complete stop pods have this long to end by themselves, or their own grace period if that is shorter.
    package var shutdownGrace = Duration.seconds(10)
    /// Off: plain processes even where bubblewrap is installed.
    package var allowsSandbox = true
    /// Off: the machine is not made to forward what pods send to the outside. It may forward all the same.
    package var opensUplinks = true
    /// TCP ports of the server's own, which no pod reaches at any address, and those on which routes are served.
    package var serverPorts: Set<Int> = []
    package var publishedPorts: Set<Int> = []
    /// The container engine's unix socket; `nil`: the first of the usual places that answers.
    package var engineSocket: String?
    package var version = ""

    package init(nodeName: String, dataDirectory: String, network: NodeNetwork, shimPath: String = Self.findShim()) {
        self.nodeName = nodeName
        self.dataDirectory = dataDirectory
        self.network = network
        self.shimPath = shimPath
    }

    package var podsDirectory: String { "\(dataDirectory)/pods" }
    /// Where a PersistentVolume of this node lies.
    package func volumeDirectory(_ name: String) -> String { "\(dataDirectory)/volumes/\(name)" }

    /// `espalier-shim` beside the running program, or the running program, which is its own shim under that name.
    package static func findShim() -> String {
        guard let own = StateFiles.linkTarget("/proc/self/exe") else { return "/proc/self/exe" }
        let folder = own.lastIndex(of: "/").map { own[..<$0] } ?? ""
        let beside = "\(folder)/espalier-shim"
        return access(beside, X_OK) == 0 ? beside : own
    }

    /// The user a pod runs as: one of its own where we may choose, else ourselves.
    package func user(of uid: String) -> UInt32? {
        guard geteuid() == 0 else { return nil }
        return firstPodUser + UInt32(NodeNetwork.hash(uid) % UInt64(Limits.podUsers))
    }

    /// A folder in memory for what must not touch a disk; `nil` where the machine has none we may write to.
    package func memoryDirectory() -> String? {
        let personal = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) }
        for base in ["/run", personal, "/dev/shm"] {
            guard let base, espalier_is_memory_file_system(base) == 1, access(base, W_OK) == 0 else { continue }
            return "\(base)/espalier-\(network.instance)"
        }
        return nil
    }
}
