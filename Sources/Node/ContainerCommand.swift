internal import CShim
package import Documents
internal import Glibc
internal import Seams
internal import Synchronization

/// A command that runs beside a container's process, for somebody who is there, or the container's own process with
/// somebody who looks on: what it reads and writes, and its end. The descriptors belong to whoever asked for it, who
/// closes them. A command is killed when this is let go of, or cancelled, or when the server ends.
package final class ContainerCommand: Sendable {
    /// How a command is run.
    package struct Request: Sendable {
        package var words: [String]
        package var hasInput = false
        package var hasOutput = false
        package var hasErrors = false
        /// On a terminal of the container's own: input, output and errors are one.
        package var isTerminal = false

        package init(words: [String]) { self.words = words }
    }

    /// What the command reads, and writes; `nil` where nothing was asked for. Each is a descriptor of its own.
    package let input: Int32?
    package let output: Int32?
    package let errors: Int32?
    /// The terminal, for the size of its window, and so that it has an end here as long as we are: one that nobody has
    /// open is an error to whoever reads it.
    private let terminal: Int32?
    /// The command's helper; `nil` where the container's own process is attached to.
    private let process: ProcessIdentity?
    private let spawner: any ProcessSpawner
    /// Our end of what tells the other side that we are there, and us that the command has ended, and how.
    private let control: Int32

    /// Starts a command. `place` is where, in the words of `espalier-shim exec`: see Sources/CShim/shim_exec.c.
    init(
        _ request: Request, path: String, place: [String], environment: [String], spawner: any ProcessSpawner
    ) async throws(ProcessError) {
        var ends = try Ends(request)
        let mode = request.isTerminal ? "terminal" : "attend"
        let process: ProcessIdentity
        do {
            process = try spawner.start(
                ProcessLaunch(
                    path: path, arguments: ["espalier-shim", "exec", mode] + place + ["--"] + request.words,
                    environment: environment, descriptors: ends.theirs))
        } catch {
            ends.closeAll()
            throw error
        }
        ends.closeTheirs()
        var terminal: Int32?
        if request.isTerminal {
            await FileDescriptorWatcher.shared.readable(ends.control, atMost: Limits.attachTimeout)
            let received = espalier_receive_descriptor(ends.control)
            // The command's end of it, and a second one of ours: whoever writes closes apart from whoever reads.
            terminal = received >= 0 ? Self.present(espalier_terminal_peer(received)) : nil
            ends.own[1] = received
            ends.own[0] = terminal == nil || !request.hasInput ? -1 : fcntl(received, F_DUPFD_CLOEXEC, 0)
            guard terminal != nil, ends.own[0] >= 0 || !request.hasInput else {
                ends.closeAll()
                await spawner.waitForExit(process)
                throw ProcessError(message: "the container has no terminal for the command")
            }
        }
        self.terminal = terminal
        control = ends.control
        self.process = process
        self.spawner = spawner
        (input, output, errors) = (Self.present(ends.own[0]), Self.present(ends.own[1]), Self.present(ends.own[2]))
    }

    /// Attaches to the process behind the socket of an attempt (Sources/CShim/shim_attach.c).
    init(attachingTo path: String, _ request: Request, spawner: any ProcessSpawner) async throws(ProcessError) {
        let connection = espalier_connect_local(path)
        if connection < 0 {
            throw ProcessError(message: "cannot attach: \(systemMessage(-connection))", number: -connection)
        }
        send(connection, request.hasInput ? "w" : "r", 1, Int32(MSG_NOSIGNAL))
        var ends: [Int32?] = []
        for isWanted in [request.hasInput, request.hasOutput, request.hasErrors] {
            await FileDescriptorWatcher.shared.readable(connection, atMost: Limits.attachTimeout)
            let descriptor = espalier_receive_descriptor(connection)
            guard descriptor >= 0 else {
                for descriptor in ends + [connection] { if let descriptor { close(descriptor) } }
                throw ProcessError(message: "cannot attach: too many look on already, or the container has ended")
            }
            ends.append(isWanted ? descriptor : nil)
            if !isWanted { close(descriptor) }
        }
        (input, output, errors) = (ends[0], ends[1], ends[2])
        terminal = request.isTerminal ? ends[0].flatMap { Self.present(fcntl($0, F_DUPFD_CLOEXEC, 0)) } : nil
        process = nil
        self.spawner = spawner
        control = connection
    }

    private static func present(_ descriptor: Int32) -> Int32? { descriptor < 0 ? nil : descriptor }

    deinit {
        close(control)
        if let terminal { close(terminal) }
    }

    /// The ends of a new command's descriptors, ours and its own; -1 where there is none.
    private struct Ends {
        var own: [Int32] = []
        var theirs: [Int32] = []
        var control: Int32 = -1

        init(_ request: Request) throws(ProcessError) {
            for (index, isWanted) in [request.hasInput, request.hasOutput, request.hasErrors].enumerated() {
                var ends: [Int32] = [-1, -1]
                if isWanted, !request.isTerminal, pipe(&ends) != 0 { throw failure() }
                for end in ends where end >= 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
                own.append(ends[index == 0 ? 1 : 0])
                theirs.append(ends[index == 0 ? 0 : 1])
            }
            var pair: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
                throw failure()
            }
            control = pair[0]
            theirs.append(pair[1])
        }

        private mutating func failure() -> ProcessError {
            let number = errno
            closeAll()
            return ProcessError(message: "no descriptors for a command: \(systemMessage(number))", number: number)
        }

        mutating func closeTheirs() {
            for descriptor in theirs where descriptor >= 0 { close(descriptor) }
            theirs = []
        }

        mutating func closeAll() {
            closeTheirs()
            for descriptor in own + [control] where descriptor >= 0 { close(descriptor) }
            own = [-1, -1, -1]
        }
    }

    /// The exit code, 128 and the signal's number where a signal ended it; 0 for what was attached to. Returns early
    /// when cancelled.
    package func wait() async -> Int32 {
        await FileDescriptorWatcher.shared.readable(control)
        guard let process else { return 0 }
        var text = [UInt8](repeating: 0, count: 64)
        let count = Task.isCancelled ? 0 : recv(control, &text, text.count, Int32(MSG_DONTWAIT))
        cancel()
        await spawner.waitForExit(process)
        let words = String(decoding: text.prefix(max(0, count)), as: UTF8.self).split { $0 == " " || $0 == "\n" }
        return words.count == 2 && words[0] == "exit" ? Int32(words[1]) ?? 137 : 137
    }

    /// Ends the command.
    package func cancel() { shutdown(control, Int32(SHUT_RDWR)) }

    /// Tells a terminal's programs how large its window is. Does nothing without a terminal.
    package func resize(columns: Int, rows: Int) {
        if let terminal { espalier_set_window(terminal, Int32(clamping: columns), Int32(clamping: rows)) }
    }
}

