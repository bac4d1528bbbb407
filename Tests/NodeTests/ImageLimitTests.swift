import Glibc
import Node
import Seams
import Testing

/// Why limits cannot be tried on this machine, or `nil`.
let limitObstacle: String? = {
    if let imageObstacle { return imageObstacle }
    let groups = ControlGroups.find(instance: "probe")
    groups.removeAll()
    return groups.reason
}()

/// Limits of containers, by the machine's control groups.
@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: limitObstacle == nil, "\(limitObstacle ?? "")"))
struct ImageLimitTests {
    @Test func memoryAboveTheLimitIsKilledAndCounted() async throws {
        let host = try ImageHost()
        let limits = ControlGroups.ContainerLimits(memoryBytes: 24 << 20)
        let attempt = try await host.launch(["sh", "-c", "tail /dev/zero; echo ended $?"], limits: limits)
        let (code, log) = try await host.end(of: attempt)
        #expect(code == 0)
        #expect(log.contains("ended 137"))
        #expect(host.groups.memoryKills(pod: ImageHost.uid, container: "main") == 1)
        #expect(contents("\(host.pod.attempt("main", 0))/exit").contains("oom-kills 1\n"))
        // The count is of the newest attempt.
        let next = try await host.launch(["sh", "-c", "exec tail /dev/zero"], limits: limits)
        #expect(try await host.end(of: next).code == 137)
        #expect(host.groups.memoryKills(pod: ImageHost.uid, container: "main") == 1)
        let quiet = try await host.launch(["true"], limits: limits)
        #expect(try await host.end(of: quiet).code == 0)
        #expect(contents("\(host.pod.attempt("main", 2))/exit").contains("oom-kills 0\n"))
        try await host.end()
    }

    @Test func aForkBombMeetsThePodsLimit() async throws {
        let host = try ImageHost()
        let attempt = try await host.launch(
            ["sh", "-c", "b() { b | b & }; while :; do b; done"], processes: 64)
        try await host.wait(for: "can't fork: Resource temporarily unavailable", of: attempt)
        let pod = try #require(attempt.groups.first { $0.name == "pids" || $0.name.isEmpty }).folder + "/.."
        #expect(try #require(Int(contents("\(pod)/pids.current").dropLast())) <= 64)
        #expect(try #require(host.groups.usage(pod: ImageHost.uid, container: "main")).processes <= 64)
        try await host.kill(attempt, SIGUSR1)
        try await host.end()
    }

    @Test func theProcessorIsSharedOutAndUsageIsRead() async throws {
        let host = try ImageHost()
        let attempt = try await host.launch(
            ["sh", "-c", "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo there; exec sleep 1000"],
            limits: .init(memoryBytes: 64 << 20, cpuMillicores: 50, cpuRequestMillicores: 250))
        try await host.wait(for: "there", of: attempt)
        let folder = try #require(
            attempt.groups.first { $0.name.contains("cpu") && !$0.name.contains("acct") || $0.name.isEmpty }
        )
        .folder
        #expect(!contents("\(folder)/cpu.stat").contains("nr_throttled 0\n"), "\(contents("\(folder)/cpu.stat"))")
        let usage = try #require(host.groups.usage(pod: ImageHost.uid, container: "main"))
        #expect(usage.cpuNanoseconds > 5_000_000)
        #expect(usage.memoryBytes > 50_000 && usage.memoryBytes < 64 << 20)
        #expect(usage.processes >= 3)
        // More of everything while it runs, and what a program inside sees of it.
        try host.groups.setLimits(
            pod: ImageHost.uid, container: "main", .init(memoryBytes: 128 << 20, cpuMillicores: 1000))
        let seen = try await host.exec(
            ["sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"], in: attempt)
        #expect(seen.text.contains(String(128 << 20)))
        #expect(throws: ProcessError.self) {
            try host.groups.setLimits(pod: ImageHost.uid, container: "main", .init(memoryBytes: 4096))
        }
        try await host.kill(attempt, SIGUSR1)
        try await host.end()
    }

    @Test func groupsOfPodsThatAreGoneAreRemoved() async throws {
        let host = try ImageHost()
        let groups = host.groups
        for uid in ["gone", "kept"] { _ = try groups.prepare(.init(uid: uid), container: "main", limits: .init()) }
        let attempt = try await host.launch(["sh", "-c", "echo there; exec sleep 1000"])
        try await host.wait(for: "there", of: attempt)
        groups.removeLeftovers(except: ["kept"])
        #expect(groups.memberships(pod: "gone", container: "main") == [])
        #expect(groups.memberships(pod: "kept", container: "main").count == attempt.groups.count)
        // What still runs is not taken from under its processes.
        #expect(groups.memberships(pod: ImageHost.uid, container: "main") == attempt.groups)
        for name in ["..", "a/b", ""] {
            #expect(throws: ProcessError.self) {
                try groups.prepare(.init(uid: name), container: "main", limits: .init())
            }
        }
        try await host.kill(attempt, SIGKILL)
        try await host.end()
    }
}

/// Where control groups are, from what the kernel says of them.
struct ControlGroupsTests {
    @Test func versionOneIsFoundByController() {
        let found = ControlGroups.parse(
            groups: "9:name=systemd:/\n4:memory:/outer/one\n2:cpu,cpuacct:/\n8:pids:/user:1\n0::/\n",
            mounts: """
                32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct
                35 31 0:32 /outer /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
                36 31 0:32 /outer /else\\040where rw - cgroup cgroup rw,memory
                37 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
                40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
                41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
                """)
        #expect(
            found.map { "\($0.name) \($0.controllers.sorted().joined(separator: ",")) \($0.own)" } == [
                "cpu,cpuacct cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct", "memory memory /sys/fs/cgroup/memory/one",
                "pids pids /sys/fs/cgroup/pids/user:1",
            ])
    }
}
