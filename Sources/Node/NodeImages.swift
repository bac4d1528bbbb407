internal import Documents
internal import Glibc
package import Logging
package import Seams
internal import Synchronization

/// The images of this node: the engine that has them, found when it is first needed, and which of them pods use.
package final class NodeImages: Sendable {
    private let owner: String
    private let clock: any Clock
    private let logger: Logger
    /// The lock guards the engine that was found.
    private let found = Mutex<ImageEngine?>(nil)

    /// `owner` as `ImageEngine` takes it; without `socket` the engine is looked for in the usual places.
    package init(owner: String, socket: String?, clock: any Clock, logger: Logger) {
        self.owner = owner
        self.clock = clock
        self.logger = logger
        if let socket {
            found.withLock { $0 = ImageEngine(socket: socket, owner: owner, clock: clock, logger: logger) }
        }
    }

    /// Throws, with what was tried and what to do, where no engine answers.
    package func engine() async throws(ImageError) -> ImageEngine {
        if let engine = found.withLock({ $0 }) { return engine }
        let engine = try await ImageEngine.discover(
            environment: { getenv($0).map { String(cString: $0) } }, owner: owner, clock: clock, logger: logger)
        found.withLock { $0 = engine }
        return engine
    }

    /// The image of a container, kept by the engine from now on.
    func image(_ container: ContainerSpecification, _ credentials: RegistryCredentials) async throws(ImageError)
        -> Image
    {
        let reference = try ImageReference(container.image)
        let policy = PullPolicy(rawValue: container.pullPolicy) ?? PullPolicy(default: reference)
        let engine = try await engine()
        let image = try await engine.image(reference, policy: policy, credentials: credentials)
        try await engine.hold(imageID: image.id)
        return image
    }
}

/// What the Node document says of the engine.
enum EngineReport: Sendable, Equatable {
    case found(version: String, socket: String)
    case missing(reason: String)

    /// `podman://4.3.1`, as Kubernetes writes runtimes.
    var version: String? {
        if case .found(let version, _) = self { version } else { nil }
    }
}

extension NodeImages {
    func report() async -> EngineReport {
        do {
            let engine = try await engine()
            let facts = try await engine.facts()
            return .found(version: "\(facts.name)://\(facts.version)", socket: facts.socket)
        } catch {
            return .missing(reason: "images do not run: \(error.message)")
        }
    }
}
