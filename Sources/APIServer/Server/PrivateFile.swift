internal import Glibc

/// Files that only their owner may read: keys, certificates, the kubeconfig. Written whole or not at all.
package enum PrivateFile {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        init(_ doing: String, _ path: String, _ why: String = String(cString: strerror(errno))) {
            description = "cannot \(doing) \(path): \(why)"
        }
    }

    /// Makes a directory with mode 0700. One that exists must be ours alone already, or empty: the mode of a folder that
    /// holds other things is not ours to change.
    package static func makeDirectory(_ path: String) throws(Failure) {
        if mkdir(path, 0o700) == 0 { return }
        guard errno == EEXIST else { throw Failure("make the directory", path) }
        guard let entries = opendir(path) else { throw Failure("use the directory", path) }
        defer { closedir(entries) }
        var information = stat()
        if fstat(dirfd(entries), &information) == 0, information.st_mode & 0o077 == 0 { return }
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { $0.prefix { $0 != 0 } }
            if name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8) { continue }
            throw Failure(
                "use the directory", path,
                "others may read it, and it is not empty; name an empty or a new one, or restrict it (chmod 700)")
        }
        if fchmod(dirfd(entries), 0o700) != 0 { throw Failure("restrict the directory", path) }
    }

    /// Replaces the file at `path`: a reader sees the old content or the new, also after a power cut.
    package static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
        let temporary = "\(path).\(getpid()).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw Failure("create", temporary) }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { throw Failure("write", temporary) }
            rest = rest.dropFirst(count)
        }
        if fsync(descriptor) != 0 { throw Failure("sync", temporary) }
        if rename(temporary, path) != 0 { throw Failure("rename to", path) }
    }

    /// The whole content; `nil` where there is no such file. Key material and small files only.
    package static func read(_ path: String) throws(Failure) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw Failure("open", path)
        }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { return content }
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw Failure("read", path) }
            content += buffer[..<count]
        }
    }
}
