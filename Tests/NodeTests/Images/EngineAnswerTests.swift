import Glibc
import Logging
import Seams
import Synchronization
import Testing

@testable import Node

private let podman = """
    {"Components": [{"Name": "Podman Engine"}], "Version": "4.3.1", "ApiVersion": "1.41", "MinAPIVersion": "1.24"}
    """
private let docker29 = """
    {"Components": [{"Name": "Engine"}], "Version": "29.0.0", "ApiVersion": "1.52", "MinAPIVersion": "1.44"}
    """
private let missing = "{\"message\": \"No such image\"}"

private func image(_ id: String = "sha256:" + String(repeating: "ab", count: 32), upper: String = "/tmp") -> String {
    """
    {"Id": "\(id)", "RepoDigests": ["web@sha256:\(String(repeating: "0", count: 64))"], "Size": 7,
    "Config": {"Cmd": ["sh"], "Entrypoint": null, "Env": ["A=b"]},
    "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": "\(upper)", "LowerDir": "/usr:/etc"}}}
    """
}

/// What the node makes of an engine's answers, and of an engine that gives none.
@Suite(.timeLimit(.minutes(1)))
struct EngineAnswerTests {
    static func engine(
        _ scripted: ScriptedEngine, _ change: (inout EngineDeadlines) -> Void = { _ in }
    ) -> ImageEngine {
        engine(scripted.socket, change)
    }

    static func engine(_ socket: String, _ change: (inout EngineDeadlines) -> Void = { _ in }) -> ImageEngine {
        var deadlines = EngineDeadlines()
        change(&deadlines)
        return ImageEngine(
            socket: socket, owner: "test", clock: SystemClock(), logger: silentLogger, deadlines: deadlines)
    }

    /// Answers version, then inspections by `inspect` and pulls by `create`.
    static func script(
        version: String = podman, inspect: @escaping @Sendable (String) -> ScriptedEngine.Reply,
        create: @escaping @Sendable (String) -> ScriptedEngine.Reply = { _ in .answer(200, "") }
    ) throws -> ScriptedEngine {
        try ScriptedEngine { head in
            if head.hasPrefix("GET /version") { return .answer(200, version) }
            return head.hasPrefix("POST") ? create(head) : inspect(head)
        }
    }

    @Test func anImageIsReadFromItsInspection() async throws {
        let scripted = try Self.script(inspect: { _ in .answer(200, image()) })
        let found = try await Self.engine(scripted).image(try ImageReference("web:1"), policy: .ifNotPresent)
        #expect(found.layers == ["/tmp", "/usr", "/etc"])
        #expect(found.command == ["sh"] && found.entrypoint == [] && found.environment == ["A=b"])
        #expect(found.statusID == "docker.io/library/web@sha256:\(String(repeating: "0", count: 64))")
        #expect(found.pullTime == nil)
        #expect(scripted.requests.last == "GET /v1.41/images/docker.io/library/web:1/json HTTP/1.1")
    }

    @Test func aNewerEngineIsSpokenToInItsOldestVersion() async throws {
        let scripted = try Self.script(version: docker29, inspect: { _ in .answer(200, image()) })
        let engine = Self.engine(scripted)
        _ = try await engine.image(try ImageReference("web:1"), policy: .never)
        #expect(scripted.requests.last?.hasPrefix("GET /v1.44/images") == true)
    }

