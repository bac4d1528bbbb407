import Glibc
import Logging
import Node
import Seams
import Testing

/// A program of the machine, for fixtures.
enum Program {
    static func path(_ name: String) -> String? {
        let folders = String(cString: getenv("PATH")).split(separator: ":").map(String.init) + ["/usr/sbin"]
        return folders.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// Starts it with these variables beside our own; what it says goes to `log`.
    static func start(
        _ path: String, _ arguments: [String], environment: [String: String], log: String, truncates: Bool = false
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | (truncates ? O_TRUNC : O_APPEND), 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") }
        var inherited = environ
        while let variable = inherited.pointee {
            let name = String(cString: variable).prefix { $0 != "=" }
            if environment[String(name)] == nil { variables.append(strdup(variable)) }
            inherited += 1
        }
        variables.append(nil)
        defer { for text in words + variables { free(text) } }
        var pid = pid_t()
        let result = posix_spawn(&pid, path, &actions, nil, &words, &variables)
        if result != 0 { throw WaitFailure(what: "\(path) starts: \(String(cString: strerror(result)))") }
        return pid
    }

    /// Runs it to its end and answers what it said. Fails where it does not succeed and `mayFail` is not set.
    @discardableResult
    static func run(
        _ path: String, _ arguments: [String], environment: [String: String] = [:], log: String, mayFail: Bool = false
    ) throws -> String {
        let pid = try start(path, arguments, environment: environment, log: log, truncates: true)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        let said = text(log)
        if status != 0, !mayFail { throw WaitFailure(what: "\(path) \(arguments) succeeds: \(said)") }
        return said
    }

    static func text(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk.prefix(count) }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw WaitFailure(what: "\(path) is written") }
        fputs(text, file)
        fclose(file)
    }
}

/// The engines there are, of which this machine may have one, both or none.
enum EngineKind: String, CaseIterable, Sendable {
    case podman
    case docker

    /// Podman fills the registries of these tests, whichever engine is tested.
    static let available: [EngineKind] =
        geteuid() != 0 || Program.path("docker-registry") == nil || Program.path("podman") == nil
            || access("/bin/busybox", X_OK) != 0
        ? [] : allCases.filter { Program.path($0 == .docker ? "dockerd" : "podman") != nil }
}

/// A real engine with a store of its own, everything in one folder.
final class TestEngine {
    let kind: EngineKind
    let folder: String
    private var pid: pid_t?

    init(_ kind: EngineKind, registryPort: Int? = nil) throws {
        self.kind = kind
        var template = Array("/tmp/espalier-engine-XXXXXX".utf8CString)
        folder = String(cString: try #require(mkdtemp(&template)))
        try Program.write(
            """
            [engine]
            cgroup_manager = "cgroupfs"
            events_logger = "file"
            lock_type = "file"
            runtime = "runc"
            """, to: "\(folder)/containers.conf")
        try Program.write(
            registryPort.map { "[[registry]]\nlocation = \"127.0.0.1:\($0)\"\ninsecure = true\n" } ?? "",
            to: "\(folder)/registries.conf")
        try Program.write("{}", to: "\(folder)/auth.json")
    }

    var socket: String { "\(folder)/engine.sock" }

    func engine(_ change: (inout EngineDeadlines) -> Void = { _ in }) -> ImageEngine {
        var deadlines = EngineDeadlines()
        change(&deadlines)
        return ImageEngine(
            socket: socket, owner: "test", clock: SystemClock(), logger: silentLogger, deadlines: deadlines)
    }

    private var environment: [String: String] {
        [
            "CONTAINERS_CONF": "\(folder)/containers.conf", "CONTAINERS_REGISTRIES_CONF": "\(folder)/registries.conf",
            "REGISTRY_AUTH_FILE": "\(folder)/auth.json", "TMPDIR": folder,
        ]
    }

    private var podmanFlags: [String] {
        [
            "--root", "\(folder)/root", "--runroot", "\(folder)/run", "--network-config-dir", "\(folder)/net",
            "--tmpdir", "\(folder)/tmp", "--cgroup-manager=cgroupfs", "--storage-driver=overlay",
            "--events-backend=file",
        ]
    }

    func start() async throws {
        unlink(socket)
        switch kind {
        case .podman:
            pid = try Program.start(
                try #require(Program.path("podman")),
                podmanFlags + ["system", "service", "--time=0", "unix://\(socket)"],
                environment: environment, log: "\(folder)/log")
        case .docker:
            // Of the one that was killed: the next one would wait for its containerd.
            unlink("\(folder)/pid")
            unlink("\(folder)/exec/containerd/containerd.pid")
            pid = try Program.start(
                try #require(Program.path("dockerd")),
                [
                    "--data-root=\(folder)/root", "--exec-root=\(folder)/exec", "--pidfile=\(folder)/pid",
                    "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--bridge=none",
                    "--storage-driver=overlay2", "--host=unix://\(socket)",
                ], environment: ["TMPDIR": folder], log: "\(folder)/log")
        }
        let engine = engine { $0.call = .seconds(2) }
        try await until("\(kind) answers: \(Program.text("\(folder)/log"))") { (try? await engine.facts()) != nil }
    }

    /// SIGKILL: the engine has no time to say anything.
    func kill() { end(SIGKILL) }

    private func end(_ signal: Int32) {
        guard let running = pid else { return }
        Glibc.kill(running, signal)
        var status: Int32 = 0
        waitpid(running, &status, 0)
        pid = nil
    }

    /// Podman's command line on the same store, beside its service.
    @discardableResult
    func podman(_ arguments: String..., mayFail: Bool = false) throws -> String {
        try Program.run(
            try #require(Program.path("podman")), podmanFlags + arguments, environment: environment,
            log: "\(folder)/command.log", mayFail: mayFail)
    }

    deinit {
        end(SIGTERM)
        // Both engines mount their stores upon themselves; deeper mounts come later in the table.
        let mounts = Program.text("/proc/self/mounts").split(separator: "\n").compactMap { line in
            line.split(separator: " ").dropFirst().first.map(String.init)
        }
        for mount in mounts.reversed() where mount.hasPrefix(folder) { umount2(mount, Int32(MNT_DETACH)) }
        _ = try? Program.run("/bin/rm", ["-rf", "--", folder], log: "/dev/null", mayFail: true)
    }
}

/// Debian's registry on a port of 127.0.0.1, for alice alone.
final class TestRegistry {
    static let user = "alice"
    static let password = "s3cret-pass"
    let port: Int
    private let folder: String
    private let pid: pid_t

