import Documents
import Node
import Seams
import Testing

/// The argument vector that stands between a container and the machine.
struct SandboxTests {
    static func sandbox(user: UInt32?) -> Sandbox {
        Sandbox(
            bubblewrap: "/usr/bin/bwrap",
            root: .host(
                entries: [
                    .init(name: "bin", link: "usr/bin"), .init(name: "etc"), .init(name: "home"), .init(name: "proc"),
                    .init(name: "usr"),
                ],
                hidden: ["/var/lib/espalier", "/tmp/data"]),
            mounts: [.init(source: "/d/pods/u/hosts", path: "/etc/hosts", isReadOnly: true)], hostName: "web",
            shim: "/usr/bin/espalier-shim", identity: .ownUser(user), workingDirectory: "/app")
    }

    @Test func programsAreReadOnlyAndHomesAndDataAreNotThere() {
        let words = Self.sandbox(user: 1_000_007).arguments(["/bin/web", "--", "x"]).joined(separator: " ")
        #expect(words.contains("--symlink usr/bin /bin --ro-bind /etc /etc --ro-bind /usr /usr --proc /proc"))
        #expect(!words.contains("--ro-bind /home"))
        #expect(words.contains("--tmpfs /home --tmpfs /root --tmpfs /var/lib/espalier"))
        #expect(!words.contains("/tmp/data"), "/tmp is private: what lies in it is hidden already")
        #expect(words.contains("--unshare-pid --unshare-ipc --unshare-uts"))
        #expect(words.contains("--cap-drop ALL"))
        #expect(words.contains("--chdir / -- /.espalier/espalier-shim drop user=1000007:1000007 groups=strict: "))
        #expect(words.hasSuffix("capabilities=0 processes=4096 folder=/app environment=4 holder=6 -- /bin/web -- x"))
        // Nothing of the pod's may cover the program that still runs as who we are.
        #expect(
            words.contains(
                "/d/pods/u/hosts /etc/hosts --ro-bind /usr/bin/espalier-shim /.espalier/espalier-shim --chdir"))
    }

    @Test(arguments: [
        "/", "", "app", "/x/../etc", "/./app", "/.espalier", "/.espalier/espalier-shim", "//.espalier/libc.so.6",
        "/etc",
        "/etc/", "/etc/ld.so.preload", "/usr", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/lib64",
        "/lib/x86_64-linux-gnu/",
    ])
    func nothingCoversWhatRunsBeforeTheChangeOfUser(_ path: String) {
        #expect(!Sandbox.allowsMount(at: path))
    }

    @Test(arguments: ["/app", "/app/lib", "/etc/app", "/usr/share/app", "/run/espalier-shim", "/var/lib/app/"])
    func allElseMayBeCovered(_ path: String) {
        #expect(Sandbox.allowsMount(at: path))
    }

    @Test(arguments: ["/", "", "app", "/x/../etc", "/proc", "/proc/1", "/sys/fs", "/dev", "/.espalier/x", "/a/./b"])
    func nothingCoversWhatTheSandboxOfAnImageMounts(_ path: String) {
        #expect(!Sandbox.allowsMountInImage(at: path))
    }

    @Test(arguments: ["/lib", "/etc", "/usr/lib", "/dev/shm", "/var/run/app", "/procs"])
    func anImagesOwnFoldersMayBeCovered(_ path: String) {
        #expect(Sandbox.allowsMountInImage(at: path))
    }

    @Test func anUnprivilegedServerKeepsItsUser() {
        let words = Self.sandbox(user: nil).arguments(["/bin/web"]).joined(separator: " ")
        #expect(words.hasSuffix("-- /.espalier/espalier-shim drop folder=/app environment=4 holder=6 -- /bin/web"))
        #expect(!words.contains("--cap-add"))
    }
}
