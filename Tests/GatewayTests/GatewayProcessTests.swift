import Client
import Documents
import Gateway
import Glibc
import Logging
import Seams
import Synchronization
import Testing

/// The agent and the real gateway process: start, adoption, crash, end.
@Suite(.timeLimit(.minutes(2)), .serialized) struct GatewayProcessTests {
    /// The binary beside the test's own.
    static var binary: String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        let text = String(decoding: path[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return FilePath.parent(of: text) + "/espalier"
    }

    /// A server's worth of agent over a data directory; `stop` ends it as a crash of the server would.
    final class Server: Sendable {
        let agent: GatewayAgent
        let client: StubClient
        private let task: Mutex<Task<Void, Never>?>

        init(directory: String, client: StubClient) async throws {
            agent = GatewayAgent(
                configuration: GatewayConfiguration(
                    executable: GatewayProcessTests.binary, directory: directory, listen: "127.0.0.1:0"),
                client: client, clock: SystemClock(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            self.client = client
            try await agent.launch()
            let agent = agent
            task = Mutex(Task { await agent.run() })
        }

        var port: Int { agent.address?.port ?? 0 }

        func stop() async {
            let task = task.withLock { $0 }
            task?.cancel()
            await task?.value
        }
    }

    static func pid(_ directory: String) throws -> Int32 {
        for entry in try LinuxFileSystem().list("/proc") {
            guard let pid = Int32(entry), let bytes = try? LinuxFileSystem.readProcess(pid) else { continue }
            if bytes.contains("gateway\0--socket\0\(directory)/") { return pid }
        }
        return 0
    }

    static func withDirectory(_ body: (String) async throws -> Void) async throws {
        var template = Array("/tmp/espalier-gateway-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        do { try await body(directory) } catch {
            let left = try pid(directory)
            if left > 0 { kill(left, SIGKILL) }
            throw error
        }
        #expect(try pid(directory) == 0)
        for name in try LinuxFileSystem().list(directory) { try LinuxFileSystem().remove("\(directory)/\(name)") }
        rmdir(directory)
    }

    static func documents(_ server: ScriptedServer, generation: Int = 1) -> [WatchEvent] {
        let slice =
            "{metadata: {name: web-1, namespace: \"n\", labels: {kubernetes.io/service-name: web}}, "
            + "endpoints: [{addresses: [127.0.0.1]}], ports: [{port: \(server.port)}]}"
        let route =
            "{metadata: {name: r, namespace: \"n\", uid: u, generation: \(generation)}, "
            + "spec: {hostnames: [a.test], rules: [{backendRefs: [{name: web, port: 80}]}]}}"
        return [
            GatewayPlanTests.event(.added, GatewayPlan.httpRoutes, route), GatewayPlanTests.web,
            GatewayPlanTests.event(.added, GatewayPlan.endpointSlices, slice),
        ]
    }

    @Test func servesOnWhileTheServerRestarts() async throws {
        let backend = try await ScriptedServer.start(answering("one"))
        let other = try await ScriptedServer.start(answering("two"))
        try await Self.withDirectory { directory in
            let first = try await Server(directory: directory, client: StubClient(Self.documents(backend)))
            await first.client.waitForApplied(generation: 1)
            let wire = try await Wire.connect(first.port)
            #expect(try await wire.get().body == "one")
            let pid = try Self.pid(directory)
            await first.stop()
            await first.agent.leaveGateway()
            #expect(try await wire.get().body == "one")

            // The next server adopts it, on the same connection of the same client, and its tables count.
            let second = try await Server(
                directory: directory, client: StubClient(Self.documents(other, generation: 2)))
            #expect(second.port == first.port || first.port == 0)
            #expect(try Self.pid(directory) == pid)
            await second.client.waitForApplied(generation: 2)
            #expect(try await wire.get().body == "two")
            await second.stop()
            await second.agent.stopGateway()
        }
        await backend.stop()
        await other.stop()
    }

    @Test func comesBackOnItsPortWithItsTable() async throws {
        let backend = try await ScriptedServer.start(answering("one"))
        try await Self.withDirectory { directory in
            let server = try await Server(directory: directory, client: StubClient(Self.documents(backend)))
            await server.client.waitForApplied(generation: 1)
            let (pid, port) = (try Self.pid(directory), server.port)
            kill(pid, SIGKILL)
            var answer: String?
            for _ in 0..<2000 where answer == nil {
                answer = try? await (try await Wire.connect(port)).get().body
                if answer == nil { try await SystemClock().sleep(for: .milliseconds(5)) }
            }
            #expect(answer == "one")
            #expect(try Self.pid(directory) != pid)
            await server.stop()
            await server.agent.stopGateway()
        }
        await backend.stop()
    }

    @Test func endsWithItsRequestsDone() async throws {
        let gate = Gate()
        let backend = try await ScriptedServer.start { wire in
            _ = try await wire.read(until: "\r\n\r\n")
            await gate.wait()
            try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        }
        try await Self.withDirectory { directory in
            let server = try await Server(directory: directory, client: StubClient(Self.documents(backend)))
            await server.client.waitForApplied(generation: 1)
            let idle = try await Wire.connect(server.port)
            let busy = try await Wire.connect(server.port)
            try await busy.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            while backend.connections == 0 { try await SystemClock().sleep(for: .milliseconds(1)) }
            kill(try Self.pid(directory), SIGTERM)
            #expect(await idle.readToEnd() == "")
            gate.open()
            let answer = await busy.readToEnd()
            #expect(answer.hasSuffix("Connection: close\r\n\r\nlate"))
            await server.stop()
            await server.agent.stopGateway()
        }
        await backend.stop()
    }
}

extension LinuxFileSystem {
    static func readProcess(_ pid: Int32) throws -> String {
        let file = try LinuxFileSystem().open("/proc/\(pid)/cmdline", .read)
        defer { file.close() }
        return String(decoding: try file.read(at: 0, count: 4096), as: UTF8.self)
    }
}

/// An API that shows fixed documents and notes what is applied.
final class StubClient: Client {
    private struct State {
        var applied: [Document] = []
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let events: [WatchEvent]
    private let state = Mutex(State())

    init(_ events: [WatchEvent]) { self.events = events }

    /// Waits until a status says that this generation is programmed.
    func waitForApplied(generation: Int) async {
        let isThere = { @Sendable (state: borrowing State) in
            state.applied.contains {
                GatewayPlanTests.conditions($0).contains("espalier.dev/Programmed=True \(generation)")
            }
        }
        while !state.withLock({ isThere($0) }) {
            await withCheckedContinuation { continuation in
                let isNow = state.withLock { state in
                    if isThere(state) { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if isNow { continuation.resume() }
            }
        }
    }

    func apply(_ document: Document, subresource: Subresource?, options: WriteOptions) async throws(APIError)
        -> Document
    {
        let waiters = state.withLock { state in
            state.applied.append(document)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
        return document
    }

    func watch(_ resources: [GroupResource], options: WatchOptions) async throws(APIError) -> any WatchStream {
        Stream(events)
    }

    private final class Stream: WatchStream {
        private let events: Mutex<[WatchEvent]>
        private let gate = Gate()
        init(_ events: [WatchEvent]) { self.events = Mutex(events) }
        func poll() throws(APIError) -> [WatchEvent] {
            events.withLock { events in
                defer { events = [] }
                return events
            }
        }
        func wait() async {
            await withTaskCancellationHandler {
                await gate.wait()
            } onCancel: {
                gate.open()
            }
        }
        func cancel() { gate.open() }
    }

    func resource(for kind: GroupVersionKind) async throws(APIError) -> ResourceInformation {
        throw .badRequest("not here")
    }
    func get(_ key: ObjectKey) async throws(APIError) -> Document { throw .badRequest("not here") }
    func list(_ resource: GroupResource, namespace: String, options: ListOptions) async throws(APIError) -> DocumentList
    {
        throw .badRequest("not here")
    }
    func create(_ document: Document, options: WriteOptions) async throws(APIError) -> Document {
        throw .badRequest("not here")
    }
    func update(_ document: Document, subresource: Subresource?, options: WriteOptions) async throws(APIError)
        -> Document
    {
        throw .badRequest("not here")
    }
    func patch(_ key: ObjectKey, _ patch: Patch, subresource: Subresource?, options: WriteOptions)
        async throws(APIError) -> Document
    {
        throw .badRequest("not here")
    }
    func delete(_ key: ObjectKey, options: DeleteOptions) async throws(APIError) { throw .badRequest("not here") }
}
