import Glibc
import Node
import Seams
import Testing

/// What a hostile image, volume or root inside asks for and does not get.
@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: imageObstacle == nil, "\(imageObstacle ?? "")"))
struct ImageEscapeTests {
    /// Paths at which a volume is asked for, with what the image has there, and where it may be then.
    static let links: [(link: String, path: String, found: String?)] = [
        ("/run", "/var/run/app", "/run/app"),
        ("OUTSIDE", "/l/v", "OUTSIDE/v"),
        ("../../../..OUTSIDE", "/l/v", "OUTSIDE/v"),
        ("/oldroot/OUTSIDE", "/l/v", "/oldroot/OUTSIDE/v"),
        ("/missing/deep", "/l", "/missing/deep"),
        ("/missing/deep", "/l/v", "/missing/deep/v"),
        ("/etc", "/l/v", "/etc/v"),
        ("/proc", "/l/v", nil), ("/proc/self/root", "/l/v", nil), ("/proc/1/root/OUTSIDE", "/l", nil),
        ("/sys", "/l", nil), ("/.espalier", "/l", nil), ("/.espalier/espalier-shim", "/l/v", nil),
    ]

    /// Each leads to a place of the container's own, and nothing outside is made or mounted.
    @Test func linksOfAnImageLeadNowhereElse() async throws {
        let host = try ImageHost()
        let outside = "\(host.directory)/outside", volume = "\(host.directory)/volume", top = "\(host.directory)/top"
        try ImageHost.shell("mkdir -p \"$1\" \"$2\"; echo volume > \"$2\"/mark", [outside, volume])
        for (link, path, found) in Self.links {
            let target = link.split(separator: "OUTSIDE", omittingEmptySubsequences: false).joined(separator: outside)
            try ImageHost.shell("mkdir -p \"$1\"; ln -sfn \"$2\" \"$1\"/l", [top, target])
            let place = found.map {
                $0.split(separator: "OUTSIDE", omittingEmptySubsequences: false).joined(separator: outside)
            }
            let script = "cat \"\(place ?? "/nowhere")/mark\" 2>&1; ls -A /.espalier; ls /proc/self/status"
            let (code, log) = try await host.run(
                script, mounts: [.init(source: volume, path: path, isReadOnly: false)], layers: [top] + host.layers)
            #expect(code == 0)
            let first = place == nil ? "cat: can't open '/nowhere/mark': No such file or directory" : "volume"
            #expect(log == "\(first)\nespalier-shim\n/proc/self/status", "\(link) \(path)")
            #expect(names(outside) == [])
            #expect(names(volume) == ["mark"])
        }
        try await host.end()
    }

