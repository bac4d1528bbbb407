internal import Crypto

/// One entry of the log: a transaction, or a note of how far the log was durable.
package struct Record: Sendable, Equatable {
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Carries no transaction; its revision is that of the record before.
        package static let durabilityNote = Flags(rawValue: 1)
    }

    package var revision: UInt64
    package var flags: Flags
    /// The key that sealed parts of the payload; 0 when none did.
    package var keyIdentifier: UInt16
    package var payload: [UInt8]

    package init(revision: UInt64, flags: Flags = [], keyIdentifier: UInt16 = 0, payload: [UInt8]) {
        self.revision = revision
        self.flags = flags
        self.keyIdentifier = keyIdentifier
        self.payload = payload
    }
}

/// The link between records: the SHA-256 over a record, which the next record repeats. The first record follows zeros.
package struct ChainHash: Sendable, Equatable {
    package let bytes: [UInt8]
    package init(bytes: [UInt8]) { self.bytes = bytes }
    package static let origin = ChainHash(bytes: Array(repeating: 0, count: 32))
    static let size = 32
}

/// How a record stands in a file. Little-endian; `index.md` has the table.
enum RecordFormat {
    /// Found nowhere in a document: `F5` is no byte of UTF-8.
    static let mark: [UInt8] = [0xF5, 0x45, 0x53, 0x50]
    static let version: UInt8 = 1
    static let checksumOffset = 64
    static let checksumSize = 16
    static let headerSize = 80
    /// Records start at multiples of this, which makes looking for the next one cheap.
    static let alignment = 8

    /// What stands at an offset of a segment.
    enum Found {
        case record(Record, Header, next: Int)
        case none(String)
    }

    struct Header {
        /// How far this segment was durable when the record was written.
        var durable: Int
        var previous: ChainHash
        var hash: ChainHash
    }

    static func size(payload: Int) -> Int { aligned(headerSize + payload) }

    static func aligned(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }

    /// Appends a record to `buffer` and returns the hash the next one repeats.
    static func append(_ record: Record, durable: Int, previous: ChainHash, to buffer: inout [UInt8]) -> ChainHash {
        let start = buffer.count
        buffer.append(contentsOf: mark)
        buffer.append(version)
        buffer.append(record.flags.rawValue)
        buffer.appendInteger(record.keyIdentifier)
        buffer.appendInteger(UInt32(record.payload.count))
        buffer.appendInteger(UInt32(0))
        buffer.appendInteger(record.revision)
        buffer.appendInteger(UInt64(durable))
        buffer.append(contentsOf: previous.bytes)
        buffer.append(contentsOf: repeatElement(0, count: checksumSize))
        buffer.append(contentsOf: record.payload)
        let hash = buffer.withUnsafeBytes { Self.hash(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        for index in 0..<checksumSize { buffer[start + checksumOffset + index] = hash.bytes[index] }
        let end = start + size(payload: record.payload.count)
        buffer.append(contentsOf: repeatElement(0, count: end - buffer.count))
        return hash
    }

    /// Reads what stands in a segment that begins with the revision `first`. An older record was there before the
    /// segment's file was written over: it is none. (Older, because the segment just before is never written over, and
    /// the revision of a note is at least that of the record before the segment.)
    static func read(_ bytes: [UInt8], at offset: Int, first: UInt64) -> Found {
        guard offset + headerSize <= bytes.count else { return .none("the file ends within a record's header") }
        return bytes.withUnsafeBytes { buffer in
            guard buffer[offset..<offset + 4].elementsEqual(mark) else { return .none("no record starts here") }
            if buffer[offset + 4] != version {
                return .none("record format \(buffer[offset + 4]), expected \(version)")
            }
            let length = Int(buffer.integer(at: offset + 8, as: UInt32.self))
            guard length <= JournalLimits.payloadBytes, offset + headerSize + length <= buffer.count else {
                return .none("a record of \(length) bytes goes past the end")
            }
            let hash = Self.hash(UnsafeRawBufferPointer(rebasing: buffer[offset..<offset + headerSize + length]))
            let checksum = buffer[offset + checksumOffset..<offset + checksumOffset + checksumSize]
            guard checksum.elementsEqual(hash.bytes.prefix(checksumSize)) else {
                return .none("the checksum does not match")
            }
            let revision = buffer.integer(at: offset + 16, as: UInt64.self)
            if revision &+ 1 < first { return .none("a record stands here that the file held before it was recycled") }
            let record = Record(
                revision: revision,
                flags: Record.Flags(rawValue: buffer[offset + 5]),
                keyIdentifier: buffer.integer(at: offset + 6, as: UInt16.self),
                payload: Array(buffer[offset + headerSize..<offset + headerSize + length]))
            let header = Header(
                durable: Int(clamping: buffer.integer(at: offset + 24, as: UInt64.self)),
                previous: ChainHash(bytes: Array(buffer[offset + 32..<offset + 32 + ChainHash.size])), hash: hash)
            return .record(record, header, next: offset + size(payload: length))
        }
    }

    /// The hash over everything but the checksum, which is its beginning.
    private static func hash(_ record: UnsafeRawBufferPointer) -> ChainHash {
        var hasher = SHA256()
        hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: record[..<checksumOffset]))
        hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: record[headerSize...]))
        return ChainHash(bytes: Array(hasher.finalize()))
    }
}

extension [UInt8] {
    /// Appends an integer, little-endian. Inlinable, as a generic call into another module costs twenty times as much.
    @inlinable package mutating func appendInteger<Integer: FixedWidthInteger>(_ value: Integer) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}

extension UnsafeRawBufferPointer {
    /// Reads a little-endian integer. The bytes must be there.
    @inlinable package func integer<Integer: FixedWidthInteger>(at offset: Int, as type: Integer.Type) -> Integer {
        Integer(littleEndian: loadUnaligned(fromByteOffset: offset, as: Integer.self))
    }
}
