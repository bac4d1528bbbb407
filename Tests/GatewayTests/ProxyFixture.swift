import Gateway
import Logging
import NIOCore
import NIOPosix
import Seams

/// A proxy on a free loopback port, ended by `stop`.
final class ProxyFixture: Sendable {
    let proxy: ProxyServer
    let port: Int
    private let control = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(loops: Int = 2, timeouts: GatewayTimeouts = GatewayTimeouts()) async throws {
        proxy = ProxyServer(
            loops: loops, control: control.any(), timeouts: timeouts, random: SystemRandomSource(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        port = try await proxy.listen(host: "127.0.0.1", port: 0).port ?? 0
    }

    /// Serves host `a.test` at `/` from these endpoints.
    @discardableResult
    func serve(_ endpoints: [String], change: (inout RoutingTable) -> Void = { _ in }) async throws -> [ListenFailure] {
        try await serve([("b", endpoints, 1)], change: change)
    }

    @discardableResult
    func serve(
        _ backends: [(name: String, endpoints: [String], weight: Int)], change: (inout RoutingTable) -> Void = { _ in }
    ) async throws -> [ListenFailure] {
        var table = RoutingTable(
            hosts: [.init(name: "a.test", matches: [.init(path: .prefix(""), rule: 0)])],
            rules: [
                .init(name: "n/r/0", backends: backends.indices.map { .init(backend: $0, weight: backends[$0].weight) })
            ],
            backends: backends.map { .init(name: "n/\($0.name):80", endpoints: $0.endpoints) })
        change(&table)
        return try await proxy.apply(table)
    }

    func connect() async throws -> Wire { try await Wire.connect(port) }

    func stop() async {
        await proxy.stop(grace: .milliseconds(0), clock: SystemClock())
        try? await control.shutdownGracefully()
    }
}

/// Runs a test with a proxy, and ends the proxy whatever happens.
func withProxy(
    loops: Int = 2, timeouts: GatewayTimeouts = GatewayTimeouts(), _ body: (ProxyFixture) async throws -> Void
) async throws {
    let fixture = try await ProxyFixture(loops: loops, timeouts: timeouts)
    do { try await body(fixture) } catch {
        await fixture.stop()
        throw error
    }
    await fixture.stop()
}