    /// Links that a container put into a volume, where the next one mounts a part of it or something below it.
    @Test func linksOfAVolumeLeadNowhereElse() async throws {
        let host = try ImageHost()
        let outside = "\(host.directory)/outside", volume = "\(host.directory)/volume"
        try ImageHost.shell(
            "mkdir -p \"$1\" \"$2\"/part; echo x > \"$2\"/part/file; ln -s \"$1\" \"$2\"/out; ln -s ../outside \"$2\"/up",
            [outside, volume])
        for part in ["out", "out/new", "up", "up/new", "../outside", "part/../../outside"] {
            let mount = Sandbox.Mount(source: volume, path: "/data", isReadOnly: false, part: part)
            let attempt = try await host.launch(["true"], mounts: [mount])
            #expect(
                attempt.answer
                    == .failed(message: "cannot open what is to be mounted at /data: Invalid cross-device link"),
                "\(part)")
        }
        let parts = [
            Sandbox.Mount(source: volume, path: "/data", isReadOnly: false, part: "part"),
            Sandbox.Mount(source: volume, path: "/made", isReadOnly: false, part: "new/deep"),
        ]
        #expect(try await host.run("cat /data/file; touch /made/x", mounts: parts).log == "x")
        #expect(access("\(volume)/new/deep/x", F_OK) == 0)
        let nested = [
            Sandbox.Mount(source: volume, path: "/data", isReadOnly: false),
            Sandbox.Mount(source: volume, path: "/data/out/in", isReadOnly: true),
        ]
        #expect(try await host.run("cat \(outside)/in/part/file", mounts: nested).log == "x")
        #expect(names(outside) == [])
        try await host.end()
    }

    /// Each of these is refused; the words are what busybox says of it.
    static let refused: [(what: String, script: String)] = [
        ("mount", "mount -t tmpfs none /tmp"), ("bind", "mount -o bind / /tmp"),
        ("remount", "mount -o remount,rw /proc/sys"), ("unmount", "umount /proc/sys"),
        ("unmount sys", "umount /sys/firmware"),
        ("user namespace", "unshare -U true"), ("mount namespace", "unshare -m true"), ("network", "unshare -n true"),
        ("setns", "nsenter -t 1 -m true"), ("mknod", "mknod /dev/disk b 254 0"),
        ("core_pattern", "echo '|/bin/sh' > /proc/sys/kernel/core_pattern"),
        ("modprobe", "echo /x > /proc/sys/kernel/modprobe"), ("sysctl", "sysctl -w vm.overcommit_memory=1"),
        ("sysrq", "echo h > /proc/sysrq-trigger"), ("kcore", "[ -s /proc/kcore ] && cat /proc/kcore"),
        ("keys", "[ \"$(cat /proc/keys)\" ]"), ("irq", "echo 1 > /proc/irq/default_smp_affinity"),
        ("firmware", "[ \"$(ls -A /sys/firmware)\" ]"), ("uevent helper", "echo /x > /sys/kernel/uevent_helper"),
        ("release agent", "echo /x > /sys/fs/cgroup/memory/release_agent"),
        ("leave the group", "echo 0 > /sys/fs/cgroup/pids/cgroup.procs"),
        ("own limit", "echo max > /sys/fs/cgroup/pids/pids.max"),
        ("host name", "hostname other"), ("time", "! date -s 2020-01-01 2>&1 | grep 'not permitted'"),
        ("the shim", "echo x > /.espalier/espalier-shim"),
        ("the shim's folder", "rm -f /.espalier/espalier-shim"), ("another shim", "touch /.espalier/other"),
        ("reboot", "reboot -f"), ("swap", "swapon /file"), ("kernel log", "dmesg -c"),
    ]

    @Test func whatRootOfAMachineMayDoIsRefused() async throws {
        let host = try ImageHost()
        for (index, refusal) in Self.refused.enumerated() {
            try ImageHost.shell("printf '%s\\n' \"$2\" > \"$1\"/try\(index)", [host.layers[1], refusal.script])
        }
        let loop = "i=0; while [ -e /try$i ]; do sh /try$i > /dev/null 2>&1 && echo $i; i=$((i+1)); done; echo tried $i"
        for user in ["", "postgres"] {
            let (_, log) = try await host.run(loop, identity: .image(user: user))
            let allowed = log.split(separator: "\n").compactMap { Int($0) }.map { Self.refused[$0].what }
            #expect(allowed == [], "as \(user)")
            #expect(log.hasSuffix("tried \(Self.refused.count)"))
        }
        try await host.end()
    }

    /// Out of a chroot one gets into the container's root and no further; no descriptor leads out.
    @Test func nothingLeadsToTheHostsRoot() async throws {
        let host = try ImageHost()
        let mark = "\(host.directory)/mark"
        try ImageHost.shell("echo host > \"$1\"", [mark])
        let script = """
            mkdir -p /jail/bin; cp /bin/busybox /jail/bin/sh
            for base in /proc/1/root /proc/self/root /proc/self/cwd /../../.. ; do cat $base\(mark) 2>/dev/null; done
            chroot /jail /bin/sh -c 'cd /; cd ../../../..; echo *'
            for fd in /proc/self/fd/*; do [ -d $fd/ ] && echo folder $fd; done
            ls /proc | grep -c '^[0-9]'
            """
        for folder in [nil, "/proc/self/fd/4", "/proc/self/fd/9"] {
            let (_, log) = try await host.run(script) { sandbox, _ in sandbox.workingDirectory = folder }
            if folder == nil { #expect(log == "bin\n4", "\(log)") }
            #expect(!log.contains("host"))
        }
        try await host.end()
    }

    /// A container that makes its own programs into links to whoever runs them cannot write the machine's program.
    @Test func theMachinesProgramIsNotWritten() async throws {
        let host = try ImageHost()
        let before = contents(ImageHost.shimPath).utf8.count
        // Only another program than its own is written to: what runs from a layer could be, by being copied up.
        let script = """
            ln -sf /proc/self/exe /bin/true; printf '#!/proc/self/exe\\n' > /bin/other; chmod 755 /bin/other; echo there
            while :; do
              for p in /proc/[0-9]*; do
                case "$(readlink $p/exe)" in ''|*busybox*|*bwrap*) ;; *) { echo x > $p/exe; } 2>/dev/null && echo written $p;; esac
              done
            done
            """
        let attempt = try await host.launch(["sh", "-c", script])
        try await host.wait(for: "there", of: attempt)
        for _ in 0..<20 {
            _ = try await host.exec(["/bin/true"], in: attempt)
            _ = try await host.exec(["/bin/other"], in: attempt)
        }
        #expect(!host.log(attempt).contains("written"))
        #expect(contents(ImageHost.shimPath).utf8.count == before)
        try await host.kill(attempt, SIGUSR1)
        try await host.end()
    }
}
