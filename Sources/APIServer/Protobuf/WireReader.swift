internal import Documents

/// Walks the fields of one protobuf message.
struct WireReader {
    /// What stands behind a tag.
    enum Value {
        case varint(UInt64)
        case bytes(ArraySlice<UInt8>)
        /// Eight bytes, little endian.
        case fixed64(UInt64)
        /// Four bytes, which none of our messages has.
        case fixed32
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next field; `nil` at the end.
    mutating func next() throws(APIError) -> (number: Int, value: Value)? {
        if rest.isEmpty { return nil }
        let tag = try varint()
        guard let number = Int(exactly: tag >> 3), number > 0 else { throw ProtobufDecoder.malformed("a field number") }
        switch tag & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(try fixed(8)))
        case 2:
            guard let count = Int(exactly: try varint()), count <= rest.count else {
                throw ProtobufDecoder.malformed("as many bytes as the length says")
            }
            let bytes = rest.prefix(count)
            rest = rest.dropFirst(count)
            return (number, .bytes(bytes))
        case 5:
            _ = try fixed(4)
            return (number, .fixed32)
        default: throw ProtobufDecoder.malformed("a known wire type")
        }
    }

    private mutating func fixed(_ count: Int) throws(APIError) -> UInt64 {
        if rest.count < count { throw ProtobufDecoder.malformed("\(count) more bytes") }
        let value = rest.prefix(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        rest = rest.dropFirst(count)
        return value
    }

    private mutating func varint() throws(APIError) -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { throw ProtobufDecoder.malformed("the rest of a number") }
            result |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return result }
        }
        throw ProtobufDecoder.malformed("a number of at most 64 bits")
    }
}
