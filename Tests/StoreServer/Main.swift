import Glibc
import NIOCore
import NIOPosix
import Seams
import Store

/// Test support, no part of the product: the store behind a socket and nothing else, so that campaigns and benchmarks
/// can kill it, watch it from a thousand connections and compare it with a peer. Loopback only, no authentication.
@main
struct StoreServer {
    static func main() throws {
        let options = Options(CommandLine.arguments.dropFirst())
        let files = LinuxFileSystem()
        try files.createDirectory(options.directory, permissions: 0o700)
        let keys = try SealingKeys.load(directory: "\(options.directory)/keys", fileSystem: files)
        let store = try Keyspace.open(
            directory: options.directory, fileSystem: files, clock: SystemClock(), keys: keys)
        if let note = store.recoveryNote { report("recovered", note) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: options.threads)
        let fronts = Fronts(store: store, loops: group)
        let channel = try ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(front: fronts[channel.eventLoop]))
                }
            }
            .bind(host: "127.0.0.1", port: options.port).wait()
        report("listening", "\(channel.localAddress?.port ?? 0)")
        try channel.closeFuture.wait()
    }

    private static func report(_ word: String, _ text: String) {
        print(word, text)
        fflush(nil)
    }
}

/// `--directory D --port P --threads N`; whatever else is given ends the program.
private struct Options {
    var directory = ""
    var port = 0
    var threads = 1

    init(_ arguments: ArraySlice<String>) {
        var rest = arguments
        while let name = rest.popFirst() {
            let value = rest.popFirst() ?? ""
            switch name {
            case "--directory": directory = value
            case "--port": port = Int(value) ?? 0
            case "--threads": threads = Int(value) ?? 1
            default: directory = ""
            }
        }
        if directory.isEmpty {
            print("StoreServer --directory DIRECTORY [--port 0] [--threads 1]: the store behind a socket, for tests")
            exit(2)
        }
    }
}

/// One front for each event loop.
private struct Fronts: Sendable {
    private let fronts: [Front]

    init(store: Keyspace, loops: MultiThreadedEventLoopGroup) {
        fronts = loops.makeIterator().map { Front(store: store, eventLoop: $0) }
        for front in fronts { front.start() }
    }

    subscript(eventLoop: any EventLoop) -> Front {
        guard let front = fronts.first(where: { $0.eventLoop === eventLoop }) else {
            preconditionFailure("an event loop of another group")
        }
        return front
    }
}
