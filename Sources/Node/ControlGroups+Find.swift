internal import Glibc
internal import Seams

/// Finding the machine's control groups.
extension ControlGroups {
    /// Looks at what is mounted and tries it. Where nothing can be made, `reason` says why, and everything runs without
    /// limits. On version 2, which could not be tried where this was written, the processes of the server's own group move
    /// into a group below it, because a group that passes its controllers on has no processes of its own.
    package static func find(instance: String) -> ControlGroups {
        find(
            instance: instance, groups: StateFiles.text("/proc/self/cgroup") ?? "",
            mounts: StateFiles.text("/proc/self/mountinfo") ?? "")
    }

    package static func find(instance: String, groups: String, mounts: String) -> ControlGroups {
        var found = parse(groups: groups, mounts: mounts)
        if found.isEmpty {
            return ControlGroups(hierarchies: [], instance: instance, reason: "no control groups are mounted")
        }
        var reasons: [String] = []
        found = found.filter { hierarchy in
            do {
                if hierarchy.isUnified { try delegate(hierarchy) }
                let folder = "\(hierarchy.own)/espalier-\(instance)"
                guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
                    throw ProcessError(message: "cannot make \(folder): \(systemMessage(errno))")
                }
                return true
            } catch {
                reasons.append("\(error)")
                return false
            }
        }
        let missing = controllers.subtracting(found.reduce(into: []) { $0.formUnion($1.controllers) })
            .subtracting(found.contains(where: \.isUnified) ? ["cpuacct"] : [])
        if !missing.isEmpty, reasons.isEmpty {
            reasons = ["no control groups for \(missing.sorted().joined(separator: ", "))"]
        }
        return ControlGroups(
            hierarchies: found, instance: instance, reason: reasons.isEmpty ? nil : reasons.joined(separator: "; "))
    }

    /// Our own groups of the hierarchies that have controllers we want. Texts as in proc(5); each file once, sorted.
    package static func parse(groups: String, mounts: String) -> [Hierarchy] {
        // Of version 1 by controller; of version 2 with the key "".
        var own: [String: String] = [:]
        for line in groups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for name in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                own[String(name)] = String(parts[2])
            }
        }
        var result: [Hierarchy] = []
        for line in mounts.split(separator: "\n") {
            let words = line.split(separator: " ").map { unescaped($0) }
            guard let dash = words.firstIndex(of: "-"), words.count > dash + 3, dash > 4 else { continue }
            let (root, point, kind) = (words[3], words[4], words[dash + 1])
            let isUnified = kind == "cgroup2"
            let names =
                isUnified
                ? (StateFiles.text("\(point)/cgroup.controllers") ?? "").split { $0 == " " || $0 == "\n" }
                    .map { String($0) } : words[dash + 3].split(separator: ",").map { String($0) }
            let wanted = controllers.intersection(names)
            guard isUnified || kind == "cgroup", let first = wanted.min(),
                let path = own[isUnified ? "" : first],
                !result.contains(where: { !$0.controllers.isDisjoint(with: wanted) })
            else { continue }
            let below = root == "/" ? path : path.hasPrefix(root) ? String(path.dropFirst(root.count)) : ""
            var folder = below == "/" || below.hasPrefix("/..") ? point : point + below
            // Where an earlier server's `delegate` has put it, and so us.
            if isUnified, folder.hasSuffix("/\(serverGroup)") { folder.removeLast(serverGroup.utf8.count + 1) }
            let name = isUnified ? "" : String(point.split(separator: "/").last ?? "")
            result.append(Hierarchy(name: name, controllers: wanted, own: folder))
        }
        return result.sorted { $0.name < $1.name }
    }

    /// Spaces and the like stand in mountinfo as `\` and three octal digits.
    private static func unescaped(_ word: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(word.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Where our own processes go on version 2.
    private static let serverGroup = "espalier-server"

    /// Makes the groups below our own have its controllers.
    private static func delegate(_ hierarchy: Hierarchy) throws(ProcessError) {
        let control = "\(hierarchy.own)/cgroup.subtree_control"
        let text = enabling(hierarchy.controllers)
        do { return try put(control, text) } catch { guard error.number == EBUSY else { throw error } }
        let leaf = "\(hierarchy.own)/\(serverGroup)"
        guard mkdir(leaf, 0o755) == 0 || errno == EEXIST else {
            throw ProcessError(message: "cannot make \(leaf): \(systemMessage(errno))")
        }
        for pid in (StateFiles.text("\(hierarchy.own)/cgroup.procs") ?? "").split(separator: "\n") {
            // One that has ended meanwhile is no longer in the way.
            try? put("\(leaf)/cgroup.procs", String(pid))
        }
        try put(control, text)
    }
}
