import APIServer
import Client
import Documents
import Glibc
import Logging
import Node
import Seams
import Store
import Synchronization
import Testing

let pods = GroupResource(group: "", resource: "pods")
let options = WriteOptions(fieldManager: "test")

/// A place to wait at most this long for what real processes do; far above what they need.
let patience = Duration.seconds(30)

/// A node agent over the real API pipeline, on a data directory of its own. Every test ends with `end`, which stops the
/// pods and finds what was left.
final class TestNode: Sendable {
    let directory: String
    let client: any Client
    let pipeline: APIPipeline
    let configuration: NodeConfiguration
    private let agent = Shared<(agent: NodeAgent, task: Task<Void, Never>)?>(nil)
    private let store: Keyspace

    init(
        sandbox: Bool = true, bridge: Bool = false, change: (inout NodeConfiguration) -> Void = { _ in }
    ) async throws {
        var template = Array("/tmp/espalier-node-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        directory = String(cString: made)
        let network = await NodeNetwork.probe(
            dataDirectory: directory, spawner: SystemProcessSpawner(), allowsBridge: bridge)
        var configuration = NodeConfiguration(nodeName: "test-node", dataDirectory: directory, network: network)
        configuration.allowsSandbox = sandbox
        configuration.drain = .milliseconds(20)
        change(&configuration)
        self.configuration = configuration
        store = try Keyspace.open(
            directory: "\(directory)/log", fileSystem: LinuxFileSystem(), clock: SystemClock(), keys: .ephemeral(),
            configuration: StoreConfiguration())
        var api = APIConfiguration()
        api.serviceRange = network.serviceRange
        pipeline = try APIPipeline(
            store: store, clock: SystemClock(), random: SystemRandomSource(), bundled: try BundledDefinitions.load(),
            configuration: api)
        client = InProcessClient(pipeline: pipeline)
    }

    func startAgent() {
        var logger = Logger(label: "test") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = getenv("NODE_TEST_LOG") == nil ? .critical : .debug
        let made = NodeAgent(
            configuration: configuration, client: client, clock: SystemClock(), random: SystemRandomSource(),
            logger: logger)
        agent.set((made, Task { await made.run() }))
    }

    var current: NodeAgent? { agent.get()?.agent }

    /// As when the server is killed: the agent goes, the pods stay.
    func dropAgent() async {
        let running = agent.get()
        agent.set(nil)
        running?.task.cancel()
        await running?.task.value
    }

    /// A complete stop, and then nothing of this data directory may be left on the machine.
    func end() async throws {
        let last = current
        await dropAgent()
        await last?.stopAll()
        store.close()
        #expect(processes() == [], "processes left over")
        let instance = NodeNetwork.instance(dataDirectory: directory)
        #expect(names("/sys/class/net").filter { $0.contains(instance.prefix(5)) } == [], "links left over")
        #expect(names("/run/netns").filter { $0.contains(instance) } == [], "network namespaces left over")
        if let memory = configuration.memoryDirectory() { #expect(access(memory, F_OK) != 0, "\(memory) left over") }
        _ = try? await SystemProcessSpawner().run(
            ProcessLaunch(path: "/bin/rm", arguments: ["rm", "-rf", "--", directory], environment: []), input: [],
            timeout: .seconds(10))
    }

    /// Command lines of the processes that carry our data directory in their environment or their arguments.
    func processes() -> [String] {
        names("/proc").compactMap { name in
            guard let pid = Int32(name), pid != getpid() else { return nil }
            let command = contents("/proc/\(name)/cmdline").split(separator: "\0").joined(separator: " ")
            let marks = contents("/proc/\(name)/environ").split(separator: "\0")
            let isOurs =
                command.contains(directory)
                || marks.contains(Substring(NodeNetwork.mark(configuration.network.instance)))
            return isOurs ? command : nil
        }
    }

    func create(_ name: String, _ spec: JSON, labels: JSONObject = [:]) async throws -> Document {
        let pod = Document([
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": .string(name), "namespace": "default", "labels": .object(labels)], "spec": spec,
        ])
        return try await client.create(pod, options: options)
    }

    func create(
        _ name: String, script: String, restartPolicy: String = "Always", _ extra: JSONObject = [:]
    ) async throws -> Document {
        try await create(name, Self.spec(script, restartPolicy: restartPolicy, extra))
    }

    static func spec(_ script: String, restartPolicy: String = "Always", _ extra: JSONObject = [:]) -> JSON {
        var container: JSONObject = ["name": "main", "command": ["/bin/sh", "-c", .string(script)]]
        for member in extra.members { container[member.key] = member.value }
        return [
            "runtimeClassName": "espalier-process", "restartPolicy": .string(restartPolicy),
            "terminationGracePeriodSeconds": 5,
            "containers": [.object(container)],
        ]
    }

    func key(_ name: String) -> ObjectKey { ObjectKey(pods, namespace: "default", name: name) }

    /// Waits until the pod's document satisfies `condition`; fails with what it last was.
    @discardableResult
    func wait(_ name: String, _ what: String, until condition: @escaping @Sendable (Document) -> Bool) async throws
        -> Document
    {
        try await follow(what) { document in
            guard let document, document.name == name, condition(document) else { return nil }
            return document
        }
    }

    func waitGone(_ name: String) async throws {
        let watch = try await client.watch([pods], options: WatchOptions(visibility: .sequenced))
        let alarm = Task {
            try await Task.sleep(for: patience)
            watch.cancel()
        }
        defer { alarm.cancel() }
        let deadline = ContinuousClock.now + patience
        while await exists(name) {
            if try watch.poll().isEmpty { await watch.wait() }
            if ContinuousClock.now >= deadline { throw TestFailure("\(name) did not go") }
        }
        watch.cancel()
    }

    /// Waits until the container has written `text`; it has then got through its sandbox.
    func waitLog(_ name: String, _ text: String) async throws {
        var request = ContainerLogRequest(key(name))
        request.isFollowing = true
        let log = try await #require(current).openLog(request)
        var output = ""
        while !output.contains(text), let bytes = await log.next() { output += String(decoding: bytes, as: UTF8.self) }
        #expect(output.contains(text))
    }

    /// The container's own processes that run `command`, without the sandbox's.
    func containerProcesses(_ command: String) -> Int {
        processes().filter { $0.contains(command) && !$0.contains("bwrap --json-status-fd") }.count
    }

    func exists(_ name: String) async -> Bool {
        do {
            _ = try await client.get(key(name))
            return true
        } catch {
            return false
        }
    }

    private func follow<Result: Sendable>(
        _ what: String, _ take: @escaping @Sendable (Document?) -> Result?
    ) async throws -> Result {
        let watch = try await client.watch([pods], options: WatchOptions(visibility: .sequenced))
        let deadline = ContinuousClock.now + patience
        let alarm = Task {
            try await Task.sleep(for: patience)
            watch.cancel()
        }
        defer { alarm.cancel() }
        var last: Document?
        while ContinuousClock.now < deadline {
            let events = try watch.poll()
            for event in events {
                last = event.document
                if let result = take(event.document) {
                    watch.cancel()
                    return result
                }
            }
            if events.isEmpty { await watch.wait() }
        }
        throw TestFailure("waited in vain for \(what); last seen: \(last?.json.text(indent: true) ?? "nothing")")
    }

    func log(_ request: ContainerLogRequest) async throws -> String {
        let log = try await #require(current).openLog(request)
        var output: [UInt8] = []
        while let bytes = await log.next() { output += bytes }
        return String(decoding: output, as: UTF8.self)
    }

    func shim(_ pod: Document, attempt: Int = 0) -> PodDirectory.Shim? {
        let folder = PodDirectory(podsDirectory: configuration.podsDirectory, uid: pod.uid)
        if case .running(let shim) = folder.state("main", attempt) { return shim }
        return nil
    }
}

struct TestFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

func names(_ folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        names.append(
            withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
}

func contents(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while case let count = read(descriptor, &chunk, chunk.count), count > 0 { bytes += chunk[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}

extension Document {
    var container: JSON { status["containerStatuses"]?.arrayValue?.first ?? .null }
    var isReady: Bool {
        status["conditions"]?.arrayValue?.contains {
            $0["type"]?.stringValue == "Ready" && $0["status"]?.stringValue == "True"
        } ?? false
    }
    var phase: String { status["phase"]?.stringValue ?? "" }
    var restartCount: Int64 { container["restartCount"]?.integerValue ?? -1 }
}

/// A value that tasks of one test share.
final class Shared<Value: Sendable>: Sendable {
    private let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
    func get() -> Value { value.withLock { $0 } }
    func set(_ next: Value) { value.withLock { $0 = next } }
}