extension PodRunner {
    /// Where a command of a container runs, in the words of `espalier-shim exec` behind its mode, and the environment
    /// it gets where no container's can be taken.
    func commandPlace(
        _ container: ContainerSpecification, _ attempt: Int
    ) throws(ProcessError) -> (words: [String], environment: [String]) {
        guard case .running(let shim) = directory.state(container.name, attempt) else {
            throw ProcessError(message: "the container is not running")
        }
        var place = CommandPlace(process: nil, identity: try commandIdentity(container, attempt))
        place.workingDirectory = container.workingDirectory ?? imageFolder(container, attempt) ?? "/"
        place.groups = context.groups.memberships(pod: specification.uid, container: container.name)
        place.isFiltered = shim.isSandboxed
        var process = shim.child
        if shim.isSandboxed {
            // There is a child once the sandbox stands. Before that its builder is as free as we are.
            guard shim.inner > 0, let main = firstChild(shim.inner) else {
                throw ProcessError(message: "the container is starting")
            }
            process = main
        } else if geteuid() != 0 {
            // Nothing to enter, and nothing to enter it with.
            let environment = (StateFiles.read("/proc/\(process)/environ") ?? []).split(separator: 0)
            return (place.words, environment.map { String(decoding: $0, as: UTF8.self) })
        }
        place.process = ProcessIdentity(pid: process, startTime: espalier_start_time(process))
        return (place.words, [])
    }

