internal import Glibc

/// Whole folders that a pod may have written, perhaps is writing: walked through descriptors, so that no link of the
/// pod's is followed, with names as the bytes they are. The path itself is the node's own.
enum FolderTree {
    /// Folders in folders; deeper ones are brought up before they are removed, and are given to nobody.
    private static let depth = 200

    /// Removes a file or a whole folder. What cannot be removed stays.
    static func remove(_ path: String) {
        var passes = 0
        while let folder = open(path), passes < 1000 {
            let isFlat = empty(folder, at: 0, root: folder)
            close(folder)
            passes += 1
            if isFlat { break }
        }
        if rmdir(path) != 0 { unlink(path) }
    }

    /// Gives a folder and all in it to a user, unless the folder is the user's already.
    static func give(_ path: String, to user: UInt32) throws(StateFiles.Failure) {
        guard let folder = open(path) else { throw StateFiles.Failure(path: path, number: errno) }
        defer { close(folder) }
        var info = stat()
        guard fstat(folder, &info) == 0 else { throw StateFiles.Failure(path: path, number: errno) }
        if info.st_uid == user { return }
        let failed = give(folder, to: user, at: 0)
        guard failed == 0, fchown(folder, user, user) == 0 else {
            throw StateFiles.Failure(path: path, number: failed == 0 ? errno : failed)
        }
    }

    private static func open(_ path: String) -> Int32? {
        let folder = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        return folder < 0 ? nil : folder
    }

    /// Whether nothing had to be brought up.
    private static func empty(_ folder: Int32, at level: Int, root: Int32) -> Bool {
        var isFlat = true
        for (index, name) in names(in: folder).enumerated() {
            let inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if inner < 0 {
                unlinkat(folder, name, 0)
                continue
            }
            if level < depth {
                isFlat = empty(inner, at: level + 1, root: root) && isFlat
            } else {
                isFlat = false
                renameat(folder, name, root, ".espalier-deep-\(inner)-\(index)")
            }
            close(inner)
            unlinkat(folder, name, AT_REMOVEDIR)
        }
        return isFlat
    }

    /// 0, or the errno of what could not be given.
    private static func give(_ folder: Int32, to user: UInt32, at level: Int) -> Int32 {
        if level > depth { return ELOOP }
        for name in names(in: folder) {
            let inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if inner >= 0 {
                let failed = give(inner, to: user, at: level + 1)
                close(inner)
                if failed != 0 { return failed }
            }
            if fchownat(folder, name, user, user, AT_SYMLINK_NOFOLLOW) != 0, errno != ENOENT { return errno }
        }
        return 0
    }

    /// Names in a folder, each ended by NUL, without `.` and `..`.
    private static func names(in folder: Int32) -> [[CChar]] {
        let own = fcntl(folder, F_DUPFD_CLOEXEC, 0)
        guard own >= 0, let stream = fdopendir(own) else {
            if own >= 0 { close(own) }
            return []
        }
        defer { closedir(stream) }
        rewinddir(stream)
        var names: [[CChar]] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) } + [0]
            }
            if name != [0x2E, 0], name != [0x2E, 0x2E, 0] { names.append(name) }
        }
        return names
    }
}
