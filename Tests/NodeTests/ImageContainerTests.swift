import Glibc
import Node
import Seams
import Testing

/// Containers from images: their root, their user, what runs beside them, and that nothing of them is left.
@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: imageObstacle == nil, "\(imageObstacle ?? "")"))
struct ImageContainerTests {
    @Test func theLayersAreTheRootAndStayAsTheyAre() async throws {
        let host = try ImageHost()
        let before = try listing(host)
        let (code, log) = try await host.run(
            "cat /file /kept; [ -e /gone ] || echo none; echo new > /file; rm /kept; mkdir /etc/deep; cat /file; ls /data"
                + "; stat -c %a /tmp /; hostname; touch /data/x")
        #expect(code == 0)
        #expect(log == "above\nkept\nnone\nnew\n1777\n755\nweb")
        #expect(try listing(host) == before)
        // A second attempt begins with the image again.
        #expect(try await host.run("cat /file /kept; ls /data").log == "above\nkept")
        try await host.end()
    }

    private func listing(_ host: ImageHost) throws -> String {
        let output = "\(host.directory)/listing"
        try ImageHost.shell(
            "cd \"$1\"; find . -exec stat -c '%n %s %a %Y %Z' {} + | sort > \"$2\"", [host.layers[0], output])
        try ImageHost.shell(
            "cd \"$1\"; find . -exec stat -c '%n %s %a %Y %Z' {} + | sort >> \"$2\"", [host.layers[1], output])
        return contents(output)
    }

    /// User, group, further groups and HOME.
    static let users: [(identity: ContainerIdentity, answer: String)] = [
        (.image(user: nil), "0 0 10 /root"),
        (.image(user: "postgres"), "70 70 10 44 /var/db"),
        (.image(user: "postgres:wheel"), "70 10 10 44 /var/db"),
        (.image(user: "70"), "70 70 10 44 /var/db"),
        (.image(user: "1000"), "1000 0 /"),
        (.image(user: "1000:1001"), "1000 1001 /"),
        (.image(user: "postgres:wheel", runAsUser: 1000), "1000 0 /"),
        (.image(user: "postgres", runAsUser: 0, runAsGroup: 5), "0 5 10 /root"),
        (.image(user: "1000", groups: [2000, 44]), "1000 0 44 2000 /"),
        (.image(user: "postgres", groups: [3000], groupsPolicy: .strict), "70 70 3000 /var/db"),
    ]

    @Test func usersAreTheContainersOwn() async throws {
        let host = try ImageHost()
        let script = "set -- $(sed -n 's/^[UG]id:.*\t//p; s/^Groups://p' /proc/self/status) $HOME; echo \"$@\""
        for (identity, answer) in Self.users {
            #expect(try await host.run(script, identity: identity).log == answer)
        }
        let given = try await host.run("echo $HOME") { $1.environment.append("HOME=/here") }
        #expect(given.log == "/here")
        try await host.end()
    }

    @Test(arguments: [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("broken", "unable to find user broken: no matching entries in passwd file"),
        ("root:staff", "unable to find group staff: no matching entries in group file"),
        ("3000000000", "uids and gids must be in range 0-2147483647: 3000000000"),
        ("-1", "unable to find user -1: no matching entries in passwd file"),
    ])
    func whoIsNotThereIsSaid(user: String, message: String) async throws {
        let host = try ImageHost()
        let (code, log) = try await host.run("echo ran", identity: .image(user: user))
        #expect(code == 126)
        #expect(log == message)
        try await host.end()
    }

    /// Account files that are no files, or have no end.
    @Test func hostileAccountFilesHoldNobodyUp() async throws {
        let host = try ImageHost()
        try ImageHost.shell("mkfifo \"$1\"/etc/passwd; ln -s /dev/zero \"$1\"/etc/group", [host.layers[0]])
        #expect(try await host.run("grep Uid /proc/self/status", identity: .image(user: "7")).log == "Uid:\t7\t7\t7\t7")
        #expect(try await host.run("true", identity: .image(user: "postgres")).code == 126)
        try await host.end()
    }

