internal import CShim
internal import Glibc
package import Seams

/// The files of one pod: `pods/<uid>/<container>/<attempt>/` with what its shim writes (see index.md), and beside
/// it the pod's address and hosts file. The folder is the whole memory of an agent that starts again.
package struct PodDirectory: Sendable {
    /// What the shim recorded of itself when it began.
    package struct Shim: Sendable, Hashable {
        package var process: ProcessIdentity
        package var boot: String
        /// The container's process, or bubblewrap's outer one.
        package var child: Int32
        /// Process 1 of the sandbox; 0 without a sandbox or before it exists.
        package var inner: Int32
        /// Whether the container's process is, or will be, in a sandbox.
        package var isSandboxed: Bool
        package var started: Instant
    }

    package enum AttemptState: Sendable, Hashable {
        /// No shim ever held this attempt.
        case unused
        /// A shim holds it, but has not written down who it is.
        case beginning
        case running(Shim)
        case ended(ContainerExit)
    }

    package let path: String
    package let uid: String

    package init(podsDirectory: String, uid: String) {
        path = "\(podsDirectory)/\(uid)"
        self.uid = uid
    }

    package var hostsFile: String { "\(path)/hosts" }
    package var resolverFile: String { "\(path)/resolv.conf" }
    package var addressFile: String { "\(path)/address" }
    package func volume(_ name: String) -> String { "\(path)/volumes/\(name)" }
    package func container(_ name: String) -> String { "\(path)/containers/\(name)" }
    package func attempt(_ container: String, _ number: Int) -> String { "\(self.container(container))/\(number)" }
    package func attachSocket(_ container: String, _ number: Int) -> String { "\(attempt(container, number))/attach" }
    package func log(_ container: String, _ number: Int) -> String { "\(attempt(container, number))/log" }

    package var containers: [String] { StateFiles.names(in: "\(path)/containers") }

    package func attempts(_ container: String) -> [Int] {
        StateFiles.names(in: self.container(container)).compactMap { Int($0) }.sorted()
    }

    package func state(_ container: String, _ number: Int) -> AttemptState {
        let folder = attempt(container, number)
        if let exit = exit(folder) { return .ended(exit) }
        let isHeld = isHeld("\(folder)/lock")
        // The shim may have ended between the two looks.
        if let exit = exit(folder) { return .ended(exit) }
        let shim = shim(folder)
        if isHeld { return shim.map { .running($0) } ?? .beginning }
        guard let shim else { return .unused }
        // Started and gone without a word: killed, or the machine went down.
        let isSameBoot = shim.boot.isEmpty || shim.boot == Self.bootIdentifier()
        let reason = isSameBoot ? ContainerExit.lostReason : ContainerExit.shutdownReason
        return .ended(
            ContainerExit(
                code: 137, signal: 9, started: shim.started, finished: shim.started, lastLine: "", reason: reason))
    }

    /// The shim's lock is held for as long as the shim lives, whatever becomes of its number.
    private func isHeld(_ path: String) -> Bool {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return espalier_try_lock(descriptor) == 0
    }

    private func shim(_ folder: String) -> Shim? {
        guard let text = StateFiles.text("\(folder)/shim.pid") else { return nil }
        let fields = Self.fields(text)
        guard let pid = fields["pid"].flatMap({ Int32($0) }), let start = fields["start"].flatMap({ UInt64($0) }) else {
            return nil
        }
        return Shim(
            process: ProcessIdentity(pid: pid, startTime: start), boot: fields["boot"] ?? "",
            child: fields["child"].flatMap { Int32($0) } ?? 0, inner: fields["inner"].flatMap { Int32($0) } ?? 0,
            isSandboxed: fields["sandboxed"] != "0",
            started: Instant(nanoseconds: fields["started"].flatMap { Int64($0) } ?? 0))
    }

    private func exit(_ folder: String) -> ContainerExit? {
        guard let text = StateFiles.text("\(folder)/exit") else { return nil }
        let fields = Self.fields(text)
        let isOutOfMemory = fields["code"] == "137" && fields["oom-kills"].flatMap { Int($0) } ?? 0 > 0
        let isShutdown = StateFiles.exists("\(folder)/shutdown")
        let reason =
            isOutOfMemory ? ContainerExit.outOfMemoryReason : isShutdown ? ContainerExit.shutdownReason : nil
        return ContainerExit(
            code: fields["code"].flatMap { Int($0) } ?? 255, signal: fields["signal"].flatMap { Int($0) } ?? 0,
            started: Instant(nanoseconds: fields["started"].flatMap { Int64($0) } ?? 0),
            finished: Instant(nanoseconds: fields["finished"].flatMap { Int64($0) } ?? 0),
            lastLine: LogReader.lastLine("\(folder)/log"), reason: reason,
            cause: StateFiles.text("\(folder)/cause"))
    }

    /// `name value` lines.
    static func fields(_ text: String) -> [String: String] {
        var fields: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let space = line.firstIndex(of: " ") else { continue }
            fields[String(line[..<space])] = String(line[line.index(after: space)...])
        }
        return fields
    }

    static func bootIdentifier() -> String {
        StateFiles.text("/proc/sys/kernel/random/boot_id")?.filter { $0 != "\n" } ?? ""
    }

    /// Writes down why an attempt is about to be ended.
    func explain(_ container: String, _ number: Int, _ cause: String) {
        // Without it the status names the exit code alone.
        try? StateFiles.write("\(attempt(container, number))/cause", Array(cause.utf8))
    }

    /// Crashes in a row before an attempt; none where nothing is written down for it.
    package func crashes(_ container: String, before number: Int) -> Int {
        let fields = Self.fields(StateFiles.text("\(self.container(container))/crashes") ?? "")
        guard fields["attempt"] == String(number) else { return 0 }
        return fields["crashes"].flatMap { Int($0) } ?? 0
    }

    func recordCrashes(_ container: String, before number: Int, _ crashes: Int) {
        let text = "attempt \(number)\ncrashes \(crashes)\n"
        // Without it the next agent believes the container never crashed, and restarts it at once.
        try? StateFiles.write("\(self.container(container))/crashes", Array(text.utf8))
    }

    /// Marks the running attempts as ended by us and not by themselves.
    package func markShutdown(_ container: String, _ number: Int) {
        try? StateFiles.write("\(attempt(container, number))/shutdown", [])  // Without it the restart waits a little.
    }
}

extension PodDirectory {
    package func isRunning(_ container: String, _ number: Int) -> Bool {
        switch state(container, number) {
        case .running, .beginning: true
        case .unused, .ended: false
        }
    }
}
