import Glibc
import Node
import Seams
import Testing

/// What containers from images need of this machine. The reason why the tests of them are skipped, or `nil`.
let imageObstacle: String? = {
    if geteuid() != 0 { return "images are mounted by root" }
    for path in ["/usr/bin/bwrap", "/bin/busybox"] where access(path, X_OK) != 0 { return "\(path) is not installed" }
    return nil
}()

/// Containers from an image of two layers, started by the real shim, without an agent. Every test ends with `end`, which
/// finds what was left.
final class ImageHost: Sendable {
    static let uid = "7f0c1d1e-0000-4000-8000-00000000c0de"

    let directory: String
    /// Topmost first.
    let layers: [String]
    let groups: ControlGroups
    let spawner = SystemProcessSpawner()
    let clock = SystemClock()
    private let attempts = Shared(0)

    init() throws {
        var template = Array("/tmp/espalier-image-XXXXXX".utf8CString)
        directory = String(cString: try #require(mkdtemp(&template)))
        groups = ControlGroups.find(instance: String(directory.suffix(6)))
        layers = ["\(directory)/layers/upper", "\(directory)/layers/lower"]
        let script = """
            set -e; umask 022
            mkdir -p "$2"/bin "$2"/etc "$2"/tmp "$2"/var "$2"/root "$2"/data "$1"/etc; chmod 1777 "$2"/tmp
            cp /bin/busybox "$2"/bin/
            for name in $(/bin/busybox --list); do [ $name = busybox ] || ln -s busybox "$2"/bin/$name; done
            printf 'root:x:0:0::/root:/bin/sh\\npostgres:x:70:70::/var/db:/bin/sh\\nbroken:x:y:z\\n' > "$2"/etc/passwd
            printf 'root:x:0:\\nwheel:x:10:root,postgres\\npostgres:x:70:\\nlog:x:44:postgres\\n' > "$2"/etc/group
            ln -s /run "$2"/var/run; echo below > "$2"/file; echo gone > "$2"/gone; echo kept > "$2"/kept
            echo above > "$1"/file; mknod "$1"/gone c 0 0
            """
        try Self.shell(script, layers)
    }

    static func shell(_ script: String, _ words: [String]) throws {
        let process = try SystemProcessSpawner().start(
            ProcessLaunch(
                path: "/bin/sh", arguments: ["sh", "-c", script, "sh"] + words, environment: ["PATH=/usr/bin:/bin"]))
        var status: Int32 = -1
        waitpid(process.pid, &status, 0)
        try #require(status == 0)
    }

    /// One attempt of a container.
    struct Attempt {
        var number: Int
        var answer: ShimLauncher.Answer
        var sandbox: Sandbox
        var groups: [ControlGroups.Membership]
        var shim: PodDirectory.Shim?
    }

    var pod: PodDirectory { PodDirectory(podsDirectory: "\(directory)/pods", uid: Self.uid) }
    func upper(_ number: Int) -> String { "\(pod.path)/roots/\(number)/upper" }

    func launch(
        _ command: [String], identity: ContainerIdentity = .image(user: nil), mounts: [Sandbox.Mount] = [],
        limits: ControlGroups.ContainerLimits = .init(), processes: Int = 256, layers: [String]? = nil,
        change: (inout Sandbox, inout ShimLauncher.Request) -> Void = { _, _ in }
    ) async throws -> Attempt {
        let number = attempts.get()
        attempts.set(number + 1)
        try Self.shell("mkdir -p \"$1\"", ["\(pod.path)/roots/\(number)"])
        var sandbox = Sandbox(
            bubblewrap: "/usr/bin/bwrap",
            root: .image(
                layers: layers ?? self.layers, upper: upper(number), work: "\(pod.path)/roots/\(number)/work"),
            mounts: mounts, hostName: "web", shim: Self.shimPath, identity: identity, workingDirectory: nil)
        var request = ShimLauncher.Request(
            directory: pod.attempt("main", number), log: pod.log("main", number), command: command,
            environment: ["PATH=/bin"])
        var share = ControlGroups.Pod(uid: Self.uid)
        share.processes = processes
        request.groups = try groups.prepare(share, container: "main", limits: limits)
        change(&sandbox, &request)
        request.sandbox = sandbox
        let launcher = ShimLauncher(path: Self.shimPath, spawner: spawner, clock: clock, marks: ["MARK=\(directory)"])
        let answer = try await launcher.launch(request)
        var attempt = Attempt(number: number, answer: answer, sandbox: sandbox, groups: request.groups)
        if case .running(let shim) = pod.state("main", number) { attempt.shim = shim }
        return attempt
    }

    /// How an attempt ended, and what it wrote.
    func end(of attempt: Attempt) async throws -> (code: Int, log: String) {
        if let shim = attempt.shim { await spawner.waitForExit(shim.process) }
        guard case .ended(let exit) = pod.state("main", attempt.number) else {
            throw TestFailure("the container has not ended")
        }
        return (exit.code, log(attempt))
    }

    func log(_ attempt: Attempt) -> String {
        contents(pod.log("main", attempt.number)).split(whereSeparator: \.isNewline).map { line in
            line.split(separator: " ", maxSplits: 3).dropFirst(3).first.map { String($0) } ?? ""
        }.joined(separator: "\n")
    }

    /// Runs a script of the container's own shell to its end.
    func run(
        _ script: String, identity: ContainerIdentity = .image(user: nil), mounts: [Sandbox.Mount] = [],
        limits: ControlGroups.ContainerLimits = .init(), processes: Int = 256, layers: [String]? = nil,
        change: (inout Sandbox, inout ShimLauncher.Request) -> Void = { _, _ in }
    ) async throws -> (code: Int, log: String) {
        let attempt = try await launch(
            ["sh", "-c", script], identity: identity, mounts: mounts, limits: limits, processes: processes,
            layers: layers, change: change)
        guard case .started = attempt.answer else { throw TestFailure("\(attempt.answer)") }
        return try await end(of: attempt)
    }

    /// Waits until a container has written `text`: it is there then.
    func wait(for text: String, of attempt: Attempt) async throws {
        let deadline = clock.monotonic() + patience
        while !log(attempt).contains(text) {
            guard clock.monotonic() < deadline, case .running = pod.state("main", attempt.number) else {
                throw TestFailure("waited in vain for \(text): \(log(attempt))")
            }
            try await clock.sleep(for: .milliseconds(2))
        }
    }

    /// The container's main process, once its sandbox stands.
    func mainProcess(of attempt: Attempt) throws -> ProcessIdentity {
        guard case .running(let shim) = pod.state("main", attempt.number),
            let pid = contents("/proc/\(shim.inner)/task/\(shim.inner)/children").split(separator: " ").first
                .flatMap({ Int32($0) }),
            let stat = contents("/proc/\(pid)/stat").split(separator: ")").last
        else { throw TestFailure("the container does not run") }
        return ProcessIdentity(pid: pid, startTime: UInt64(stat.split(separator: " ")[19]) ?? 0)
    }

    /// Runs a command beside a container's process, as a probe does.
    func exec(_ words: [String], in attempt: Attempt) async throws -> ProcessResult {
        var place = CommandPlace(process: try mainProcess(of: attempt), identity: attempt.sandbox.identity)
        place.groups = attempt.groups
        return try await spawner.run(
            ProcessLaunch(
                path: Self.shimPath, arguments: ["espalier-shim", "exec", "wait"] + place.words + ["--"] + words,
                environment: []),
            input: [], timeout: .seconds(20))
    }

    func kill(_ attempt: Attempt, _ signal: Int32) async throws {
        let shim = try #require(attempt.shim)
        spawner.signal(shim.process, signal)
        await spawner.waitForExit(shim.process)
    }

    /// What of ours still runs or is mounted on the machine.
    func leftovers() -> [String] {
        let mounted = contents("/proc/self/mountinfo").split(separator: "\n").filter { $0.contains(directory) }
        let running = names("/proc").filter { name in
            Int32(name) != nil && Int32(name) != getpid()
                && (contents("/proc/\(name)/cmdline").contains(directory)
                    || contents("/proc/\(name)/environ").contains("MARK=\(directory)"))
        }
        return mounted.map { String($0) } + running.map { contents("/proc/\($0)/cmdline") }
    }

    /// Nothing may be left: no process, no mount, no control group.
    func end() async throws {
        let deadline = clock.monotonic() + patience
        // After a shim was killed the kernel needs a moment for the rest.
        while !leftovers().isEmpty, clock.monotonic() < deadline { try await clock.sleep(for: .milliseconds(2)) }
        #expect(leftovers() == [])
        let isRemoved = await groups.remove(pod: Self.uid, clock: clock)
        #expect(isRemoved, "control groups left over")
        groups.removeAll()
        try Self.shell("rm -rf --one-file-system -- \"$1\"", [directory])
    }

    /// Beside the running tests.
    static let shimPath: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "\(own.lastIndex(of: "/").map { own[..<$0] } ?? "")/espalier-shim"
    }()
}
