internal import Journal

/// How a transaction stands in the payload of a record. Little-endian, operations back to back:
///
///     kind  u8    1 put, 2 delete, 3 put with a sealed value
///     key   u32 length, bytes
///     puts: offset u32 (0xFFFFFFFF: none), value u32 length, bytes
enum TransactionCodec {
    private static let put: UInt8 = 1
    private static let delete: UInt8 = 2
    private static let sealedPut: UInt8 = 3
    private static let noOffset = UInt32.max

    /// One operation as the log holds it.
    enum Operation {
        /// `keyIdentifier` is the key that sealed the value, 0 for none.
        case put(StoreKey, value: [UInt8], revisionOffset: Int?, keyIdentifier: UInt16)
        case delete(StoreKey)
    }

    static func record(_ changes: RevisionChanges, keys: SealingKeys) throws(StoreError) -> Record {
        var payload: [UInt8] = []
        payload.reserveCapacity(changes.changes.reduce(0) { $0 + $1.key.bytes.count + ($1.written?.count ?? 0) + 64 })
        var keyIdentifier: UInt16 = 0
        for change in changes.changes {
            guard let entry = change.entry, let value = change.written else {
                payload.append(delete)
                append(change.key.bytes, to: &payload)
                continue
            }
            payload.append(entry.isSealed ? sealedPut : put)
            append(change.key.bytes, to: &payload)
            payload.appendInteger(entry.revisionOffset.map { UInt32($0) } ?? noOffset)
            if entry.isSealed {
                keyIdentifier = entry.keyIdentifier
                append(
                    try keys.seal(value.array, with: keyIdentifier, key: change.key, revision: changes.revision),
                    to: &payload)
            } else {
                append(value.array, to: &payload)
            }
        }
        return Record(revision: changes.revision.rawValue, keyIdentifier: keyIdentifier, payload: payload)
    }

    /// Reads a payload back; `nil` when it is not one, which a whole record never is.
    static func operations(_ record: Record, keys: SealingKeys) throws(StoreError) -> [Operation]? {
        var reader = ByteReader(record.payload)
        var operations: [Operation] = []
        let revision = Revision(rawValue: record.revision)
        while !reader.isAtEnd {
            guard let kind = reader.integer(UInt8.self), let keyBytes = reader.field() else { return nil }
            let key = StoreKey(bytes: keyBytes)
            if kind == delete {
                operations.append(.delete(key))
                continue
            }
            guard kind == put || kind == sealedPut, let offset = reader.integer(UInt32.self), var value = reader.field()
            else { return nil }
            if kind == sealedPut {
                value = try keys.open(value, with: record.keyIdentifier, key: key, revision: revision)
            }
            operations.append(
                .put(
                    key, value: value, revisionOffset: offset == noOffset ? nil : Int(offset),
                    keyIdentifier: kind == sealedPut ? record.keyIdentifier : 0))
        }
        return operations
    }

    static func append(_ field: [UInt8], to buffer: inout [UInt8]) {
        buffer.appendInteger(UInt32(field.count))
        buffer.append(contentsOf: field)
    }
}

/// Reads integers and length-prefixed fields from bytes of unknown origin: every read is checked.
struct ByteReader {
    private let bytes: [UInt8]
    private(set) var offset: Int

    init(_ bytes: [UInt8], at offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    var isAtEnd: Bool { offset >= bytes.count }

    mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Integer? {
        let size = Integer.bitWidth / 8
        guard offset + size <= bytes.count else { return nil }
        defer { offset += size }
        return bytes.withUnsafeBytes { $0.integer(at: offset, as: type) }
    }

    mutating func bytes(_ count: Int) -> [UInt8]? {
        guard count >= 0, count <= bytes.count - offset else { return nil }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    /// A `u32` length and as many bytes.
    mutating func field() -> [UInt8]? {
        guard let count = integer(UInt32.self) else { return nil }
        return bytes(Int(count))
    }
}
