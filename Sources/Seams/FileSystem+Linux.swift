internal import Glibc

/// The machine's own file system, through plain system calls.
package struct LinuxFileSystem: FileSystem {
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let descriptor =
            switch mode {
            case .read: Glibc.open(path, O_RDONLY | O_CLOEXEC)
            case .readWrite: Glibc.open(path, O_RDWR | O_CLOEXEC)
            case .create(let permissions): Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(permissions))
            }
        if descriptor < 0 { throw FileError(errno: errno, operation: "open", path: path) }
        return LinuxFile(descriptor: descriptor, path: path)
    }

    package func createDirectory(_ path: String, permissions: UInt32) throws(FileError) {
        if mkdir(path, mode_t(permissions)) != 0, errno != EEXIST {
            throw FileError(errno: errno, operation: "create directory", path: path)
        }
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        guard let stream = opendir(directory) else {
            throw FileError(errno: errno, operation: "list", path: directory)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw FileError(errno: errno, operation: "list", path: directory) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    package func exists(_ path: String) throws(FileError) -> Bool {
        if access(path, F_OK) == 0 { return true }
        if errno == ENOENT { return false }
        throw FileError(errno: errno, operation: "look up", path: path)
    }

    package func rename(_ source: String, to destination: String) throws(FileError) {
        if Glibc.rename(source, destination) != 0 {
            throw FileError(errno: errno, operation: "rename to \(destination)", path: source)
        }
    }

    package func remove(_ path: String) throws(FileError) {
        if unlink(path) != 0 { throw FileError(errno: errno, operation: "remove", path: path) }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { throw FileError(errno: errno, operation: "open directory", path: path) }
        defer { Glibc.close(descriptor) }
        if fsync(descriptor) != 0 { throw FileError(errno: errno, operation: "sync directory", path: path) }
    }

    package func lock(_ path: String) throws(FileError) -> any FileLock {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw FileError(errno: errno, operation: "open lock", path: path) }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            close(descriptor)
            throw FileError(errno: code, operation: "lock", path: path)
        }
        return LinuxFileLock(descriptor: descriptor)
    }
}

/// An open file descriptor, closed once.
final class LinuxFile: File {
    private let descriptor: Int32
    private let path: String

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: max(count, 0)) { buffer, filled in
            filled = 0
            while filled < count {
                let step = pread(
                    descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset + filled))
                if step < 0, errno == EINTR { continue }
                if step < 0 { failure = errno }
                if step <= 0 { return }
                filled += step
            }
        }
        if failure != 0 { throw FileError(errno: failure, operation: "read", path: path) }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        var failure: Int32 = 0
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let step = pwrite(
                    descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset + done))
                if step < 0, errno == EINTR { continue }
                if step <= 0 {
                    failure = step < 0 ? errno : EIO
                    return
                }
                done += step
            }
        }
        if failure != 0 { throw FileError(errno: failure, operation: "write", path: path) }
    }

    func sync() throws(FileError) {
        if fdatasync(descriptor) != 0 { throw FileError(errno: errno, operation: "sync", path: path) }
    }

    func truncate(to size: Int) throws(FileError) {
        if ftruncate(descriptor, off_t(size)) != 0 { throw FileError(errno: errno, operation: "truncate", path: path) }
    }

    func size() throws(FileError) -> Int {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw FileError(errno: errno, operation: "stat", path: path) }
        return Int(status.st_size)
    }

    func close() { Glibc.close(descriptor) }
}

/// A `flock` on a descriptor of its own: the kernel drops it with the last copy of the descriptor, which no child
/// inherits because it is close-on-exec.
struct LinuxFileLock: FileLock {
    let descriptor: Int32
    func release() { close(descriptor) }
}

extension FileError {
    package init(errno code: Int32, operation: String, path: String) {
        let kind: Code =
            switch code {
            case ENOENT: .notFound
            case EEXIST: .exists
            case ENOSPC, EDQUOT: .noSpace
            case EWOULDBLOCK: .locked
            case EACCES, EPERM, EROFS: .denied
            default: .failed(code)
            }
        let reason = strerror(code).map { String(cString: $0) } ?? "error \(code)"
        self.init(kind, operation: operation, path: path, reason: reason)
    }
}
