internal import Crypto
internal import Journal
package import Seams

/// A whole state of the store in one stream of bytes that leaves the data directory: what `restore` begins from. Sealed
/// values stay sealed in it, under the key their entry names. Little-endian:
///
///     header  "ESPSNAPS", version u32, 0 u32, revision u64, time taken i64 (ns), entries u64, 24 zero bytes
///     blocks  length u32, entries u32, checksum 16, bytes; each checksum covers the one before, the first the header
///     end     a block of length 0
///
/// An entry: key identifier u16 (0: in clear), create revision u64, revision u64, offset of the revision's digits u32
/// (`FFFFFFFF`: none), key (u32 length, bytes), value (u32 length, bytes).
package enum SnapshotFile {
    fileprivate static let magic = Array("ESPSNAPS".utf8)
    package static let version: UInt32 = 1
    fileprivate static let headerSize = 64
    fileprivate static let checksumSize = 16
    fileprivate static let noOffset = UInt32.max

    fileprivate static func checksum(of block: ArraySlice<UInt8>, count: UInt32, after previous: [UInt8]) -> [UInt8] {
        var hasher = SHA256()
        hasher.update(data: previous)
        Swift.withUnsafeBytes(of: count.littleEndian) { hasher.update(bufferPointer: $0) }
        hasher.update(data: block)
        return Array(hasher.finalize().prefix(checksumSize))
    }

    /// A snapshot as a file says it: sealed values as they are.
    package struct Contents: Sendable {
        package var revision: Revision
        package var taken: Instant
        package var entries: [SealedEntry]
    }

    /// An entry whose value may be sealed.
    package struct SealedEntry: Sendable {
        var keyIdentifier: UInt16
        var createRevision: Revision
        var modRevision: Revision
        var revisionOffset: Int?
        var key: StoreKey
        var value: [UInt8]
    }
}

/// Writes a snapshot piece by piece, in memory of one block. The pieces, one after the other, are the file.
package struct SnapshotWriter: Sendable {
    private let snapshot: Snapshot
    private let keys: SealingKeys
    private let taken: Instant
    private var checksum: [UInt8] = []
    private var last: StoreKey?
    private var isDone = false

    init(_ snapshot: Snapshot, keys: SealingKeys, taken: Instant) {
        self.snapshot = snapshot
        self.keys = keys
        self.taken = taken
    }

    /// The next piece; `nil` when the file is complete.
    package mutating func next() throws(StoreError) -> [UInt8]? {
        if isDone { return nil }
        if checksum.isEmpty { return header() }
        var block: [UInt8] = []
        var count: UInt32 = 0
        while block.count < StoreLimits.snapshotBlockBytes,
            case let page = snapshot.list(prefix: [], after: last, limit: 16), let end = page.last
        {
            last = end.key
            for entry in page { try append(entry, to: &block) }
            count += UInt32(page.count)
        }
        isDone = block.isEmpty
        checksum = SnapshotFile.checksum(of: block[...], count: count, after: checksum)
        var piece: [UInt8] = []
        piece.reserveCapacity(block.count + 24)
        piece.appendInteger(UInt32(block.count))
        piece.appendInteger(count)
        return piece + checksum + block
    }

    private mutating func header() -> [UInt8] {
        var header = SnapshotFile.magic
        header.appendInteger(SnapshotFile.version)
        header.appendInteger(UInt32(0))
        header.appendInteger(snapshot.revision.rawValue)
        header.appendInteger(taken.nanoseconds)
        header.appendInteger(UInt64(snapshot.count(prefix: [])))
        header += Array(repeating: 0, count: SnapshotFile.headerSize - header.count)
        checksum = Array(SHA256.hash(data: header).prefix(SnapshotFile.checksumSize))
        return header
    }

    private func append(_ entry: Entry, to block: inout [UInt8]) throws(StoreError) {
        let (value, identifier) = (try entry.value.array, entry.isSealed ? keys.current : 0)
        let stored =
            entry.isSealed
            ? try keys.seal(value, with: identifier, key: entry.key, revision: entry.modRevision) : value
        block.appendInteger(identifier)
        block.appendInteger(entry.createRevision.rawValue)
        block.appendInteger(entry.modRevision.rawValue)
        block.appendInteger(entry.revisionOffset.map { UInt32($0) } ?? SnapshotFile.noOffset)
        TransactionCodec.append(entry.key.bytes, to: &block)
        TransactionCodec.append(stored, to: &block)
    }
}

