package import Seams

/// Where copies of a store's files are kept: whole objects under flat names, as a bucket has them. What `put` has
/// returned for is safe there; an object is there whole or not at all. Calls wait for the target.
package protocol ReplicaTarget: Sendable {
    func put(_ name: String, _ content: ReplicaContent) throws(StoreError)
    /// Up to `count` bytes from `offset`: fewer only at the end of the object.
    func get(_ name: String, at offset: Int, count: Int) throws(StoreError) -> [UInt8]
    /// All names.
    func list() throws(StoreError) -> [String]
    /// Does nothing when there is no such object.
    func remove(_ name: String) throws(StoreError)
}

/// What becomes an object: bytes in memory, or a file that is read piece by piece.
package struct ReplicaContent {
    package let size: Int
    /// Exactly `count` bytes from an offset.
    package let read: (_ offset: Int, _ count: Int) throws(StoreError) -> [UInt8]

    package init(_ bytes: [UInt8]) {
        size = bytes.count
        read = { (offset, count) throws(StoreError) in Array(bytes[offset..<offset + count]) }
    }

    init(size: Int, read: @escaping (_ offset: Int, _ count: Int) throws(StoreError) -> [UInt8]) {
        self.size = size
        self.read = read
    }
}

extension ReplicaTarget {
    /// The whole of an object that fits in memory.
    func get(_ name: String) throws(StoreError) -> [UInt8] {
        var bytes: [UInt8] = []
        try pieces(of: name) { (piece, _) throws(StoreError) in bytes += piece }
        return bytes
    }

    /// Gives `body` an object piece by piece, each with its offset.
    func pieces(of name: String, _ body: ([UInt8], Int) throws(StoreError) -> Void) throws(StoreError) {
        var offset = 0
        while true {
            let piece = try get(name, at: offset, count: StoreLimits.replicaPieceBytes)
            try body(piece, offset)
            offset += piece.count
            if piece.count < StoreLimits.replicaPieceBytes { return }
        }
    }
}

/// Objects as files of one folder: another disk, or a mounted share.
package struct ReplicaFolder: ReplicaTarget {
    private let path: String
    private let fileSystem: any FileSystem

    /// The folder is made where it is missing; its parent must be there, so that a share that is not mounted is not
    /// taken for an empty one one level up.
    package init(path: String, fileSystem: any FileSystem) {
        self.path = path
        self.fileSystem = fileSystem
    }

    package func put(_ name: String, _ content: ReplicaContent) throws(StoreError) {
        let (final, temporary) = ("\(path)/\(name)", "\(path)/\(name).tmp")
        let file = try files { () throws(FileError) in
            if try fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
            return try fileSystem.open(temporary, .create(permissions: 0o600))
        }
        do throws(StoreError) {
            for offset in stride(from: 0, to: content.size, by: StoreLimits.readBytes) {
                let piece = try content.read(offset, min(StoreLimits.readBytes, content.size - offset))
                try files { () throws(FileError) in try file.write(piece, at: offset) }
            }
            try files { () throws(FileError) in try file.sync() }
        } catch {
            file.close()
            // Half a file is of no use, and may hold the last space there is.
            try? fileSystem.remove(temporary)
            throw error
        }
        file.close()
        try files { () throws(FileError) in
            try fileSystem.rename(temporary, to: final)
            try fileSystem.syncDirectory(path)
        }
    }

    package func get(_ name: String, at offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        try files { () throws(FileError) in
            let file = try fileSystem.open("\(path)/\(name)", .read)
            defer { file.close() }
            return try file.read(at: offset, count: count)
        }
    }

    package func list() throws(StoreError) -> [String] {
        try files { () throws(FileError) in
            if try !fileSystem.exists(path) {
                try fileSystem.createDirectory(path, permissions: 0o700)
                try fileSystem.syncDirectory(FilePath.parent(of: path))
            }
            return try fileSystem.list(path).filter { !$0.hasSuffix(".tmp") }
        }
    }

    package func remove(_ name: String) throws(StoreError) {
        try files { () throws(FileError) in
            if try fileSystem.exists("\(path)/\(name)") { try fileSystem.remove("\(path)/\(name)") }
        }
    }

    private func files<Result>(_ body: () throws(FileError) -> Result) throws(StoreError) -> Result {
        do {
            return try body()
        } catch {
            throw error.code == .noSpace ? .full(reason: error.description) : .fileSystem(reason: error.description)
        }
    }
}
