/// What stands between a container and the machine: the arguments of bubblewrap, and what the shim makes before. Pure.
///
/// A container with the host's root sees the host's programs read-only, private /tmp, /run, /dev and /proc, no process
/// but its own, no home folders and nothing of the data directory; secrets and settings reach it as mounts of folders in
/// memory. A container from an image has the image's layers below a folder of its own, and /proc and /sys as runc's
/// default specification closes them.
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
        /// A part of the source, made where it is missing; links in it lead nowhere else. Only with an image's root, and not
        /// below /dev.
        package var part: String?

        package init(source: String, path: String, isReadOnly: Bool, part: String? = nil) {
            self.source = source
            self.path = path
            self.isReadOnly = isReadOnly
            self.part = part
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

    package enum Root: Sendable, Hashable {
        /// The host's programs. `hidden`: folders that are replaced by empty ones.
        case host(entries: [RootEntry], hidden: [String])
        /// Folders of an image, topmost first, at most `Limits.imageLayers`. `upper` takes what the container writes and
        /// `work` is the kernel's; both are made where they are missing, on one file system, for one attempt only.
        case image(layers: [String], upper: String, work: String)
    }

    package var bubblewrap: String
    package var root: Root
    package var mounts: [Mount]
    package var hostName: String
    /// The shim, which becomes the container's user inside.
    package var shim: String
    package var identity: ContainerIdentity
    /// Made where an image lacks it.
    package var workingDirectory: String?
    /// Of an image: whether nothing but mounts can be written.
    package var isRootReadOnly = false
    /// Off where nobody hands bubblewrap a filter of system calls.
    package var isFiltered = true

    package init(
        bubblewrap: String, root: Root, mounts: [Mount], hostName: String, shim: String, identity: ContainerIdentity,
        workingDirectory: String?
    ) {
        self.bubblewrap = bubblewrap
        self.root = root
        self.mounts = mounts
        self.hostName = hostName
        self.shim = shim
        self.identity = identity
        self.workingDirectory = workingDirectory
    }

    /// Where the shim stands inside. It runs before the change of user: nothing of the pod's may stand there or above.
    private static let shimInside = "/.espalier/espalier-shim"
    /// Descriptors: of bubblewrap's status, of the environment for the shim that becomes the container's user, of the
    /// filter of system calls.
    private static let statusDescriptor = "3"
    private static let environmentDescriptor = "4"
    private static let filterDescriptor = "5"
    /// … and of a pipe that ends with the shim, without which the container does not start.
    private static let holderDescriptor = "6"
    private static let own: Set<String> = ["proc", "dev", "tmp", "run", "home", "root", "lost+found"]

    /// The whole argument vector for `command`.
    package func arguments(_ command: [String]) -> [String] {
        var words = [bubblewrap, "--json-status-fd", Self.statusDescriptor]
        if isFiltered { words += ["--seccomp", Self.filterDescriptor] }
        words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", hostName]
        words += ["--die-with-parent", "--new-session"]
        switch root {
        case .host(let entries, let hidden): words += hostRoot(entries, hidden)
        case .image(_, let upper, _): words += imageRoot(upper)
        }
        if identity.user != nil {
            words += ["--cap-drop", "ALL"]
            for name in identity.capabilities.union(.forIdentity).names { words += ["--cap-add", name] }
        }
        words += bindings
        if isRootReadOnly { words += ["--remount-ro", "/"] }
        // The change of user comes first: a folder that the user may not enter is refused, not entered for it.
        words += ["--chdir", "/", "--", Self.shimInside, "drop"] + identity.words
        words += ["folder=\(workingDirectory ?? "/")", "environment=\(Self.environmentDescriptor)"]
        if isFiltered { words.append("holder=\(Self.holderDescriptor)") }
        return words + ["--"] + command
    }

    private func hostRoot(_ entries: [RootEntry], _ hidden: [String]) -> [String] {
        var words: [String] = []
        for entry in entries where !Self.own.contains(entry.name) {
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
        return words
    }

    /// The shim has mounted the image over its upper folder, with everything that is not below /proc or /dev.
    private func imageRoot(_ upper: String) -> [String] {
        var words = ["--unshare-cgroup-try", "--bind", upper, "/", "--proc", "/proc", "--dev", "/dev"]
        words += ["--perms", "1777", "--size", String(Limits.sharedMemoryBytes), "--tmpfs", "/dev/shm"]
        words += ["--mqueue", "/dev/mqueue"]
        for path in Self.kernelPaths.readOnly { words += ["--ro-bind", path, path] }
        for path in Self.kernelPaths.maskedFiles { words += ["--dev-bind", "/dev/null", path] }
        for path in Self.kernelPaths.maskedFolders {
            words += ["--perms", "0555", "--size", "4096", "--tmpfs", path, "--remount-ro", path]
        }
        return words
    }

    /// Mounts that are bubblewrap's work: all over the host's root, and below /dev over an image's.
    private var bindings: [String] {
        var words: [String] = []
        for mount in mounts where !isShimMount(mount) {
            words += [mount.isReadOnly ? "--ro-bind" : "--bind", mount.source, mount.path]
        }
        if case .host = root { words += ["--ro-bind", shim, Self.shimInside] }
        return words
    }

    /// Mounts of which a part is asked for and that bubblewrap would mount whole.
    var mountsWithoutTheirPart: [Mount] { mounts.filter { $0.part != nil && !isShimMount($0) } }

    private func isShimMount(_ mount: Mount) -> Bool {
        if case .host = root { return false }
        return !mount.path.hasPrefix("/dev/")
    }

    /// What the shim is to do before bubblewrap, as keys and values of its specification.
    var preparation: [(key: String, value: String)] {
        var lines = [(key: "sandbox", value: "1")]
        if isFiltered { lines.append(("filter", identity.capabilities.text)) }
        guard case .image(let layers, let upper, let work) = root else { return lines }
        lines += layers.map { ("layer", $0) }
        lines += [("upper", upper), ("work", work), ("shim", shim)]
        if let workingDirectory { lines.append(("folder", workingDirectory)) }
        for mount in mounts where isShimMount(mount) {
            lines.append((mount.isReadOnly ? "bind-ro" : "bind", mount.source))
            if let part = mount.part { lines.append(("part", part)) }
            lines.append(("at", mount.path))
        }
        return lines
    }

    /// Whether something of the pod's may be mounted there: not over the program that changes the user, nor over what a
    /// loader reads before that program.
    package static func allowsMount(at path: String) -> Bool {
        guard let parts = parts(path), let first = parts.first else { return false }
        let rest = parts.dropFirst()
        switch first {
        case ".espalier": return false
        case "etc": return rest.first.map { !$0.hasPrefix("ld.so") } ?? false
        case "usr": return rest.first.map { !$0.hasPrefix("lib") } ?? false
        default: return !first.hasPrefix("lib")
        }
    }

    /// Whether something of the pod's may be mounted there in a container from an image, whose loader is its own: not
    /// over what the sandbox itself mounts.
    package static func allowsMountInImage(at path: String) -> Bool {
        guard let parts = parts(path), let first = parts.first else { return false }
        return first == "dev" ? parts.count > 1 : ![".espalier", "proc", "sys"].contains(first)
    }

    private static func parts(_ path: String) -> [Substring]? {
        let parts = path.split(separator: "/")
        return path.hasPrefix("/") && !parts.contains(".") && !parts.contains("..") ? parts : nil
    }

    private static func isCovered(_ path: String) -> Bool {
        ["/tmp", "/var/tmp", "/run", "/home", "/root", "/dev"].contains { path == $0 || path.hasPrefix($0 + "/") }
    }
}

extension Sandbox {
    /// What of /proc is closed, as runc's and moby's default specifications have it; /sys is the shim's. A kernel has all
    /// or some of these, and bubblewrap mounts over none that are missing.
    private static let kernelPaths: (readOnly: [String], maskedFiles: [String], maskedFolders: [String]) = {
        let masked = [
            "acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "timer_list", "timer_stats",
            "sched_debug",
            "scsi",
        ].map { "/proc/\($0)" }.filter(StateFiles.exists)
        let readOnly = ["bus", "fs", "irq", "sys", "sysrq-trigger"].map { "/proc/\($0)" }.filter(StateFiles.exists)
        return (
            readOnly, masked.filter { !StateFiles.isDirectory($0) }, masked.filter { StateFiles.isDirectory($0) }
        )
    }()
}