    @Test func rootHasTheDefaultCapabilitiesAndNobodyElseAny() async throws {
        let host = try ImageHost()
        let script = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status | tr -d '\\t' | tr '\\n' ' '"
        let root = try await host.run(script).log
        let bounding = "00000000a00425fb"
        let end = "NoNewPrivs:1 Seccomp:2 "
        #expect(
            root == "CapInh:0000000000000000 CapPrm:\(bounding) CapEff:\(bounding) CapBnd:\(bounding) "
                + "CapAmb:0000000000000000 \(end)")
        let none = "0000000000000000"
        #expect(
            try await host.run(script, identity: .image(user: "postgres")).log
                == "CapInh:\(none) CapPrm:\(none) CapEff:\(none) CapBnd:\(bounding) CapAmb:\(none) \(end)")
        let changed = ContainerIdentity.image(
            user: nil, capabilities: try CapabilitySet(adding: ["net_admin"], dropping: ["ALL"]))
        #expect(
            try await host.run(script, identity: changed).log.contains(
                "CapEff:0000000000001000 CapBnd:0000000000001000"))
        try await host.end()
    }

    @Test func aReadOnlyRootHasItsMountsAllTheSame() async throws {
        let host = try ImageHost()
        let volume = "\(host.directory)/volume"
        try ImageHost.shell("mkdir \"$1\"; echo inside > \"$1\"/file", [volume])
        let (code, log) = try await host.run(
            "exec 2>&1; cat /new/place/file; touch /new/place/y /dev/shm/y || exit 1; touch /x /etc/x /ro/x; cat /etc/hosts; pwd",
            mounts: [
                .init(source: volume, path: "/new/place", isReadOnly: false),
                .init(source: volume, path: "/ro", isReadOnly: true),
                .init(source: "/etc/hosts", path: "/etc/hosts", isReadOnly: true),
            ]
        ) {
            $0.isRootReadOnly = true
            $0.workingDirectory = "/job/here"
            $1.environment.append("A=b")
        }
        #expect(code == 0)
        let refusals = ["/x", "/etc/x", "/ro/x"].map { "touch: \($0): Read-only file system" }.joined(separator: "\n")
        #expect(log.hasPrefix("inside\n\(refusals)\n"), "\(log)")
        #expect(log.hasSuffix("\n/job/here"))
        #expect(access("\(volume)/y", F_OK) == 0)
        try await host.end()
    }

    @Test func aCommandBesideItIsInTheSamePlaceAsTheSameUser() async throws {
        let host = try ImageHost()
        let script =
            "echo $(id) $(grep -E '^(Cap|NoNew|Seccomp)' /proc/self/status) $MARK; "
            + "for n in cgroup ipc mnt net pid uts user; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup; ulimit -n"
        for user in ["", "postgres:wheel"] {
            let attempt = try await host.launch(
                ["sh", "-c", "\(script); echo there; exec sleep 1000"], identity: .image(user: user, groups: [2000]))
            try await host.wait(for: "there", of: attempt)
            let beside = try await host.exec(["sh", "-c", "\(script); echo there"], in: attempt)
            #expect(beside.code == 0)
            #expect(beside.text == host.log(attempt) + "\n")
            try await host.kill(attempt, SIGUSR1)
        }
        try await host.end()
    }

    @Test func aTerminalIsOne() async throws {
        let host = try ImageHost()
        let (code, log) = try await host.run("test -t 0 && test -t 1 && stty -a && : < /dev/tty") {
            $1.isTerminal = true
        }
        #expect(code == 0)
        #expect(log.hasPrefix("speed"), "\(log)")
        try await host.end()
    }

    @Test func nothingIsLeftWhateverIsKilled() async throws {
        let host = try ImageHost()
        for signal in [SIGKILL, SIGTERM, SIGUSR1] {
            let attempt = try await host.launch(["sh", "-c", "sleep 1000 & echo there; exec sleep 1000"])
            try await host.wait(for: "there", of: attempt)
            let main = try host.mainProcess(of: attempt)
            #expect(contents("/proc/\(main.pid)/mountinfo").contains(" / / rw,nosuid,nodev"))
            try await host.kill(attempt, signal)
            await host.spawner.waitForExit(main)
        }
        try await host.end()
    }

    /// At every moment of a start: also before bubblewrap has asked to die with its parent.
    @Test func aShimThatIsKilledAtItsStartLeavesNothing() async throws {
        let host = try ImageHost()
        for _ in 0..<30 {
            let attempt = try await host.launch(["sleep", "1000"])
            try await host.kill(attempt, SIGKILL)
        }
        // What bubblewrap had not finished is still in its group, but nothing of the container's ever ran on.
        let deadline = host.clock.monotonic() + patience
        while host.leftovers().contains(where: { $0.hasPrefix("sleep") }), host.clock.monotonic() < deadline {
            try await host.clock.sleep(for: .milliseconds(2))
        }
        #expect(!host.leftovers().contains { $0.hasPrefix("sleep") })
        #expect(await host.groups.remove(pod: ImageHost.uid, clock: host.clock))
        try await host.end()
    }

    @Test func whatCannotBeMountedIsSaid() async throws {
        let host = try ImageHost()
        let gone = try await host.launch(["true"], layers: ["\(host.directory)/none"])
        #expect(
            gone.answer == .failed(message: "cannot open the layer \(host.directory)/none: No such file or directory"))
        try ImageHost.shell("mkdir -p \"$1\"/link; ln -s /etc \"$1\"/link/proc", [host.directory])
        let link = try await host.launch(["true"], layers: ["\(host.directory)/link"] + host.layers)
        #expect(link.answer == .failed(message: "/proc of the image is no folder: Too many levels of symbolic links"))
        await #expect(throws: ProcessError.self) {
            _ = try await host.launch(["true"], layers: Array(repeating: host.layers[0], count: 501))
        }
        let absent = Sandbox.Mount(source: "\(host.directory)/none", path: "/data", isReadOnly: true)
        let mount = try await host.launch(["true"], mounts: [absent])
        #expect(
            mount.answer == .failed(message: "cannot open what is to be mounted at /data: No such file or directory"))
        try await host.end()
    }

    /// As many layers as an image can have, with long names and every character that means something to the kernel.
    @Test func hundredsOfLayersAreOneRoot() async throws {
        let host = try ImageHost()
        let name = "layer:, \\" + String(repeating: "x", count: 100)
        let layers = (0..<499).map { "\(host.directory)/many/\(name)\($0)" }
        try ImageHost.shell(
            "i=0; while [ $i -lt 499 ]; do mkdir -p \"$1/$2$i\"; echo $i > \"$1/$2$i/only$i\"; i=$((i+1)); done",
            ["\(host.directory)/many", name])
        #expect(try await host.run("ls / | grep -c only", layers: layers + [host.layers[1]]).log == "499")
        try await host.end()
    }
}
