internal import Glibc

/// Writes the files of a volume so that readers see all of one content or all of another, as Kubernetes does: the files
/// stand in a folder of their own, `..data` is a link to it, and each name in the volume leads through that link.
struct VolumeWriter {
    var root: String
    /// Who owns the files; `nil`: we.
    var owner: UInt32?
    /// A group that may read them, beside the owner.
    var group: UInt32?

    /// Returns whether anything was changed.
    @discardableResult
    func write(_ files: [VolumeFiles.File]) throws(StateFiles.Failure) -> Bool {
        try StateFiles.makeDirectories(root)
        try allow(root)
        let current = StateFiles.linkTarget("\(root)/..data")
        let name = "..\(String(digest(files), radix: 16))"
        if current == name { return false }
        StateFiles.remove("\(root)/\(name)")
        guard mkdir("\(root)/\(name)", 0o700) == 0 else {
            throw StateFiles.Failure(path: "\(root)/\(name)", number: errno)
        }
        try allow("\(root)/\(name)")
        for file in files { try write(file, in: "\(root)/\(name)") }
        try link("..data", to: name)
        let wanted = Set(files.map { String($0.path.prefix { $0 != "/" }) })
        for entry in wanted.sorted() where StateFiles.linkTarget("\(root)/\(entry)") == nil {
            try link(entry, to: "..data/\(entry)")
        }
        for entry in StateFiles.names(in: root)
        where !wanted.contains(entry) && entry != "..data" && entry != name { StateFiles.remove("\(root)/\(entry)") }
        return true
    }

    private func write(_ file: VolumeFiles.File, in folder: String) throws(StateFiles.Failure) {
        var parent = folder
        for part in file.path.split(separator: "/").dropLast() {
            parent += "/\(part)"
            try StateFiles.makeDirectories(parent)
            try allow(parent)
        }
        let path = "\(folder)/\(file.path)"
        try StateFiles.write(path, file.bytes, mode: mode_t(group == nil ? file.mode : file.mode | 0o440))
        guard owner != nil || group != nil else { return }
        guard lchown(path, owner ?? .max, group ?? owner ?? .max) == 0 else {
            throw StateFiles.Failure(path: path, number: errno)
        }
    }

    /// The folders above are closed to everybody; inside its sandbox the container must get in.
    private func allow(_ folder: String) throws(StateFiles.Failure) {
        guard chmod(folder, 0o755) == 0 else { throw StateFiles.Failure(path: folder, number: errno) }
    }

    private func link(_ name: String, to target: String) throws(StateFiles.Failure) {
        let fresh = "\(root)/..new"
        unlink(fresh)
        guard symlink(target, fresh) == 0, rename(fresh, "\(root)/\(name)") == 0 else {
            throw StateFiles.Failure(path: "\(root)/\(name)", number: errno)
        }
    }

    private func digest(_ files: [VolumeFiles.File]) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ bytes: some Sequence<UInt8>) {
            for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }
        for file in files {
            add(file.path.utf8)
            add("\u{0}\(file.mode) \(file.bytes.count)\u{0}".utf8)
            add(file.bytes)
        }
        return hash
    }
}
