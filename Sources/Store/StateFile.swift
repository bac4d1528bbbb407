internal import Crypto
internal import Journal
internal import Seams

/// A whole state of the store in one file, `log/<revision in hex>.state`: what makes the log before it dispensable.
/// It is written beside the log, synced and renamed into place, so that it is there whole or not at all.
///
///     header  "ESPSTATE", version u32, reserved u32, revision u64, entries u64, hash of the log at the revision 32
///     blocks  length u32, entries u32, checksum 16, bytes; each checksum covers the one before, the first the header
///     end     a block of length 0
struct StateFile {
    let revision: Revision
    let hash: ChainHash
    let entries: [Entry]

    static let suffix = ".state"
    private static let magic = Array("ESPSTATE".utf8)
    private static let version: UInt32 = 1
    private static let headerSize = 64
    private static let checksumSize = 16
    private static let blockBytes = 1024 * 1024
    private static let noOffset = UInt32.max

    static func name(_ revision: Revision) -> String { FileName.hexadecimal(revision.rawValue) + suffix }

    static func revision(ofName name: String) -> Revision? {
        FileName.number(name, suffix: suffix).map(Revision.init(rawValue:))
    }

    // MARK: Writing

    static func write(
        _ snapshot: Snapshot, hash: ChainHash, directory: String, fileSystem: any FileSystem, keys: SealingKeys
    ) throws(StoreError) {
        do {
            let path = "\(directory)/\(name(snapshot.revision))"
            let temporary = path + ".tmp"
            if try fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
            let file = try fileSystem.open(temporary, .create(permissions: 0o600))
            defer { file.close() }
            try writeBlocks(snapshot, hash: hash, keys: keys, to: file)
            try file.sync()
            try fileSystem.rename(temporary, to: path)
            try fileSystem.syncDirectory(directory)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .fileSystem(reason: "\(error)")
        }
    }

    private static func writeBlocks(_ snapshot: Snapshot, hash: ChainHash, keys: SealingKeys, to file: any File) throws
    {
        var header = magic
        header.appendInteger(version)
        header.appendInteger(UInt32(0))
        header.appendInteger(snapshot.revision.rawValue)
        header.appendInteger(UInt64(snapshot.count(prefix: [])))
        header.append(contentsOf: hash.bytes)
        var offset = 0
        var output = header
        var checksum = Array(SHA256.hash(data: header).prefix(checksumSize))
        var block: [UInt8] = []
        var count: UInt32 = 0
        func finishBlock() throws {
            output.appendInteger(UInt32(block.count))
            output.appendInteger(count)
            checksum = Self.checksum(of: block, count: count, after: checksum)
            output.append(contentsOf: checksum)
            output.append(contentsOf: block)
            try file.write(output, at: offset)
            offset += output.count
            (output, block, count) = ([], [], 0)
        }
        var last: StoreKey?
        while true {
            let page = snapshot.list(prefix: [], after: last, limit: 256)
            guard let end = page.last else { break }
            last = end.key
            for entry in page {
                try append(entry, keys: keys, to: &block)
                count += 1
                if block.count >= blockBytes { try finishBlock() }
            }
        }
        if !block.isEmpty { try finishBlock() }
        try finishBlock()
    }

    private static func append(_ entry: Entry, keys: SealingKeys, to block: inout [UInt8]) throws(StoreError) {
        block.append(entry.isSealed ? 1 : 0)
        block.appendInteger(entry.isSealed ? keys.current : 0)
        block.appendInteger(entry.createRevision.rawValue)
        block.appendInteger(entry.modRevision.rawValue)
        block.appendInteger(entry.revisionOffset.map { UInt32($0) } ?? noOffset)
        TransactionCodec.append(entry.key.bytes, to: &block)
        let value = entry.value.array
        TransactionCodec.append(
            entry.isSealed ? try keys.seal(value, key: entry.key, revision: entry.modRevision) : value, to: &block)
    }

    private static func checksum(of block: [UInt8], count: UInt32, after previous: [UInt8]) -> [UInt8] {
        var hasher = SHA256()
        hasher.update(data: previous)
        withUnsafeBytes(of: count.littleEndian) { hasher.update(bufferPointer: $0) }
        hasher.update(data: block)
        return Array(hasher.finalize().prefix(checksumSize))
    }

    // MARK: Reading

    static func read(_ path: String, fileSystem: any FileSystem, keys: SealingKeys) throws(StoreError) -> StateFile {
        let bytes: [UInt8]
        do { bytes = try fileSystem.readFile(path) } catch { throw .fileSystem(reason: error.description) }
        var reader = ByteReader(bytes)
        guard reader.bytes(magic.count) == magic, reader.integer(UInt32.self) == version,
            reader.integer(UInt32.self) != nil,
            let revision = reader.integer(UInt64.self), let total = reader.integer(UInt64.self),
            let hash = reader.bytes(32), FilePath.lastPart(of: path) == name(Revision(rawValue: revision))
        else { throw damaged(path, 0, "the header is not that of this state") }
        var checksum = Array(SHA256.hash(data: bytes[..<headerSize]).prefix(checksumSize))
        var entries: [Entry] = []
        while true {
            let start = reader.offset
            guard let length = reader.integer(UInt32.self), let count = reader.integer(UInt32.self),
                let expected = reader.bytes(checksumSize), let block = reader.bytes(Int(length))
            else { throw damaged(path, start, "the file ends within a block") }
            checksum = Self.checksum(of: block, count: count, after: checksum)
            guard checksum == expected else { throw damaged(path, start, "the checksum does not match") }
            if length == 0 { break }
            guard try append(block, to: &entries, keys: keys) == Int(count) else {
                throw damaged(path, start, "the block does not hold its \(count) entries")
            }
        }
        guard entries.count == Int(total) else {
            throw damaged(path, 0, "it holds \(entries.count) of \(total) entries")
        }
        return StateFile(revision: Revision(rawValue: revision), hash: ChainHash(bytes: hash), entries: entries)
    }

    /// Reads the entries of a block and returns how many there were.
    private static func append(_ block: [UInt8], to entries: inout [Entry], keys: SealingKeys) throws(StoreError) -> Int
    {
        var reader = ByteReader(block)
        var count = 0
        while !reader.isAtEnd {
            guard let flags = reader.integer(UInt8.self), let identifier = reader.integer(UInt16.self),
                let create = reader.integer(UInt64.self), let mod = reader.integer(UInt64.self),
                let offset = reader.integer(UInt32.self), let keyBytes = reader.field(), var value = reader.field()
            else { return -1 }
            let key = StoreKey(bytes: keyBytes)
            let revision = Revision(rawValue: mod)
            if flags & 1 != 0 { value = try keys.open(value, with: identifier, key: key, revision: revision) }
            entries.append(
                Entry(
                    key: key, value: Bytes(value), createRevision: Revision(rawValue: create), modRevision: revision,
                    revisionOffset: offset == noOffset ? nil : Int(offset), isSealed: flags & 1 != 0))
            count += 1
        }
        return count
    }

    private static func damaged(_ path: String, _ offset: Int, _ reason: String) -> StoreError {
        .damaged(file: path, offset: offset, reason: reason, remedy: Keyspace.damageRemedy)
    }
}