    @Test func aStoreThatShowsNoLayersIsSaidWithWhatToDo() async throws {
        let bare = "{\"Id\": \"sha256:1\", \"Storage\": {\"RootFS\": {\"Snapshot\": {\"Name\": \"overlayfs\"}}}}"
        let scripted = try Self.script(version: docker29, inspect: { _ in .answer(200, bare) })
        let error = await #expect(throws: ImageError.self) {
            try await Self.engine(scripted).image(try ImageReference("web:1"), policy: .never)
        }
        #expect(error?.reason == "ImageInspectError")
        #expect(error?.message.contains("a store (overlayfs)") == true)
        #expect(error?.message.contains("\"containerd-snapshotter\": false") == true)
    }

    @Test func aLayerThatIsNotOnThisMachineIsSaid() async throws {
        let scripted = try Self.script(inspect: { _ in .answer(200, image(upper: "/nowhere/diff")) })
        let error = await #expect(throws: ImageError.self) {
            try await Self.engine(scripted).image(try ImageReference("web:1"), policy: .never)
        }
        #expect(error?.message.contains("/nowhere/diff") == true)
        #expect(error?.message.contains("must run on this machine") == true)
    }

    @Test func neverMeansThatNobodyIsAskedForIt() async throws {
        let scripted = try Self.script(inspect: { _ in .answer(404, missing) })
        let error = await #expect(throws: ImageError.self) {
            try await Self.engine(scripted).image(try ImageReference("web:1"), policy: .never)
        }
        #expect(error?.reason == "ErrImageNeverPull")
        #expect(
            error?.message
                == "Container image \"docker.io/library/web:1\" is not present with pull policy of Never")
        #expect(!scripted.requests.contains { $0.hasPrefix("POST") })
    }

    @Test func whatPodmanBuiltUnderAShortNameIsFoundUnderLocalhost() async throws {
        let scripted = try Self.script(
            inspect: { $0.contains("/localhost/web:1/") ? .answer(200, image()) : .answer(404, missing) })
        let engine = Self.engine(scripted)
        _ = try await engine.image(try ImageReference("web:1"), policy: .never)
        await #expect(throws: ImageError.self) {
            try await engine.image(try ImageReference("docker.io/library/web:1"), policy: .never)
        }
    }

    @Test func anErrorInAStreamThatBeganWellCounts() async throws {
        let stream = """
            {"status": "Pulling fs layer", "id": "1"}
            {"errorDetail": {"message": "no space left on device"}, "error": "no space left on device"}
            {"status": "done"}
            """
        let scripted = try Self.script(inspect: { _ in .answer(200, image()) }, create: { _ in .answer(200, stream) })
        let error = await #expect(throws: ImageError.self) {
            try await Self.engine(scripted).image(try ImageReference("web"), policy: .always)
        }
        #expect(error?.reason == "ErrImagePull")
        #expect(error?.message == "no space left on device")
    }

    @Test func everyLoginIsTriedAndTheLastErrorCounts() async throws {
        var credentials = RegistryCredentials()
        let json = """
            {"a.io": {"username": "1", "password": "x"}, "a.io/t": {"username": "2", "password": "y"}}
            """
        try credentials.add(secret: "s", type: "kubernetes.io/dockercfg", data: Array(json.utf8))
        let seen = Mutex(0)
        let scripted = try Self.script(
            inspect: { _ in .answer(200, image()) },
            create: { head in
                #expect(head.contains("X-Registry-Auth: "))
                let number = seen.withLock { seen in
                    seen += 1
                    return seen
                }
                return number == 2 ? .answer(200, "") : .answer(500, "{\"message\": \"unauthorized \(number)\"}")
            })
        let engine = Self.engine(scripted)
        _ = try await engine.image(try ImageReference("a.io/t/x"), policy: .always, credentials: credentials)
        let error = await #expect(throws: ImageError.self) {
            try await engine.image(try ImageReference("a.io/t/x"), policy: .always, credentials: credentials)
        }
        #expect(error?.message == "unauthorized 4")
    }

    @Test func thoseWhoWantTheSameImageShareOnePull() async throws {
        let scripted = try Self.script(
            inspect: { _ in .answer(200, image()) }, create: { _ in .gated(200, "{\"status\": \"done\"}") })
        let engine = Self.engine(scripted)
        let reference = try ImageReference("web")
        let waiting = Counter()
        let callers = (0..<8).map { _ in
            Task { try await engine.image(reference, policy: .always) { waiting.add() } }
        }
        try await until("all wait") {
            waiting.value == 8 && scripted.requests.contains { $0.hasPrefix("POST") }
        }
        scripted.open()
        for caller in callers { #expect(try await caller.value.pullTime != nil) }
        // Who called `willPull` may join a moment after the first pull has ended; not all can.
        #expect(scripted.requests.count { $0.hasPrefix("POST") } < 8)
    }

    @Test func whoIsCancelledLeavesAndTheLastOneEndsThePull() async throws {
        let scripted = try Self.script(inspect: { _ in .answer(200, image()) }, create: { _ in .silence })
        let engine = Self.engine(scripted)
        let reference = try ImageReference("web")
        let tasks = (0..<2).map { _ in Task { try await engine.image(reference, policy: .always) } }
        try await until("the pull is under way") { scripted.requests.contains { $0.hasPrefix("POST") } }
        tasks[0].cancel()
        await #expect(throws: ImageError.cancelled) { try await tasks[0].value }
        #expect(scripted.gone == 0)
        tasks[1].cancel()
        await #expect(throws: ImageError.cancelled) { try await tasks[1].value }
        try await until("the engine is told") { scripted.gone == 1 }
    }

    @Test func anEngineThatHangsHoldsUpNobodyElse() async throws {
        let scripted = try ScriptedEngine { head in
            if head.hasPrefix("GET /version") { return .answer(200, podman) }
            return head.contains("slow") ? .silence : .answer(200, image())
        }
        let engine = Self.engine(scripted) { $0.call = .milliseconds(300) }
        let slow = try ImageReference("slow:1")
        let hanging = Task { try await engine.image(slow, policy: .never) }
        try await until("it hangs") { scripted.requests.contains { $0.contains("slow") } }
        _ = try await engine.image(try ImageReference("web:1"), policy: .never)
        let error = await #expect(throws: ImageError.self) { try await hanging.value }
        #expect(error?.code == .timeout)
        #expect(error?.message.contains("did not answer within 0.3 seconds") == true)
    }

    @Test func aPullThatGoesSilentEnds() async throws {
        let scripted = try Self.script(inspect: { _ in .answer(404, missing) }, create: { _ in .silence })
        let engine = Self.engine(scripted) { $0.pullSilence = .milliseconds(200) }
        let error = await #expect(throws: ImageError.self) {
            try await engine.image(try ImageReference("web:1"), policy: .ifNotPresent)
        }
        #expect(error?.code == .timeout)
        #expect(error?.reason == "ErrImagePull")
    }

    @Test func aSocketThatAcceptsAndNeverAnswersIsFoundOut() async throws {
        let path = "/tmp/espalier-mute-\(getpid()).sock"
        let listener = try #require(UnixSocket.listen(path))
        defer {
            close(listener)
            unlink(path)
        }
        let engine = Self.engine(path) {
            $0.call = .milliseconds(200)
            $0.discovery = .milliseconds(200)
        }
        await #expect { try await engine.facts() } throws: { ($0 as? ImageError)?.code == .timeout }
        let scripted = try Self.script(inspect: { _ in .answer(404, missing) })
        let found = try await ImageEngine.discover(
            environment: { ["CONTAINER_HOST": "unix://\(path)", "DOCKER_HOST": "unix://\(scripted.socket)"][$0] },
            owner: "test", clock: SystemClock(), logger: silentLogger, deadlines: engine.deadlines)
        #expect(found.socket == scripted.socket)
    }

    @Test func nobodyThereIsSaidWithTheSocketAndWhatToDo() async throws {
        let engine = Self.engine("/tmp/espalier-nobody.sock")
        let error = await #expect(throws: ImageError.self) {
            try await engine.image(try ImageReference("web"), policy: .always)
        }
        #expect(error?.code == .unreachable)
        #expect(error?.reason == "ErrImagePull")
        #expect(
            error?.message.hasPrefix(
                "no container engine answers at /tmp/espalier-nobody.sock: No such file or directory; start it") == true
        )
        let discovery = await #expect(throws: ImageError.self) {
            try await ImageEngine.discover(
                environment: { $0 == "DOCKER_HOST" ? "unix:///tmp/espalier-nobody.sock" : nil }, owner: "test",
                clock: SystemClock(), logger: silentLogger)
        }
        #expect(discovery?.message.contains("/tmp/espalier-nobody.sock") == true)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\"", "SSH-2.0-OpenSSH\r\n\r\n", "", "HTTP/1.1 200 OK\r\n",
    ])
    func halfAnAnswerIsNone(_ bytes: String) async throws {
        let scripted = try ScriptedEngine { _ in .raw(Array(bytes.utf8)) }
        let error = await #expect(throws: ImageError.self) { try await Self.engine(scripted).facts() }
        #expect(error?.code == .unreachable, "\(String(describing: error))")
    }

    @Test func anAnswerWithoutEndIsCutOff() async throws {
        let scripted = try Self.script(inspect: { _ in
            let head = Array("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".utf8)
            return .raw(head + [UInt8](repeating: 32, count: 34 << 20))
        })
        let error = await #expect(throws: ImageError.self) { try await Self.engine(scripted).list() }
        #expect(error?.message.contains("answered with more than 33554432 bytes") == true)
    }

    @Test func whatWasPulledAndRemovedAgainIsNoImage() async throws {
        let scripted = try Self.script(inspect: { _ in .answer(404, missing) })
        let error = await #expect(throws: ImageError.self) {
            try await Self.engine(scripted).image(try ImageReference("web"), policy: .always)
        }
        #expect(error?.reason == "ErrImagePull")
    }
}

final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add() { count.withLock { $0 += 1 } }
}

let silentLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Waits until `condition` holds; it is asked often, and fails when that takes far longer than it may.
func until(_ what: @autoclosure () -> String, _ condition: @Sendable () async throws -> Bool) async throws {
    let clock = SystemClock()
    let start = clock.monotonic()
    while try await !condition() {
        if clock.monotonic() - start > .seconds(30) { throw WaitFailure(what: what()) }
        try await clock.sleep(for: .milliseconds(5))
    }
}

struct WaitFailure: Error, CustomStringConvertible {
    let what: String
    var description: String { "waited in vain until \(what)" }
}