    private func commandIdentity(
        _ container: ContainerSpecification, _ attempt: Int
    ) throws(ProcessError) -> ContainerIdentity {
        do {
            return try identity(of: container, imageUser: imageUser(container, attempt))
        } catch {
            throw ProcessError(message: error.message)
        }
    }

    private func firstChild(_ pid: Int32) -> Int32? {
        StateFiles.text("/proc/\(pid)/task/\(pid)/children")?.split(separator: " ").first.flatMap { Int32($0) }
    }
}

extension NodeAgent {
    /// Starts a command in a running container. `notFound` and `badRequest` as a real API server words them.
    package func start(
        _ request: ContainerCommand.Request, in container: ContainerLogRequest
    ) async throws(APIError) -> ContainerCommand {
        let (runner, container, attempt) = try await runningAttempt(of: container)
        do {
            let place = try runner.commandPlace(container, attempt)
            return try await ContainerCommand(
                request, path: configuration.shimPath, place: place.words, environment: place.environment,
                spawner: spawner)
        } catch {
            throw Self.internalError("\(error)")
        }
    }

    /// Attaches to a running container. `notFound` and `badRequest` as a real API server words them.
    package func attach(
        _ request: ContainerCommand.Request, to container: ContainerLogRequest
    ) async throws(APIError) -> ContainerCommand {
        let (runner, container, attempt) = try await runningAttempt(of: container)
        var request = request
        request.hasInput = request.hasInput && (container.hasInput || container.isTerminal)
        request.isTerminal = container.isTerminal
        do {
            let socket = runner.directory.attachSocket(container.name, attempt)
            return try await ContainerCommand(attachingTo: socket, request, spawner: spawner)
        } catch {
            throw Self.internalError("\(error)")
        }
    }

    /// Connects to a port inside a pod, where it listens on the pod's own 127.0.0.1 or on its address. The socket is
    /// the caller's. Throws with the words for whoever forwards the port.
    package func connect(to port: Int, of pod: ObjectKey) async throws(APIError) -> Int32 {
        let (runner, _, _) = try await runningAttempt(of: ContainerLogRequest(pod))
        let listed = runner.specification.ports.first { $0.number == port }
        let target = listed.map(runner.listeningPort) ?? port
        let space = podNetwork.namespacePath(of: runner.specification.uid)
        var reason = ""
        let own = runner.address.withLock { $0 }
        for address in space == nil ? ["127.0.0.1"] : ["127.0.0.1", own] {
            do {
                return try await connect(address, target, in: space)
            } catch {
                if reason.isEmpty { reason = "dial tcp4 \(address):\(target): connect: \(error)" }
            }
        }
        throw Self.internalError("failed to connect to localhost:\(port) inside the pod, IPv4: \(reason)")
    }

    private func connect(_ address: String, _ port: Int, in space: String?) async throws(ProcessError) -> Int32 {
        let descriptor = espalier_connect_in(space, address, Int32(port))
        if descriptor < 0 { throw ProcessError(message: systemMessage(-descriptor), number: -descriptor) }
        var state = espalier_has_connected(descriptor)
        let deadline = clock.monotonic() + Limits.connectTimeout
        while state == 0, clock.monotonic() < deadline, !Task.isCancelled {
            try? await clock.sleep(for: .milliseconds(2))  // Cancelled: the loop's condition sees it.
            state = espalier_has_connected(descriptor)
        }
        if state == 1 { return descriptor }
        close(descriptor)
        throw ProcessError(message: systemMessage(state == 0 ? ETIMEDOUT : -state), number: -state)
    }

    private static func internalError(_ message: String) -> APIError {
        APIError(code: 500, reason: .internalError, message: message)
    }
}
