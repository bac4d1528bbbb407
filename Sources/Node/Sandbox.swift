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

    private static let shimInside = "/run/espalier-shim"
    private static let own: Set<String> = ["proc", "dev", "tmp", "run", "home", "root", "lost+found"]

    /// The whole argument vector for `command`. Status goes to descriptor 3.
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
            words += ["--ro-bind", shim, Self.shimInside]
        }
        for mount in mounts { words += [mount.isReadOnly ? "--ro-bind" : "--bind", mount.source, mount.path] }
        // The change of user comes first: a folder that the user may not enter is refused, not entered for it.
        words += ["--chdir", user == nil ? workingDirectory ?? "/" : "/", "--"]
        if let user { words += [Self.shimInside, "drop", String(user), String(user), workingDirectory ?? "/", "--"] }
        return words + command
    }

    private static func isCovered(_ path: String) -> Bool {
        ["/tmp", "/var/tmp", "/run", "/home", "/root", "/dev"].contains { path == $0 || path.hasPrefix($0 + "/") }
    }
}
