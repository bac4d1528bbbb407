internal import Journal

/// How a table stands in its file; `index.md` has the layout. Little-endian.
enum TableFormat {
    static let version: UInt32 = 1
    static let headerSize = 64
    static let footerSize = 128
    /// Values start at multiples of this from the start of the data.
    static let unit = 8
    static let blockHeaderSize = 16
    /// Of an item in the index, before its key.
    static let itemSize = 33
    static let suffix = ".table"
    private static let headerMagic = Array("ESPTABLE".utf8)
    private static let footerMagic = Array("ESPTFOOT".utf8)

    /// Units a value's bytes and their checksum take.
    static func units(_ payload: Int) -> Int { (payload + Checksum.size + unit - 1) / unit }

    /// About what an entry takes in a table.
    static func storedSize(_ entry: Entry) -> Int { itemSize + entry.size + Checksum.size + unit / 2 }

    // MARK: Names

    static func name(_ range: RevisionRange) -> String {
        "\(FileName.hexadecimal(range.first.rawValue))-\(FileName.hexadecimal(range.last.rawValue))\(suffix)"
    }

    static func range(ofName name: String) -> RevisionRange? {
        guard name.hasSuffix(suffix), name.utf8.count == 33 + suffix.utf8.count else { return nil }
        let parts = name.dropLast(suffix.utf8.count).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = FileName.number(String(parts[0]), suffix: ""),
            let last = FileName.number(String(parts[1]), suffix: ""), first < last
        else { return nil }
        return RevisionRange(first: Revision(rawValue: first), last: Revision(rawValue: last))
    }

    // MARK: Header and footer

    static func header(_ range: RevisionRange) -> [UInt8] {
        var bytes = headerMagic
        bytes.appendInteger(version)
        bytes.appendInteger(UInt32(0))
        bytes.appendInteger(range.first.rawValue)
        bytes.appendInteger(range.last.rawValue)
        return checked(bytes, size: headerSize)
    }

    /// What a header says, or why it is none. The place of magic, version and checksum is the same in every version.
    static func checkHeader(_ bytes: [UInt8], _ range: RevisionRange) -> HeaderFault? {
        guard bytes.count == headerSize, bytes.starts(with: headerMagic), isWhole(bytes) else { return .damaged }
        let found = bytes.withUnsafeBytes { $0.integer(at: 8, as: UInt32.self) }
        if found > version { return .newer(found) }
        return bytes == header(range) ? nil : .damaged
    }

    enum HeaderFault {
        case damaged
        case newer(UInt32)
    }

    static func footer(_ footer: TableFooter) -> [UInt8] {
        var bytes = footerMagic
        bytes.appendInteger(footer.range.first.rawValue)
        bytes.appendInteger(footer.range.last.rawValue)
        bytes.append(contentsOf: footer.hash.bytes)
        for number in [footer.indexEnd, footer.dataStart, footer.dataEnd, footer.entries, footer.tombstones] {
            bytes.appendInteger(UInt64(number))
        }
        return checked(bytes, size: footerSize)
    }

    static func footer(_ bytes: [UInt8]) -> TableFooter? {
        guard bytes.count == footerSize, bytes.starts(with: footerMagic), isWhole(bytes) else { return nil }
        return bytes.withUnsafeBytes { buffer in
            let number = { (index: Int) in Int(clamping: buffer.integer(at: 56 + index * 8, as: UInt64.self)) }
            return TableFooter(
                range: RevisionRange(
                    first: Revision(rawValue: buffer.integer(at: 8, as: UInt64.self)),
                    last: Revision(rawValue: buffer.integer(at: 16, as: UInt64.self))),
                hash: ChainHash(bytes: Array(buffer[24..<56])), indexEnd: number(0), dataStart: number(1),
                dataEnd: number(2), entries: number(3), tombstones: number(4))
        }
    }

    private static func checked(_ bytes: [UInt8], size: Int) -> [UInt8] {
        var bytes = bytes + Array(repeating: 0, count: size - Checksum.size - bytes.count)
        bytes.appendInteger(bytes.withUnsafeBytes { Checksum.of($0, seed: UInt64(size)) })
        return bytes
    }

    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { buffer in
            let end = buffer.count - Checksum.size
            return buffer.integer(at: end, as: UInt64.self)
                == Checksum.of(UnsafeRawBufferPointer(rebasing: buffer[..<end]), seed: UInt64(buffer.count))
        }
    }

    // MARK: Index

    static func append(_ item: TableItem, key: UnsafeRawBufferPointer, to block: inout [UInt8]) {
        block.append((item.isSealed ? 1 : 0) | (item.isTombstone ? 2 : 0))
        block.appendInteger(item.keyIdentifier)
        block.appendInteger(UInt16(key.count))
        block.appendInteger(item.createRevision)
        block.appendInteger(item.modRevision)
        block.appendInteger(item.offset)
        block.appendInteger(item.payload)
        block.appendInteger(item.revisionOffset)
        block.append(contentsOf: key)
    }

    /// The item at `offset` of a block and where its key is; `nil` when the block ends before.
    static func item(_ block: UnsafeRawBufferPointer, at offset: Int) -> (item: TableItem, key: Range<Int>)? {
        guard offset + itemSize <= block.count else { return nil }
        let key = offset + itemSize..<offset + itemSize + Int(block.integer(at: offset + 3, as: UInt16.self))
        guard key.upperBound <= block.count else { return nil }
        let item = TableItem(
            isSealed: block[offset] & 1 != 0, isTombstone: block[offset] & 2 != 0,
            keyIdentifier: block.integer(at: offset + 1, as: UInt16.self),
            createRevision: block.integer(at: offset + 5, as: UInt64.self),
            modRevision: block.integer(at: offset + 13, as: UInt64.self),
            offset: block.integer(at: offset + 21, as: UInt32.self),
            payload: block.integer(at: offset + 25, as: UInt32.self),
            revisionOffset: block.integer(at: offset + 29, as: UInt32.self))
        return (item, key)
    }

    /// What a block's checksum covers beside its bytes: where it stands, and how many items it holds.
    static func blockSeed(offset: Int, count: UInt32) -> UInt64 { UInt64(offset) ^ UInt64(count) << 40 }
}

/// The revisions after `first` up to `last`.
struct RevisionRange: Sendable, Hashable {
    var first: Revision
    var last: Revision

    func contains(_ other: RevisionRange) -> Bool { first <= other.first && other.last <= last }
}

/// What the end of a table says of it.
struct TableFooter: Sendable {
    var range: RevisionRange
    /// The log's hash at the last revision.
    var hash: ChainHash
    var indexEnd = 0
    var dataStart = 0
    var dataEnd = 0
    /// Values.
    var entries = 0
    /// Keys that an older table may hold and that are deleted.
    var tombstones = 0
}

/// One key in a table's index.
struct TableItem: Sendable {
    var isSealed: Bool
    var isTombstone: Bool
    var keyIdentifier: UInt16
    var createRevision: UInt64
    var modRevision: UInt64
    /// In units, from the start of the data.
    var offset: UInt32
    /// Bytes of the value as it is on disk, without its checksum.
    var payload: UInt32
    var revisionOffset: UInt32
}
