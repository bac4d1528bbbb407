package import Seams

/// Who the processes of a container are. Names are looked up inside, in the container's own /etc/passwd and /etc/group
/// (Sources/CShim/shim_identity.c); one that is not there ends the container with code 126 and a line in its log.
package struct ContainerIdentity: Sendable, Hashable {
    package enum GroupsPolicy: String, Sendable {
        /// Also the groups of the container's /etc/group that name the user.
        case merge
        case strict
    }

    /// `<user>[:<group>]`, each a name or a number, as an image's configuration says it; "" is root. `nil`: who we are.
    package var user: String?
    package var groups: [UInt32] = []
    package var groupsPolicy = GroupsPolicy.strict
    /// What root may do inside, and the most that any other user could come to. Others have none.
    package var capabilities: CapabilitySet = []
    /// The most processes and threads of this user on the whole machine; for users that are one pod's own.
    package var processes: Int?

    package init(user: String?) { self.user = user }

    /// A process pod's: a user of its own and nothing else.
    package static func ownUser(_ user: UInt32?) -> ContainerIdentity {
        var identity = ContainerIdentity(user: user.map { "\($0):\($0)" })
        identity.processes = Limits.podProcesses
        return identity
    }

    /// A container's of an image: what its configuration says, unless the pod says otherwise.
    package static func image(
        user: String?, runAsUser: UInt32? = nil, runAsGroup: UInt32? = nil, groups: [UInt32] = [],
        groupsPolicy: GroupsPolicy = .merge, capabilities: CapabilitySet = .containerDefault
    ) -> ContainerIdentity {
        // A group of the image's belongs to its user, not to one the pod asks for.
        let own = (user ?? "").split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let name = runAsUser.map { String($0) } ?? own.first.map { String($0) } ?? ""
        let group = runAsGroup.map { String($0) } ?? (runAsUser == nil && own.count > 1 ? String(own[1]) : nil)
        var identity = ContainerIdentity(user: group.map { "\(name):\($0)" } ?? name)
        identity.groups = groups
        identity.groupsPolicy = groupsPolicy
        identity.capabilities = capabilities
        return identity
    }

    /// For `espalier-shim drop` and `exec`.
    package var words: [String] {
        guard let user else { return [] }
        let list = groups.map { String($0) }.joined(separator: ",")
        return ["user=\(user)", "groups=\(groupsPolicy.rawValue):\(list)", "capabilities=\(capabilities.text)"]
            + (processes.map { ["processes=\($0)"] } ?? [])
    }
}

/// Capabilities of Linux, by their numbers (linux/capability.h).
package struct CapabilitySet: OptionSet, Sendable, Hashable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Numbers by name, without `CAP_`, of those that a container can have.
    private static let numbers: [String: UInt64] = [
        "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
        "LINUX_IMMUTABLE": 9, "NET_BIND_SERVICE": 10, "NET_BROADCAST": 11, "NET_ADMIN": 12, "NET_RAW": 13,
        "IPC_LOCK": 14, "IPC_OWNER": 15, "SYS_CHROOT": 18, "SYS_NICE": 23, "SYS_TTY_CONFIG": 26, "LEASE": 28,
        "AUDIT_WRITE": 29, "SETFCAP": 31,
    ]
    /// What makes a container the machine, or may do so: refused. MKNOD because no devices are kept from a container
    /// but by its lack of it; SYS_PTRACE because `exec` is the machine's root until it has become the container's user.
    private static let refused: Set<String> = [
        "DAC_READ_SEARCH", "SYS_MODULE", "SYS_RAWIO", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT",
        "SYS_RESOURCE", "SYS_TIME", "MKNOD", "AUDIT_CONTROL", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
        "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ]

    /// What containerd gives, without MKNOD.
    package static let containerDefault = CapabilitySet([
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    ])
    /// What becoming another user takes.
    static let forIdentity = CapabilitySet(["SETUID", "SETGID", "SETPCAP"])

    private init(_ names: [String]) {
        self.init(rawValue: names.reduce(0) { $0 | (Self.numbers[$1].map { 1 << $0 } ?? 0) })
    }

    /// A container's `securityContext.capabilities`: names with or without `CAP_`, in any case, or `ALL`. What is added
    /// wins over what is dropped. Throws for a name that is none, and for a capability that no container gets.
    package init(adding added: [String], dropping dropped: [String]) throws(ProcessError) {
        func plain(_ name: String) -> String {
            let name = name.uppercased()
            return name.hasPrefix("CAP_") ? String(name.dropFirst(4)) : name
        }
        let (added, dropped) = (added.map(plain), dropped.map(plain))
        for name in added + dropped where name != "ALL" && Self.numbers[name] == nil && !Self.refused.contains(name) {
            throw ProcessError(message: "unknown capability \"\(name)\"")
        }
        if let name = added.first(where: Self.refused.contains) {
            throw ProcessError(message: "capability \(name) is not given to containers on this node")
        }
        var result = dropped.contains("ALL") ? [] : Self.containerDefault.subtracting(CapabilitySet(dropped))
        if added.contains("ALL") {
            throw ProcessError(message: "capability ALL is not given to containers on this node")
        }
        result.formUnion(CapabilitySet(added))
        self = result
    }

    /// Sorted, with `CAP_`.
    package var names: [String] {
        Self.numbers.filter { rawValue >> $0.value & 1 == 1 }.keys.sorted().map { "CAP_\($0)" }
    }

    /// Hexadecimal, as /proc/<pid>/status has it.
    package var text: String { String(rawValue, radix: 16) }
}

/// Where a command beside a container's process runs.
package struct CommandPlace: Sendable {
    /// Whom it joins; `nil`: nobody.
    package var process: ProcessIdentity?
    package var identity: ContainerIdentity
    package var workingDirectory: String?
    package var groups: [ControlGroups.Membership] = []
    /// Whether the container has a filter of system calls: it has one wherever it has a sandbox.
    package var isFiltered = true

    package init(process: ProcessIdentity?, identity: ContainerIdentity) {
        self.process = process
        self.identity = identity
    }

    /// The words of `espalier-shim exec` behind its mode (Sources/CShim/shim_exec.c).
    package var words: [String] {
        var words = process.map { [String($0.pid), String($0.startTime)] } ?? ["-", "0"]
        words += identity.words
        if let workingDirectory { words.append("folder=\(workingDirectory)") }
        words += groups.map { "cgroup=\($0.folder)" }
        if isFiltered { words.append("filter=\(identity.capabilities.text)") }
        return words
    }
}
