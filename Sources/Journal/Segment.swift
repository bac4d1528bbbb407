internal import Crypto

/// One file of the log, `<first revision in hex>.log`: a header in a sector of its own, then records.
package struct Segment: Sendable, Equatable {
    /// The revision of its first transaction.
    package let firstRevision: UInt64
    /// The hash its first record repeats.
    package let previous: ChainHash
    /// Written over the file of an older segment.
    package var isRecycled = false

    static let magic = Array("ESPALIER".utf8)
    /// Behind the last record are zeros in a segment of version 1; in one of version 2 what its file held before.
    static let version: UInt32 = 1
    static let recycledVersion: UInt32 = 2
    static let checksumOffset = 56
    /// Where records start: no later write touches the header's sector.
    static let headerSize = 512

    package var name: String { Self.name(firstRevision) }

    static func name(_ firstRevision: UInt64) -> String { FileName.hexadecimal(firstRevision) + ".log" }

    static func firstRevision(ofName name: String) -> UInt64? { FileName.number(name, suffix: ".log") }

    var header: [UInt8] { header(version: isRecycled ? Self.recycledVersion : Self.version) }

    package func header(version: UInt32) -> [UInt8] {
        var bytes = Self.magic
        bytes.appendInteger(version)
        bytes.appendInteger(UInt32(0))
        bytes.appendInteger(firstRevision)
        bytes.append(contentsOf: previous.bytes)
        bytes.append(contentsOf: SHA256.hash(data: bytes).prefix(16))
        bytes.append(contentsOf: repeatElement(0, count: Self.headerSize - bytes.count))
        return bytes
    }

    /// The version of a whole header; the place of magic, version and checksum is the same in every version.
    static func version(ofHeader bytes: [UInt8]) -> UInt32? {
        let end = checksumOffset
        guard bytes.count >= headerSize, bytes.starts(with: magic),
            bytes[end..<end + 16].elementsEqual(SHA256.hash(data: bytes[..<end]).prefix(16))
        else { return nil }
        return bytes.withUnsafeBytes { $0.integer(at: 8, as: UInt32.self) }
    }

    /// Reads a header; `nil` when it is not whole, or of another version.
    init?(header bytes: [UInt8]) {
        guard let version = Self.version(ofHeader: bytes), version <= Self.recycledVersion else { return nil }
        let first = bytes.withUnsafeBytes { $0.integer(at: 16, as: UInt64.self) }
        self.init(
            firstRevision: first, previous: ChainHash(bytes: Array(bytes[24..<56])),
            isRecycled: version == Self.recycledVersion)
    }

    package init(firstRevision: UInt64, previous: ChainHash, isRecycled: Bool = false) {
        self.firstRevision = firstRevision
        self.previous = previous
        self.isRecycled = isRecycled
    }
}

/// Files named after a revision: sixteen hexadecimal digits, so that names sort as numbers do.
package enum FileName {
    package static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    package static func number(_ name: String, suffix: String) -> UInt64? {
        guard name.hasSuffix(suffix), name.utf8.count == 16 + suffix.utf8.count else { return nil }
        let digits = name.prefix(16)
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else { return nil }
        return UInt64(digits, radix: 16)
    }
}