    init() async throws {
        var template = Array("/tmp/espalier-registry-XXXXXX".utf8CString)
        folder = String(cString: try #require(mkdtemp(&template)))
        port = try #require(LoopbackPort.free())
        // The hash of the password, by crypt(3).
        try Program.write(
            "alice:$2b$05$M2c/okECxEZBNGbr3eF8Iu7PwNlQ/S.bg2I0uhJ6B3h8f./OReAgO\n", to: "\(folder)/htpasswd")
        try Program.write(
            """
            version: 0.1
            storage: {filesystem: {rootdirectory: \(folder)/store}}
            http: {addr: "127.0.0.1:\(port)"}
            auth: {htpasswd: {realm: basic-realm, path: \(folder)/htpasswd}}
            """, to: "\(folder)/config.yml")
        pid = try Program.start(
            try #require(Program.path("docker-registry")), ["serve", "\(folder)/config.yml"], environment: [:],
            log: "\(folder)/log")
        let port = port
        try await until("the registry answers") { LoopbackPort.answers(port) }
    }

    /// A reference below this registry.
    func reference(_ rest: String) throws -> ImageReference { try ImageReference("127.0.0.1:\(port)/\(rest)") }

    /// A pull Secret for it.
    func credentials(password: String = TestRegistry.password) throws -> RegistryCredentials {
        var credentials = RegistryCredentials()
        let json = """
            {"auths": {"127.0.0.1:\(port)": {"username": "\(Self.user)", "password": "\(password)"}}}
            """
        try credentials.add(secret: "pull", type: "kubernetes.io/dockerconfigjson", data: Array(json.utf8))
        return credentials
    }

    /// Fills it with `team/base:1`, a tar of busybox and a file, by Podman's command line.
    func fill() throws {
        let pusher = try TestEngine(.podman, registryPort: port)
        let tree = "\(pusher.folder)/tree"
        mkdir(tree, 0o755)
        mkdir("\(tree)/bin", 0o755)
        try Program.run("/bin/cp", ["/bin/busybox", "\(tree)/bin/busybox"], log: "\(pusher.folder)/cp.log")
        try Program.write("lower", to: "\(tree)/file")
        try Program.write("below", to: "\(tree)/only-below")
        try Program.run(
            "/bin/tar", ["-C", tree, "-cf", "\(pusher.folder)/base.tar", "."], log: "\(pusher.folder)/tar.log")
        try pusher.podman(
            "import", "--change", "CMD [\"/bin/busybox\"]", "--change", "USER 1000:1000", "\(pusher.folder)/base.tar",
            "localhost/base:1")
        try pusher.podman(
            "push", "--creds=\(Self.user):\(Self.password)", "localhost/base:1", "127.0.0.1:\(port)/team/base:1")
    }

    deinit {
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        _ = try? Program.run("/bin/rm", ["-rf", "--", folder], log: "/dev/null", mayFail: true)
    }
}

/// TCP on 127.0.0.1.
enum LoopbackPort {
    /// A port nobody has at the moment.
    static func free() -> Int? {
        guard let (file, port) = listen() else { return nil }
        close(file)
        return port
    }

    /// A listener that never answers; connections wait in its queue.
    static func listen() -> (file: Int32, port: Int)? {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let isBound = withAddress(0) { Glibc.bind(file, $0, $1) == 0 && Glibc.listen(file, 16) == 0 }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isNamed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(file, $0, &length) == 0 }
        }
        return isBound && isNamed ? (file, Int(UInt16(bigEndian: address.sin_port))) : nil
    }

    static func answers(_ port: Int) -> Bool {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(file) }
        return withAddress(port) { Glibc.connect(file, $0, $1) == 0 }
    }

    private static func withAddress(_ port: Int, _ act: (UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                act($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
