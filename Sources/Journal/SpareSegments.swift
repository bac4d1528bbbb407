package import Seams
internal import Synchronization

/// Files of closed segments that nothing needs any more, kept to be written over. Their room is on the device already,
/// so that a segment in such a file needs no zeros written ahead of its records. Spares live no longer than the
/// process: its end removes them, or the next start does.
package final class SpareSegments: Sendable {
    static let suffix = ".spare"

    private let directory: String
    private let fileSystem: any FileSystem
    private let paths = Mutex<[String]>([])

    package init(directory: String, fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    /// Takes segments out of the log: some become spares, the rest is deleted. All of that is durable on return, and
    /// only then a file is written over: until then a power cut may bring its old name back.
    package func retire(_ names: [String]) throws(FileError) {
        if names.isEmpty { return }
        let room = JournalLimits.spareSegments - paths.withLock { $0.count }
        var spares: [String] = []
        for name in names {
            let path = "\(directory)/\(name)"
            if spares.count < room {
                spares.append(path + Self.suffix)
                try fileSystem.rename(path, to: path + Self.suffix)
            } else {
                try fileSystem.remove(path)
            }
        }
        try fileSystem.syncDirectory(directory)
        paths.withLock { $0 += spares }
    }

    /// A file to write over, which is the taker's from now on.
    func take() -> String? { paths.withLock { $0.popLast() } }

    /// Deletes all spares: at the end, and for a device that has no room. What stays because this fails goes at the
    /// next start.
    package func discard() {
        let all = paths.withLock { paths in
            defer { paths = [] }
            return paths
        }
        for path in all { try? fileSystem.remove(path) }
    }

    /// The beginning of a segment's file, or all of it; `nil` when the segment is not in the log, or ceased to be while
    /// it was read: what was read may then be what was written over it.
    package static func read(
        _ path: String, count: Int? = nil, _ fileSystem: any FileSystem
    ) throws(FileError) -> [UInt8]? {
        do {
            let file = try fileSystem.open(path, .read)
            defer { file.close() }
            let wanted = if let count { count } else { try file.size() }
            let bytes = try file.read(at: 0, count: wanted)
            return try fileSystem.exists(path) ? bytes : nil
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }
}
