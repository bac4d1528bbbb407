internal import Glibc

/// Starts the gateway process, and ends one that does not answer.
struct GatewayLauncher: Sendable {
    let configuration: GatewayConfiguration

    /// Starts a gateway in a session of its own, so that nothing that ends the server ends it. Answers its pid. It
    /// inherits no descriptor of the server's.
    func start() throws(GatewayMessageError) -> pid_t {
        let arguments = [
            configuration.executable, "gateway", "--socket", configuration.socketPath, "--listen", configuration.listen,
            "--state", configuration.tablePath, "--address-file", configuration.addressPath, "--loops",
            String(configuration.loops),
        ]
        let environment =
            ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"] + [configuration.mark].compactMap { $0 }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, configuration.logPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        try closeEverythingElse(&actions)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // POSIX_SPAWN_SETSID, which Glibc's headers show to GNU sources only.
        let newSession: Int32 = 0x80
        let flags = newSession | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))
        var pid: pid_t = 0
        let code = withStrings(arguments) { argv in
            withStrings(environment) { envp in
                posix_spawn(&pid, configuration.executable, &actions, &attributes, argv, envp)
            }
        }
        guard code == 0 else {
            throw GatewayMessageError(
                message: "cannot start the gateway \(configuration.executable): \(String(cString: strerror(code)))")
        }
        return pid
    }

    /// The sockets of an event loop do not close on exec. A gateway that held the server's listener open would keep the
    /// next server from its port. Looked up by name: Glibc's headers show the function to GNU sources only.
    private func closeEverythingElse(_ actions: inout posix_spawn_file_actions_t) throws(GatewayMessageError) {
        typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else {
            throw GatewayMessageError(
                message: "this C library has no posix_spawn_file_actions_addclosefrom_np; Glibc 2.34 has")
        }
        _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, 3)
    }

    private func withStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a list of strings ends in nil") }
            return body(base)
        }
    }

    /// Takes in a gateway of ours that has ended; answers whether it had.
    func reap(_ pid: pid_t) -> Bool {
        var status: Int32 = 0
        let answer = waitpid(pid, &status, WNOHANG)
        return answer == pid || (answer < 0 && errno == ECHILD && kill(pid, 0) != 0)
    }

    /// Ends every gateway of this data directory, found by its command line: one that no longer answers its socket.
    func killStray() {
        for pid in strays() { kill(pid, SIGKILL) }
    }

    /// Pids of gateways whose command line names our socket. Nothing else is ever signalled.
    func strays() -> [pid_t] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var result: [pid_t] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = pid_t(name), pid != getpid() else { continue }
            let words = Self.commandLine(pid)
            guard words.count > 3, words[1] == "gateway", words.contains(configuration.socketPath) else { continue }
            result.append(pid)
        }
        return result
    }

    private static func commandLine(_ pid: pid_t) -> [String] {
        let descriptor = open("/proc/\(pid)/cmdline", O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { return [] }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return [] }
        return bytes[..<count].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
