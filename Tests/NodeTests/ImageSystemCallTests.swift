import Glibc
import Node
import Seams
import Testing

/// For a program that makes system calls.
private let compiler: String? = {
    let paths: [String] = ["/usr/bin/cc", "/usr/bin/clang", "/usr/bin/gcc"]
    return paths.first { access($0, X_OK) == 0 }
}()

/// What the filter of system calls lets through, by a program in C that makes them.
@Suite(
    .serialized, .timeLimit(.minutes(2)), .enabled(if: imageObstacle == nil, "\(imageObstacle ?? "")"),
    .enabled(if: compiler != nil, "there is no C compiler"))
struct ImageSystemCallTests {
    /// Each call's error number; 0 where it does what it says.
    static let program = """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <sched.h>
        #include <stdio.h>
        #include <sys/ptrace.h>
        #include <sys/resource.h>
        #include <sys/socket.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        #define TRY(name, call) errno = 0, printf("%s %d\\n", name, (call) < 0 ? errno : 0)
        int main(void) {
            char zeros[256] = {0};
            struct rlimit core, all = {RLIM_INFINITY, RLIM_INFINITY};
            TRY("io_uring", syscall(425, 1, zeros));
            TRY("bpf", syscall(SYS_bpf, 0, zeros, 1));
            TRY("keyctl", syscall(SYS_keyctl, 0, -1, 0));
            TRY("add_key", syscall(SYS_add_key, "user", "a", "b", 1, -2));
            TRY("perf", syscall(SYS_perf_event_open, zeros, 0, -1, -1, 0));
            TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
            TRY("clone3", syscall(SYS_clone3, zeros, 64));
            TRY("clone", syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
            TRY("unshare", unshare(CLONE_NEWUSER));
            TRY("setns", setns(0, 0));
            TRY("mount", syscall(SYS_mount, "a", "/", "tmpfs", 0, 0));
            TRY("open_tree", syscall(428, -100, "/", 1));
            TRY("fsopen", syscall(430, "tmpfs", 0));
            TRY("open_by_handle", syscall(SYS_open_by_handle_at, -100, zeros, 0));
            TRY("kexec", syscall(SYS_kexec_load, 0, 0, 0, 0));
            TRY("unknown", syscall(500));
            TRY("alg", socket(38, SOCK_SEQPACKET, 0));
            TRY("vsock", socket(40, SOCK_STREAM, 0));
            TRY("family", socket(60, SOCK_STREAM, 0));
            TRY("personality", syscall(SYS_personality, 0x0400000));
            TRY("inet", socket(AF_INET, SOCK_STREAM, 0));
            TRY("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
            TRY("query", syscall(SYS_personality, 0xffffffff));
            TRY("ptrace", ptrace(PTRACE_ATTACH, 999999, 0, 0));
            TRY("files", getrlimit(RLIMIT_NOFILE, &core));
            TRY("core", setrlimit(RLIMIT_CORE, &all));
            getrlimit(RLIMIT_CORE, &core);
            printf("limit %d\\n", (int)core.rlim_max);
            return 0;
        }
        """

    @Test func onlyWhatTheDefaultProfileAllowsIsAllowed() async throws {
        let host = try ImageHost()
        let source = "\(host.directory)/calls.c"
        try ImageHost.shell("printf '%s' \"$1\" > \"$2\"", [Self.program, source])
        try ImageHost.shell(
            "\"$1\" -static -w -o \"$2\" \"$3\"", [compiler ?? "", "\(host.layers[0])/calls", source])
        let refused = [
            "io_uring", "bpf", "keyctl", "add_key", "perf", "userfaultfd", "clone", "unshare", "setns", "mount",
            "open_tree",
            "fsopen", "open_by_handle", "kexec", "alg", "vsock", "family", "personality",
        ]
        var expected: [String: Int32] = ["clone3": ENOSYS, "unknown": ENOSYS, "ptrace": ESRCH, "limit": 1]
        for name in refused { expected[name] = EPERM }
        func check(_ text: String, _ who: String) {
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                #expect(Int32(words[1]) == expected[String(words[0])] ?? 0, "\(who): \(line)")
            }
            #expect(text.split(separator: "\n").count == 27)
        }
        for user in ["", "postgres"] {
            check(try await host.run("/calls", identity: .image(user: user)).log, user)
            let attempt = try await host.launch(["sleep", "1000"], identity: .image(user: user))
            var beside = ProcessResult(code: 1, output: [])
            let deadline = host.clock.monotonic() + patience
            // Until its sandbox stands there is no process to be beside.
            while beside.code != 0, host.clock.monotonic() < deadline {
                beside = (try? await host.exec(["/calls"], in: attempt)) ?? beside
            }
            check(beside.text, "beside \(user)")
            try await host.kill(attempt, SIGUSR1)
        }
        try await host.end()
    }
}
