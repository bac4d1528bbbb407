import Glibc

/// Runs programs for tests: arguments, environment and folder given, output collected.
enum Command {
    struct Result {
        var output: String
        var error: String
        var exit: Int32
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs a program to its end. What it prints passes through files in `scratch`.
    static func run(
        _ arguments: [String], environment: [String: String], directory: String, scratch: String
    ) throws -> Result {
        let output = "\(scratch)/.stdout"
        let error = "\(scratch)/.stderr"
        let process = try start(arguments, environment: environment, directory: directory, output: output, error: error)
        let exit = wait(process)
        return Result(output: read(output), error: read(error), exit: exit)
    }

    /// Starts a program and answers its process id.
    static func start(
        _ arguments: [String], environment: [String: String], directory: String, output: String, error: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, error, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The test's own process ignores SIGPIPE, and children inherit that: `cat … | head -1` would complain.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        var process = pid_t()
        let path = "/usr/bin/env"
        let code = withArray([path, "--chdir=\(directory)"] + arguments) { arguments in
            withArray(environment.map { "\($0.key)=\($0.value)" }) {
                posix_spawn(&process, path, &actions, &attributes, arguments, $0)
            }
        }
        if code != 0 { throw Failure(description: "cannot start \(path): \(String(cString: strerror(code)))") }
        return process
    }

    @discardableResult
    static func wait(_ process: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    /// The whole content of a file; empty where there is none.
    static func read(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    /// The names in a folder, in order.
    static func files(in folder: String) throws -> [String] {
        guard let stream = opendir(folder) else { throw Failure(description: "cannot read \(folder)") }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    static func write(_ text: String, to path: String, mode: mode_t = 0o600) throws {
        guard let file = fopen(path, "w") else { throw Failure(description: "cannot write \(path)") }
        defer { fclose(file) }
        fputs(text, file)
        chmod(path, mode)
    }

    /// A new folder below `/tmp`.
    static func makeFolder(_ name: String) throws -> String {
        var template = Array("/tmp/espalier-\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(description: "cannot make a folder in /tmp") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func removeFolder(_ path: String) {
        let process = try? start(
            ["rm", "-rf", path], environment: [:], directory: "/", output: "/dev/null", error: "/dev/null")
        if let process { wait(process) }
    }

    static func find(_ program: String) -> String? {
        if program.contains("/") { return access(program, X_OK) == 0 ? program : nil }
        let folders = (getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin").split(separator: ":")
        return folders.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private static func withArray<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = strings.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
