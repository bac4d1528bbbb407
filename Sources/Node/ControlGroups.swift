internal import Glibc
package import Seams

/// Control groups of containers: limits on memory, processor and processes, what is used, and what was killed for it.
///
/// They lie below the server's own groups, `espalier-<instance>/<pod uid>/<container>`, for version 1 in each
/// controller's hierarchy. A container's group belongs to its newest attempt: it is made anew for each, so that its
/// counts begin at nothing. Files are read and written as they are needed; this value holds only where they are.
package struct ControlGroups: Sendable {
    /// One hierarchy that has some of the controllers.
    package struct Hierarchy: Sendable, Hashable {
        /// Of version 1 the mount's last component; "" for version 2, which is one for all.
        package var name: String
        package var controllers: Set<String>
        /// The server's own group in it.
        package var own: String

        var isUnified: Bool { name.isEmpty }
    }

    /// One group that a container's processes enter: a folder, and its name below the container's /sys/fs/cgroup ("" for
    /// the whole of it).
    package struct Membership: Sendable, Hashable {
        package var folder: String
        package var name: String
    }

    /// Limits of one container, and what it asks for; `nil`: none.
    package struct ContainerLimits: Sendable, Hashable {
        package var memoryBytes: Int?
        package var cpuMillicores: Int?
        package var cpuRequestMillicores: Int?

        package init(memoryBytes: Int? = nil, cpuMillicores: Int? = nil, cpuRequestMillicores: Int? = nil) {
            self.memoryBytes = memoryBytes
            self.cpuMillicores = cpuMillicores
            self.cpuRequestMillicores = cpuRequestMillicores
        }
    }

    /// The share of a whole pod.
    package struct Pod: Sendable, Hashable {
        package var uid: String
        /// The sum over its containers.
        package var cpuRequestMillicores: Int?
        package var processes = Limits.podProcesses

        package init(uid: String, cpuRequestMillicores: Int? = nil) {
            self.uid = uid
            self.cpuRequestMillicores = cpuRequestMillicores
        }
    }

    /// What a container uses. `memoryBytes` is the working set: without what the kernel could drop at once.
    package struct Usage: Sendable, Hashable {
        package var cpuNanoseconds: UInt64
        package var memoryBytes: UInt64
        package var processes: Int
    }

    let hierarchies: [Hierarchy]
    let instance: String
    /// Why containers run without some or all limits; `nil`: all hold.
    package let reason: String?

    static let controllers: Set<String> = ["cpu", "cpuacct", "memory", "pids"]

    init(hierarchies: [Hierarchy], instance: String, reason: String?) {
        self.hierarchies = hierarchies
        self.instance = instance
        self.reason = reason
    }

    /// Makes a pod's groups and those of one container of its, for an attempt that is about to begin: again what is there
    /// already. Empty where there are no control groups. Throws with what could not be made or set.
    package func prepare(
        _ pod: Pod, container: String, limits: ContainerLimits
    ) throws(ProcessError) -> [Membership] {
        var result: [Membership] = []
        for hierarchy in hierarchies {
            let base = folder(hierarchy), podFolder = try folder(hierarchy, pod.uid)
            let folder = try folder(hierarchy, pod.uid, container)
            try make(base, in: hierarchy)
            try make(podFolder, in: hierarchy)
            // One that is empty is an earlier attempt's; one that is not stays.
            rmdir(folder)
            try make(folder, in: nil)
            try set(pod, podFolder, hierarchy)
            try set(limits, folder, hierarchy)
            result.append(Membership(folder: folder, name: hierarchy.name))
        }
        return result
    }

    /// The groups of a container that runs, for a command beside it.
    package func memberships(pod uid: String, container: String) -> [Membership] {
        hierarchies.compactMap { hierarchy in
            guard let folder = try? folder(hierarchy, uid, container), StateFiles.isDirectory(folder) else {
                return nil
            }
            return Membership(folder: folder, name: hierarchy.name)
        }
    }

    /// Changes the limits of a container that runs. Throws where the kernel refuses, as it does memory below what is used
    /// and cannot be freed.
    package func setLimits(pod uid: String, container: String, _ limits: ContainerLimits) throws(ProcessError) {
        for hierarchy in hierarchies { try set(limits, try folder(hierarchy, uid, container), hierarchy) }
    }

    /// `nil` where there is no such group, or not all is known.
    package func usage(pod uid: String, container: String) -> Usage? {
        var cpu: UInt64?, memory: UInt64?, processes: Int?
        for hierarchy in hierarchies {
            guard let folder = try? folder(hierarchy, uid, container) else { return nil }
            if hierarchy.controllers.contains("cpuacct") { cpu = number("\(folder)/cpuacct.usage") }
            if hierarchy.controllers.contains("pids") { processes = number("\(folder)/pids.current").map { Int($0) } }
            if hierarchy.isUnified { cpu = field("usage_usec", "\(folder)/cpu.stat").map { $0 * 1000 } }
            guard hierarchy.controllers.contains("memory") else { continue }
            let used = number("\(folder)/memory.\(hierarchy.isUnified ? "current" : "usage_in_bytes")")
            let name = hierarchy.isUnified ? "inactive_file" : "total_inactive_file"
            let droppable = field(name, "\(folder)/memory.stat") ?? 0
            memory = used.map { $0 > droppable ? $0 - droppable : 0 }
        }
        guard let cpu, let memory, let processes else { return nil }
        return Usage(cpuNanoseconds: cpu, memoryBytes: memory, processes: processes)
    }

    /// How many processes of the newest attempt were killed because it used more memory than it may.
    package func memoryKills(pod uid: String, container: String) -> Int {
        for hierarchy in hierarchies where hierarchy.controllers.contains("memory") {
            guard let folder = try? folder(hierarchy, uid, container) else { continue }
            let file = hierarchy.isUnified ? "memory.events" : "memory.oom_control"
            if let count = field("oom_kill", "\(folder)/\(file)") { return Int(count) }
        }
        return 0
    }

    /// Removes the groups of a pod that has been ended, with what a shim that was killed at its very start has left in
    /// them; waits a little for the kernel to let go of them. Whether none are left.
    @discardableResult
    package func remove(pod uid: String, clock: any Clock) async -> Bool {
        let deadline = clock.monotonic() + Limits.groupRemovalTimeout
        var pause = Duration.milliseconds(1)
        while !removeNow(pod: uid) {
            killAll(pod: uid)
            guard clock.monotonic() < deadline, !Task.isCancelled else { return false }
            try? await clock.sleep(for: pause)  // Cancelled: the loop's condition sees it.
            pause = min(pause * 2, .milliseconds(100))
        }
        return true
    }

    /// Removes what pods left that are not among `uids`, where nothing runs in it any more.
    package func removeLeftovers(except uids: @autoclosure () -> Set<String>) {
        let found = Set(hierarchies.flatMap { StateFiles.names(in: folder($0)) })
        for uid in found.subtracting(uids()).sorted() { removeNow(pod: uid) }
    }

    /// Removes the folder of this server's pods once there is none: at a complete stop.
    package func removeAll() {
        removeLeftovers(except: [])
        for hierarchy in hierarchies { rmdir(folder(hierarchy)) }
    }

    private func killAll(pod uid: String) {
        for hierarchy in hierarchies {
            guard let pod = try? folder(hierarchy, uid) else { continue }
            for name in StateFiles.names(in: pod) where StateFiles.isDirectory("\(pod)/\(name)") {
                let pids = StateFiles.text("\(pod)/\(name)/cgroup.procs") ?? ""
                for pid in pids.split(separator: "\n").compactMap({ Int32($0) }) where pid > 0 { kill(pid, SIGKILL) }
            }
        }
    }

    @discardableResult
    private func removeNow(pod uid: String) -> Bool {
        var isGone = true
        for hierarchy in hierarchies {
            guard let pod = try? folder(hierarchy, uid), StateFiles.isDirectory(pod) else { continue }
            for name in StateFiles.names(in: pod) where StateFiles.isDirectory("\(pod)/\(name)") {
                rmdir("\(pod)/\(name)")
            }
            if rmdir(pod) != 0, errno != ENOENT { isGone = false }
        }
        return isGone
    }
}

