internal import APIServer
internal import Gateway
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Seams
internal import Store

/// The composition root: makes the parts of the platform and starts them in the order they need each other, stops them in
/// the reverse. Holds no rules of its own.
final class ControlPlane: Sendable {
    struct Options: Sendable {
        var dataDirectory: String
        var api: ListenAddress
        var gateway: ListenAddress
        var loops: Int
    }

    private let group: MultiThreadedEventLoopGroup
    private let store: Keyspace
    private let service: APIService

    private init(group: MultiThreadedEventLoopGroup, store: Keyspace, service: APIService) {
        self.group = group
        self.store = store
        self.service = service
    }

    static func start(_ options: Options, logger: Logger) async throws -> ControlPlane {
        let clock = SystemClock()
        try PrivateFile.makeDirectory(options.dataDirectory)
        let keys = "\(options.dataDirectory)/keys"
        try PrivateFile.makeDirectory(keys)
        let store = try Keyspace.open(
            directory: options.dataDirectory, fileSystem: LinuxFileSystem(), clock: clock,
            keys: try SealingKeys.load(directory: keys, fileSystem: LinuxFileSystem()))
        var configuration = APIConfiguration()
        configuration.serverAddress = options.api.description
        let pipeline = try APIPipeline(
            store: store, clock: clock, random: SystemRandomSource(), bundled: try BundledDefinitions.load(),
            configuration: configuration)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: options.loops)
        let service = try await APIService.start(
            pipeline,
            APIService.Options(dataDirectory: options.dataDirectory, host: options.api.host, port: options.api.port),
            group: group, logger: logger)
        return ControlPlane(group: group, store: store, service: service)
    }

    func stop(_ reason: StopReason) async {
        await service.stop()
        store.close()
        try? await group.shutdownGracefully()  // nothing is left that could fail, and nobody to tell
    }
}
