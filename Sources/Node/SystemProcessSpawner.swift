internal import CShim
internal import Glibc
package import Seams

/// The machine's own processes, reached through pidfds: a signal or a wait meets the process that was meant, or nobody.
package struct SystemProcessSpawner: ProcessSpawner {
    package init() {}

    package func start(_ launch: ProcessLaunch) throws(ProcessError) -> ProcessIdentity {
        var arguments: [UnsafeMutablePointer<CChar>?] = launch.arguments.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = launch.environment.map { strdup($0) } + [nil]
        defer {
            for pointer in arguments + environment { free(pointer) }
        }
        let pid = espalier_spawn(
            launch.path, &arguments, &environment, launch.descriptors, Int32(launch.descriptors.count))
        if pid < 0 {
            throw ProcessError(message: "cannot start \(launch.path): \(systemMessage(-pid))", number: -pid)
        }
        return ProcessIdentity(pid: pid, startTime: espalier_start_time(pid))
    }

    package func run(
        _ launch: ProcessLaunch, input: [UInt8], timeout: Duration
    ) async throws(ProcessError) -> ProcessResult {
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw ProcessError(message: "cannot make a socket pair: \(systemMessage(errno))", number: errno)
        }
        defer { close(pair[0]) }
        var launch = launch
        launch.descriptors = [pair[1], pair[1], pair[1]] + launch.descriptors.dropFirst(3)
        let process: ProcessIdentity
        do {
            defer { close(pair[1]) }
            process = try start(launch)
        }
        _ = fcntl(pair[0], F_SETFL, O_NONBLOCK)
        // A program that ends without reading is no error of ours: its exit code says what it thought.
        let written =
            input.isEmpty
            ? 0
            : input.withUnsafeBytes {
                send(pair[0], $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
        if written >= 0, written < input.count {
            kill(process.pid, SIGKILL)
            reap(process.pid)
            throw ProcessError(message: "cannot hand \(input.count) bytes to \(launch.path)")
        }
        shutdown(pair[0], Int32(SHUT_WR))
        let end = pair[0]
        let deadline = Task {
            try? await Task.sleep(for: timeout)
            if Task.isCancelled { return }
            signal(process, SIGKILL)
            // What the process has left behind may hold the output open for ever.
            shutdown(end, Int32(SHUT_RD))
        }
        let output = await readToEnd(end, of: process)
        await waitForExit(process, isReaped: false)
        deadline.cancel()
        await deadline.value
        return ProcessResult(code: reap(process.pid), output: output)
    }

    private func readToEnd(_ descriptor: Int32, of process: ProcessIdentity) async -> [UInt8] {
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while !Task.isCancelled {
            let count = read(descriptor, &chunk, chunk.count)
            if count > 0, output.count < Limits.commandOutputBytes { output += chunk[..<count] }
            if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return output }
            if count < 0 { await FileDescriptorWatcher.shared.readable(descriptor) }
        }
        signal(process, SIGKILL)
        return output
    }

    package func isAlive(_ process: ProcessIdentity) -> Bool {
        process.startTime != 0 && espalier_start_time(process.pid) == process.startTime
    }

    @discardableResult
    package func signal(_ process: ProcessIdentity, _ signal: Int32) -> Bool {
        let descriptor = espalier_pidfd_open(process.pid)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // The descriptor pins whoever has the number now; the start time says whether that is the one we mean.
        guard isAlive(process) else { return false }
        return espalier_pidfd_signal(descriptor, signal) == 0
    }

    package func waitForExit(_ process: ProcessIdentity) async { await waitForExit(process, isReaped: true) }

    private func waitForExit(_ process: ProcessIdentity, isReaped: Bool) async {
        let descriptor = espalier_pidfd_open(process.pid)
        guard descriptor >= 0 else { return }
        if isAlive(process) { await FileDescriptorWatcher.shared.readable(descriptor) }
        close(descriptor)
        // A child of ours stays a zombie until somebody asks; one that we adopted is not ours to reap.
        if isReaped, !isAlive(process) { reap(process.pid) }
    }

    @discardableResult
    private func reap(_ pid: Int32) -> Int32 {
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return -1 }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
}

/// The system's words for an error number.
func systemMessage(_ number: Int32) -> String { String(cString: strerror(number)) }
