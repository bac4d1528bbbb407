internal import Glibc

/// Reading what the user names on the command line.
enum Files {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Most bytes a manifest may have. Bound to what one request can carry many times over, not to the machine's
    /// memory.
    private static let maximumBytes = 64 * 1024 * 1024

    /// Where the process was started; `.` where that is gone.
    static var workingDirectory: String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }

    /// The whole content of a file; `-` is standard input.
    static func read(_ path: String) throws -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw Failure(description: "\(path): \(String(cString: strerror(errno)))") }
        defer { if path != "-" { close(descriptor) } }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { return content }
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(description: "\(path): \(String(cString: strerror(errno)))")
            }
            content += buffer[..<count]
            if content.count > maximumBytes { throw Failure(description: "\(path): larger than \(maximumBytes) bytes") }
        }
    }

    static func isDirectory(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    /// The path without links and dots, also where its last part is not there yet; `nil` where its folder is not.
    static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else {
            let trimmed = path.hasSuffix("/") ? String(path.dropLast()) : path
            let parts = trimmed.split(separator: "/", omittingEmptySubsequences: false)
            let parent = parts.count > 1 ? parts.dropLast().joined(separator: "/") + "/" : "."
            guard let last = parts.last, let folder = realpath(parent, nil) else { return nil }
            defer { free(folder) }
            return "\(String(cString: folder))/\(last)"
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func exists(_ path: String) -> Bool { access(path, R_OK) == 0 }

    /// The manifests of a folder, by name, not of the folders in it.
    static func manifests(in folder: String) throws -> [String] {
        guard let directory = opendir(folder) else {
            throw Failure(description: "\(folder): \(String(cString: strerror(errno)))")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if [".yaml", ".yml", ".json"].contains(where: name.hasSuffix) { names.append(name) }
        }
        let root = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        return names.sorted().map { "\(root)/\($0)" }
    }
}
