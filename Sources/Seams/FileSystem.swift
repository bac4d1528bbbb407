/// Files as the program sees them: what the log, the keys and the certificates rest on. The simulated disk loses and
/// tears whatever was not synced, so the order of calls here is what durability is made of.
package protocol FileSystem: Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File
    /// Creates a directory; its parent must exist. Does nothing when it is there already.
    func createDirectory(_ path: String, permissions: UInt32) throws(FileError)
    /// The names in a directory, sorted by bytes, without `.` and `..`.
    func list(_ directory: String) throws(FileError) -> [String]
    func exists(_ path: String) throws(FileError) -> Bool
    /// Replaces `destination` atomically; durable once the directory is synced.
    func rename(_ source: String, to destination: String) throws(FileError)
    func remove(_ path: String) throws(FileError)
    /// Makes creations, renames and removals in `path` durable.
    func syncDirectory(_ path: String) throws(FileError)
    /// Takes an exclusive lock that ends with `release` or with the process, however it dies. Never waits: fails with
    /// `locked` when another holder lives.
    func lock(_ path: String) throws(FileError) -> any FileLock
}

/// What a file is opened for.
package enum OpenMode: Sendable, Equatable {
    case read
    case readWrite
    /// A new file, for reading and writing. Fails with `exists` when the name is taken.
    case create(permissions: UInt32)
}

/// An open file. Calls may come from any thread; the caller orders them.
package protocol File: Sendable {
    /// Up to `count` bytes from `offset`: fewer only at the end of the file.
    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8]
    /// Writes all of `bytes`, growing the file as needed.
    func write(_ bytes: [UInt8], at offset: Int) throws(FileError)
    /// Makes content and size durable. After an error nothing about unsynced bytes is known, and asking again is no
    /// use.
    func sync() throws(FileError)
    func truncate(to size: Int) throws(FileError)
    func size() throws(FileError) -> Int
    func close()
}

/// An exclusive lock that is held until `release`, or until the process ends.
package protocol FileLock: Sendable {
    func release()
}

/// A refusal of the file system: which call on which path, and why.
package struct FileError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        case notFound
        case exists
        case noSpace
        case locked
        case denied
        /// Anything else, with its `errno`.
        case failed(Int32)
    }
    package var code: Code
    package var operation: String
    package var path: String
    package var reason: String

    package init(_ code: Code, operation: String, path: String, reason: String) {
        self.code = code
        self.operation = operation
        self.path = path
        self.reason = reason
    }

    package var description: String { "\(operation) \(path): \(reason)" }
}

extension FileSystem {
    /// The whole content of a file.
    package func readFile(_ path: String) throws(FileError) -> [UInt8] {
        let file = try open(path, .read)
        defer { file.close() }
        return try file.read(at: 0, count: try file.size())
    }

    /// Puts `bytes` at `path` so that a crash leaves the old file or the new one, whole; durable when this returns.
    package func replaceFile(_ path: String, with bytes: [UInt8], permissions: UInt32) throws(FileError) {
        let temporary = path + ".tmp"
        if try exists(temporary) { try remove(temporary) }
        let file = try open(temporary, .create(permissions: permissions))
        do {
            try file.write(bytes, at: 0)
            try file.sync()
        } catch {
            file.close()
            throw error
        }
        file.close()
        try rename(temporary, to: path)
        try syncDirectory(FilePath.parent(of: path))
    }
}

/// Paths as text, with `/` between parts.
package enum FilePath {
    package static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
    }

    package static func lastPart(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return String(path[path.utf8.index(after: slash)...])
    }
}
