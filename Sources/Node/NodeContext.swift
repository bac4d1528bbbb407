internal import Client
internal import Glibc
internal import Logging
internal import Seams

/// What every runner of one agent shares. A value; the objects in it are thread-safe.
struct NodeContext: Sendable {
    var configuration: NodeConfiguration
    var client: any Client
    var clock: any Clock
    var spawner: any ProcessSpawner
    var probing: any Network
    var podNetwork: PodNetwork
    var services: ServiceTable
    var sandbox: Sandbox.Kind
    var groups: ControlGroups
    var images: NodeImages
    /// The host's root folder, as it was at start.
    var root: [Sandbox.RootEntry]
    var memoryDirectory: String?
    var logger: Logger

    static let fieldManager = "espalier-node"

    var write: WriteOptions {
        var options = WriteOptions(fieldManager: Self.fieldManager)
        options.force = true
        return options
    }

    func moment() -> Moment { Moment(wall: clock.now(), monotonic: clock.monotonic()) }

    /// Environment entries by which every process of a pod is found, whatever became of its parents.
    func marks(_ uid: String, _ container: String) -> [String] {
        [
            NodeNetwork.mark(configuration.network.instance), "ESPALIER_POD_UID=\(uid)",
            Self.mark(uid, container),
        ]
    }

    private static func mark(_ uid: String, _ container: String) -> String { "ESPALIER_CONTAINER=\(uid)/\(container)" }

    func launcher(_ uid: String, _ container: String) -> ShimLauncher {
        ShimLauncher(path: configuration.shimPath, spawner: spawner, clock: clock, marks: marks(uid, container))
    }
}

extension NodeContext {
    /// What a shim understands: stop in an orderly way, and end at once.
    static let terminate = SIGTERM
    static let kill = SIGUSR1

    func killMarked(_ uid: String, _ container: String) {
        PodLeftovers.kill(mark: Self.mark(uid, container), spawner: spawner)
    }

    func killMarked(_ uid: String) { PodLeftovers.kill(mark: "ESPALIER_POD_UID=\(uid)", spawner: spawner) }
}
