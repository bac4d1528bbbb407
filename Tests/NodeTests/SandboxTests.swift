import Documents
import Node
import Seams
import Testing

/// The argument vector that stands between a container and the machine.
struct SandboxTests {
    static func sandbox(user: UInt32?) -> Sandbox {
        Sandbox(
            bubblewrap: "/usr/bin/bwrap",
            root: [
                .init(name: "bin", link: "usr/bin"), .init(name: "etc"), .init(name: "home"), .init(name: "proc"),
                .init(name: "usr"),
            ],
            hidden: ["/var/lib/espalier", "/tmp/data"],
            mounts: [.init(source: "/d/pods/u/hosts", path: "/etc/hosts", isReadOnly: true)], hostName: "web",
            shim: "/usr/bin/espalier-shim", user: user, workingDirectory: "/app")
    }

    @Test func programsAreReadOnlyAndHomesAndDataAreNotThere() {
        let words = Self.sandbox(user: 1_000_007).arguments(["/bin/web", "--", "x"]).joined(separator: " ")
        #expect(words.contains("--symlink usr/bin /bin --ro-bind /etc /etc --ro-bind /usr /usr --proc /proc"))
        #expect(!words.contains("--ro-bind /home"))
        #expect(words.contains("--tmpfs /home --tmpfs /root --tmpfs /var/lib/espalier"))
        #expect(!words.contains("/tmp/data"), "/tmp is private: what lies in it is hidden already")
        #expect(words.contains("--unshare-pid --unshare-ipc --unshare-uts"))
        #expect(words.contains("--cap-drop ALL"))
        #expect(words.hasSuffix("--chdir / -- /run/espalier-shim drop 1000007 1000007 /app -- /bin/web -- x"))
    }

    @Test func anUnprivilegedServerKeepsItsUser() {
        let words = Self.sandbox(user: nil).arguments(["/bin/web"]).joined(separator: " ")
        #expect(words.hasSuffix("--chdir /app -- /bin/web"))
        #expect(!words.contains("drop"))
    }
}