extension SnapshotFile {
    /// Reads a snapshot from bytes that may be anything. `file` is what messages call it.
    package static func read(_ bytes: [UInt8], file: String) throws(StoreError) -> Contents {
        var reader = ByteReader(bytes)
        guard reader.bytes(magic.count) == magic, let found = reader.integer(UInt32.self) else {
            throw damaged(file, 0, "it does not begin as a snapshot does")
        }
        if found > version { throw .newer(file: file, version: found, supported: version) }
        guard reader.integer(UInt32.self) != nil, let revision = reader.integer(UInt64.self),
            let taken = reader.integer(Int64.self), let total = reader.integer(UInt64.self), reader.bytes(24) != nil
        else { throw damaged(file, reader.offset, "the file ends within its header") }
        var checksum = Array(SHA256.hash(data: bytes[..<headerSize]).prefix(checksumSize))
        var entries: [SealedEntry] = []
        while true {
            let start = reader.offset
            guard let length = reader.integer(UInt32.self), let count = reader.integer(UInt32.self),
                let expected = reader.bytes(checksumSize), let block = reader.bytes(Int(length))
            else { throw damaged(file, start, "the file ends within a block: it was not written to its end") }
            checksum = Self.checksum(of: block[...], count: count, after: checksum)
            guard checksum == expected else { throw damaged(file, start, "the checksum does not match") }
            if length == 0 { break }
            let before = entries.count
            guard append(block, to: &entries), entries.count - before == Int(count) else {
                throw damaged(file, start, "the block does not hold its \(count) entries")
            }
        }
        guard reader.isAtEnd, entries.count == Int(clamping: total), isOrdered(entries, Revision(rawValue: revision))
        else { throw damaged(file, reader.offset, "it does not hold the \(total) entries that its header says") }
        return Contents(
            revision: Revision(rawValue: revision), taken: Instant(nanoseconds: taken), entries: entries)
    }

    private static func append(_ block: [UInt8], to entries: inout [SealedEntry]) -> Bool {
        var reader = ByteReader(block)
        while !reader.isAtEnd {
            guard let identifier = reader.integer(UInt16.self), let create = reader.integer(UInt64.self),
                let mod = reader.integer(UInt64.self), let offset = reader.integer(UInt32.self),
                let key = reader.field(), let value = reader.field()
            else { return false }
            entries.append(
                SealedEntry(
                    keyIdentifier: identifier, createRevision: Revision(rawValue: create),
                    modRevision: Revision(rawValue: mod), revisionOffset: offset == noOffset ? nil : Int(offset),
                    key: StoreKey(bytes: key), value: value))
        }
        return true
    }

    /// Keys ascend, none is malformed, and no entry is younger than the snapshot.
    private static func isOrdered(_ entries: [SealedEntry], _ revision: Revision) -> Bool {
        for (index, entry) in entries.enumerated() {
            if index > 0, !(entries[index - 1].key < entry.key) { return false }
            if !entry.key.isWellFormed || entry.modRevision > revision { return false }
            if entry.createRevision > entry.modRevision { return false }
        }
        return true
    }

    private static func damaged(_ file: String, _ offset: Int, _ reason: String) -> StoreError {
        .damaged(file: file, offset: offset, reason: reason, remedy: "Take another snapshot, or use an older one.")
    }
}

extension SnapshotFile.SealedEntry {
    /// The entry as the store holds it in memory.
    func opened(_ keys: SealingKeys) throws(StoreError) -> Entry {
        let clear =
            keyIdentifier == 0 ? value : try keys.open(value, with: keyIdentifier, key: key, revision: modRevision)
        if let offset = revisionOffset {
            let digits = modRevision.digits
            guard offset <= clear.count, clear[offset...].starts(with: digits) else {
                throw .invalid(reason: "\(key) does not hold its revision \(modRevision) at byte \(offset)")
            }
        }
        return Entry(
            key: key, value: Bytes(clear), createRevision: createRevision, modRevision: modRevision,
            revisionOffset: revisionOffset, keyIdentifier: keyIdentifier)
    }
}

extension Keyspace {
    /// Writes the present, or a revision inside history, as a snapshot file. Costs the store nothing but the memory of
    /// what changes meanwhile.
    package func snapshotWriter(at revision: Revision? = nil) throws(StoreError) -> SnapshotWriter {
        var snapshot = snapshot(.durable)
        if let revision {
            if revision > snapshot.revision { throw .future(revision) }
            snapshot = try self.snapshot(at: revision)
        }
        return SnapshotWriter(snapshot, keys: keys, taken: clock.now())
    }
}
