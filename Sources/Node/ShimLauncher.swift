internal import CShim
internal import Glibc
package import Seams

/// Starts shims and hears their first word. The specification goes through a socket, so that what it holds is in no
/// argument vector and on no disk.
package struct ShimLauncher: Sendable {
    /// What one shim is asked to hold.
    package struct Request: Sendable {
        /// The attempt's folder: what makes a second shim for the same attempt refuse.
        package var directory: String
        package var log: String
        package var command: [String]
        package var environment: [String]
        package var networkNamespace: String?
        /// Without a sandbox the shim changes user and folder itself.
        package var sandbox: Sandbox?
        package var identity = ContainerIdentity(user: nil)
        package var workingDirectory: String?
        /// The groups in which all of it runs, from before its first step.
        package var groups: [ControlGroups.Membership] = []
        /// Whether somebody may attach to standard input, and whether the first who does has all of it.
        package var hasInput = false
        package var isInputOnce = false
        package var isTerminal = false
        package var terminalOwner: UInt32?

        package init(directory: String, log: String, command: [String], environment: [String]) {
            self.directory = directory
            self.log = log
            self.command = command
            self.environment = environment
        }
    }

    package enum Answer: Sendable, Hashable {
        case started
        /// The attempt was held or had ended already: look at its folder.
        case refused
        case failed(message: String)
    }

    let path: String
    let spawner: any ProcessSpawner
    let clock: any Clock
    /// Marks of the pod that every process carries.
    let marks: [String]

    package init(path: String, spawner: any ProcessSpawner, clock: any Clock, marks: [String]) {
        self.path = path
        self.spawner = spawner
        self.clock = clock
        self.marks = marks
    }

    package func launch(_ request: Request) async throws(ProcessError) -> Answer {
        do {
            try StateFiles.makeDirectories(request.directory)
        } catch {
            throw ProcessError(message: "cannot make the attempt's folder \(error)")
        }
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw ProcessError(message: "cannot make a socket pair: \(systemMessage(errno))", number: errno)
        }
        defer { close(pair[0]) }
        do {
            defer { close(pair[1]) }
            _ = try spawner.start(
                ProcessLaunch(
                    path: path, arguments: ["espalier-shim", "run", request.directory], environment: marks,
                    descriptors: [-1, -1, -1, pair[1]]))
        }
        try await hand(specification(request), to: pair[0])
        return try await answer(pair[0], request)
    }

    private func specification(_ request: Request) throws(ProcessError) -> [UInt8] {
        var bytes: [UInt8] = []
        var zeros = false
        func add(_ key: String, _ value: String) {
            zeros = zeros || value.utf8.contains(0)
            bytes += Array("\(key) \(value)".utf8)
            bytes.append(0)
        }
        add("log", request.log)
        add("log-bytes", String(Limits.logFileBytes))
        if let space = request.networkNamespace { add("netns", space) }
        if let sandbox = request.sandbox {
            for line in sandbox.preparation { add(line.key, line.value) }
        } else {
            if let folder = request.workingDirectory { add("working", folder) }
            for word in request.identity.words { add("identity", word) }
        }
        for group in request.groups {
            add("cgroup", group.folder)
            add("cgroup-name", group.name)
        }
        if request.hasInput { add("stdin", "1") }
        if request.isInputOnce { add("stdin-once", "1") }
        if request.isTerminal { add("tty", "1") }
        if let owner = request.terminalOwner { add("tty-owner", String(owner)) }
        for word in request.sandbox?.arguments(request.command) ?? request.command { add("arg", word) }
        for line in request.environment + marks { add("env", line) }
        if case .image(let layers, _, _)? = request.sandbox?.root, !(1...Limits.imageLayers).contains(layers.count) {
            throw ProcessError(
                message: "the image has \(layers.count) layers: expected 1 to \(Limits.imageLayers), the kernel's most")
        }
        guard (request.sandbox?.mounts.count ?? 0) <= Limits.mounts else {
            throw ProcessError(message: "the container has more than \(Limits.mounts) mounts")
        }
        if let mount = request.sandbox?.mountsWithoutTheirPart.first {
            throw ProcessError(message: "only the whole of a volume can be mounted at \(mount.path)")
        }
        bytes += Array("end".utf8) + [0]
        guard !zeros, bytes.count <= Limits.specificationBytes else {
            throw ProcessError(
                message: "command and environment hold a NUL byte or more than \(Limits.specificationBytes) bytes")
        }
        return bytes
    }

    private func hand(_ bytes: [UInt8], to descriptor: Int32) async throws(ProcessError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                send(
                    descriptor, buffer.baseAddress?.advanced(by: sent), buffer.count - sent,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                try? await clock.sleep(for: .milliseconds(1))  // Cancelled: it only looks sooner.
            } else {
                throw ProcessError(
                    message: "the shim did not take its specification: \(systemMessage(errno))", number: errno)
            }
        }
    }

    private func answer(_ descriptor: Int32, _ request: Request) async throws(ProcessError) -> Answer {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await FileDescriptorWatcher.shared.readable(descriptor) }
            // A cancelled sleep is the other branch having won.
            group.addTask { try? await clock.sleep(for: Limits.shimAnswerTimeout) }
            await group.next()
            group.cancelAll()
        }
        var buffer = [UInt8](repeating: 0, count: 512)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        let text = count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
        let words = text.split { $0 == " " || $0 == "\n" }
        switch words.first {
        case "started": return .started
        case "refused" where words.count > 1 && (words[1] == "75" || words[1] == "76"): return .refused
        case "failed":
            let number = words.count > 1 ? Int32(words[1]) ?? 0 : 0
            let what = words.dropFirst(2).joined(separator: " ")
            let subject =
                what.isEmpty ? "cannot run \(request.sandbox?.bubblewrap ?? request.command.first ?? "")" : what
            return .failed(message: "\(subject): \(systemMessage(number))")
        default:
            throw ProcessError(message: "the shim of \(request.directory) gave no answer but \"\(text)\"")
        }
    }
}

/// Finds what a lost shim left behind where there was no sandbox to die with it: processes that carry the pod's mark.
enum PodLeftovers {
    static func kill(mark: String, spawner: any ProcessSpawner) {
        let wanted = Array(mark.utf8)
        for name in StateFiles.names(in: "/proc") {
            guard let pid = Int32(name), pid != getpid(), let block = StateFiles.read("/proc/\(name)/environ"),
                block.split(separator: 0).contains(where: { $0.elementsEqual(wanted) })
            else { continue }
            spawner.signal(ProcessIdentity(pid: pid, startTime: espalier_start_time(pid)), SIGKILL)
        }
    }
}
