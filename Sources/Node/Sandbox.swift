/// What stands between a container and the machine: the arguments of bubblewrap. Pure.
///
/// The container sees the host's programs read-only, private /tmp, /run, /dev and /proc, no process but its own, no
/// home folders and nothing of the data directory. Secrets and settings reach it as mounts of folders in memory.
package struct Sandbox: Sendable {
    package enum Kind: Sendable, Hashable {
        case bubblewrap(path: String)
        /// Why there is none, for the log and the Node's conditions.
        case none(reason: String)
    }

    /// A folder or file of the host inside the container.
    package struct Mount: Sendable, Hashable {
        package var source: String
        package var path: String
        package var isReadOnly: Bool

        package init(source: String, path: String, isReadOnly: Bool) {
            self.source = source
            self.path = path
            self.isReadOnly = isReadOnly
        }
    }

    /// An entry of the host's root folder.
    package struct RootEntry: Sendable, Hashable {
        package var name: String
        /// Where a symbolic link points.
        package var link: String?

        package init(name: String, link: String? = nil) {
            self.name = name
            self.link = link
        }
    }

    package var bubblewrap: String
    package var root: [RootEntry]
    /// Folders that are replaced by empty ones.
    package var hidden: [String]
    package var mounts: [Mount]
    package var hostName: String
    /// The shim, which becomes `user` inside; `nil` user: the container runs as who we are.
    package var shim: String
    package var user: UInt32?
    package var workingDirectory: String?

    package init(
        bubblewrap: String, root: [RootEntry], hidden: [String], mounts: [Mount], hostName: String, shim: String,
        user: UInt32?, workingDirectory: String?
    ) {
        self.bubblewrap = bubblewrap
        self.root = root
        self.hidden = hidden
        self.mounts = mounts
        self.hostName = hostName
        self.shim = shim
        self.user = user
        self.workingDirectory = workingDirectory
    }

    /// Where the shim stands inside. It runs before the change of user: nothing of the pod's may stand there or above.
    private static let shimInside = "/.espalier/espalier-shim"
    /// Descriptor on which the shim that becomes the container's user finds the environment.
    private static let environmentDescriptor = "4"
    private static let own: Set<String> = ["proc", "dev", "tmp", "run", "home", "root", "lost+found"]

    /// The whole argument vector for `command`. Status goes to descriptor 3; descriptor 4 holds the environment.
    package func arguments(_ command: [String]) -> [String] {
        var words = [
            bubblewrap, "--json-status-fd", "3", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname",
            hostName,
            "--die-with-parent", "--new-session",
        ]
        for entry in root where !Self.own.contains(entry.name) {
            if let link = entry.link {
                words += ["--symlink", link, "/\(entry.name)"]
            } else {
                words += ["--ro-bind", "/\(entry.name)", "/\(entry.name)"]
            }
        }
        words += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]
        for path in ["/tmp", "/var/tmp"] { words += ["--perms", "1777", "--tmpfs", path] }
        for path in ["/run", "/home", "/root"] { words += ["--tmpfs", path] }
        for path in hidden where !Self.isCovered(path) { words += ["--tmpfs", path] }
        if user != nil {
            words += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        }
        for mount in mounts { words += [mount.isReadOnly ? "--ro-bind" : "--bind", mount.source, mount.path] }
        // The change of user comes first: a folder that the user may not enter is refused, not entered for it.
        let identity = user.map { String($0) } ?? "-1"
        words += ["--ro-bind", shim, Self.shimInside, "--chdir", "/", "--", Self.shimInside, "drop"]
        return words + [identity, identity, workingDirectory ?? "/", Self.environmentDescriptor, "--"] + command
    }

    /// Whether something of the pod's may be mounted there: not over the program that changes the user, nor over what a
    /// loader reads before that program.
    package static func allowsMount(at path: String) -> Bool {
        let parts = path.split(separator: "/")
        guard path.hasPrefix("/"), let first = parts.first, !parts.contains("."), !parts.contains("..") else {
            return false
        }
        let rest = parts.dropFirst()
        switch first {
        case ".espalier": return false
        case "etc": return rest.first.map { !$0.hasPrefix("ld.so") } ?? false
        case "usr": return rest.first.map { !$0.hasPrefix("lib") } ?? false
        default: return !first.hasPrefix("lib")
        }
    }

    private static func isCovered(_ path: String) -> Bool {
        ["/tmp", "/var/tmp", "/run", "/home", "/root", "/dev"].contains { path == $0 || path.hasPrefix($0 + "/") }
    }
}