/// Paths and files.
extension ControlGroups {
    private func folder(_ hierarchy: Hierarchy) -> String { "\(hierarchy.own)/espalier-\(instance)" }

    private func folder(_ hierarchy: Hierarchy, _ parts: String...) throws(ProcessError) -> String {
        for part in parts where part.isEmpty || part.contains("/") || part.hasPrefix(".") {
            throw ProcessError(message: "\"\(part)\" cannot be the name of a control group")
        }
        return ([folder(hierarchy)] + parts).joined(separator: "/")
    }

    /// `inner`: the hierarchy in which groups below this one are to have its controllers.
    private func make(_ path: String, in inner: Hierarchy?) throws(ProcessError) {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw failure("make", path) }
        guard let inner, inner.isUnified else { return }
        try put("\(path)/cgroup.subtree_control", Self.enabling(inner.controllers))
    }

    static func enabling(_ controllers: Set<String>) -> String {
        controllers.sorted().map { "+\($0)" }.joined(separator: " ")
    }

    private func set(_ pod: Pod, _ folder: String, _ hierarchy: Hierarchy) throws(ProcessError) {
        if hierarchy.controllers.contains("pids") { try put("\(folder)/pids.max", String(pod.processes)) }
        if hierarchy.controllers.contains("cpu") { try setWeight(pod.cpuRequestMillicores, folder, hierarchy) }
    }

    private func set(_ limits: ContainerLimits, _ folder: String, _ hierarchy: Hierarchy) throws(ProcessError) {
        if hierarchy.controllers.contains("memory") { try setMemory(limits.memoryBytes, folder, hierarchy) }
        guard hierarchy.controllers.contains("cpu") else { return }
        try setWeight(limits.cpuRequestMillicores ?? limits.cpuMillicores, folder, hierarchy)
        // As Kubernetes computes it: a period of 100 ms, of which at least one.
        let quota = limits.cpuMillicores.map { max(1000, $0 * 100) }
        if hierarchy.isUnified {
            try put("\(folder)/cpu.max", "\(quota.map { String($0) } ?? "max") 100000")
        } else {
            try put("\(folder)/cpu.cfs_period_us", "100000")
            try put("\(folder)/cpu.cfs_quota_us", String(quota ?? -1))
        }
    }

    private func setWeight(_ request: Int?, _ folder: String, _ hierarchy: Hierarchy) throws(ProcessError) {
        let shares = min(262_144, max(2, (request ?? 0) * 1024 / 1000))
        if hierarchy.isUnified {
            try put("\(folder)/cpu.weight", String(1 + (shares - 2) * 9999 / 262_142))
        } else {
            try put("\(folder)/cpu.shares", String(shares))
        }
    }

    private func setMemory(_ bytes: Int?, _ folder: String, _ hierarchy: Hierarchy) throws(ProcessError) {
        if hierarchy.isUnified {
            try put("\(folder)/memory.max", bytes.map { String($0) } ?? "max")
            if bytes != nil, StateFiles.exists("\(folder)/memory.swap.max") {
                try put("\(folder)/memory.swap.max", "0")
            }
            if StateFiles.exists("\(folder)/memory.oom.group") { try put("\(folder)/memory.oom.group", "1") }
            return
        }
        // Memory may not exceed memory with swap, so which is set first depends on where they stand.
        let value = bytes.map { String($0) } ?? "-1"
        let (memory, withSwap) = ("\(folder)/memory.limit_in_bytes", "\(folder)/memory.memsw.limit_in_bytes")
        guard StateFiles.exists(withSwap) else { return try put(memory, value) }
        let isSet: Bool
        do {
            try put(memory, value)
            isSet = true
        } catch {
            isSet = false  // The second try below says what is wrong.
        }
        try put(withSwap, value)
        if !isSet { try put(memory, value) }
    }

    private func put(_ path: String, _ text: String) throws(ProcessError) { try Self.put(path, text) }

    static func put(_ path: String, _ text: String) throws(ProcessError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        let count = text.utf8.count
        guard Glibc.write(descriptor, text, count) == count else { throw failure("write \(text) to", path) }
    }

    private func failure(_ what: String, _ path: String) -> ProcessError { Self.failure(what, path) }

    private static func failure(_ what: String, _ path: String) -> ProcessError {
        let number = errno
        return ProcessError(message: "cannot \(what) \(path): \(systemMessage(number))", number: number)
    }

    private func number(_ path: String) -> UInt64? {
        StateFiles.text(path).flatMap { UInt64($0.filter { $0 != "\n" }) }
    }

    private func field(_ name: String, _ path: String) -> UInt64? {
        StateFiles.text(path).flatMap { PodDirectory.fields($0)[name] }.flatMap { UInt64($0) }
    }
}
