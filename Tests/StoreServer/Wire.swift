import NIOCore
import Store

/// The protocol: frames of a u32 length and as many bytes, all integers little-endian, keys as the store has them.
///
///     request   kind u8, id u32, then
///       1 put       compare u64, key (u16 length, bytes), value: the rest
///       2 delete    compare u64, key
///       3 get       key
///       4 list      revision u64 (0: now), limit u32 (0: all), prefix, key to continue behind (empty: from the start)
///       5 watch     after revision u64, prefix; runs until the connection ends
///       6 compact   revision u64
///       7 status
///       8 bookmark  each watch of the connection says how far it is
///     answer    status u8, id u32, then
///       0 done      of put and delete: revision u64
///                   of get: revision of the read u64, entries u32 (0 or 1), entries
///                   of list: revision u64, entries u32, entries; an entry: revision u64, key, value (u32 length,
/// bytes)
///                   of compact: nothing; of status: sequenced, durable, compacted u64, keys u64
///       1 conflict  the revision the key has, u64; 0: it does not exist
///       2 compacted, 3 future: nothing
///       4 refused   text; whether a write happened is unknown
///       5 events    of watch: complete up to u64, events u32, each: kind u8 (1 put, 2 delete), then as an entry
///
/// `compare` is a revision, 0 for "must not exist", or `anything`.
enum Wire {
    static let anything = UInt64.max
    static let maximumFrame = StoreLimits.valueBytes + 4096

    enum Status: UInt8 {
        case done = 0
        case conflict, compacted, future, refused, events
    }

    enum Request {
        case put(StoreKey, value: [UInt8], compare: UInt64)
        case delete(StoreKey, compare: UInt64)
        case get(StoreKey)
        case list(revision: UInt64, limit: Int, prefix: [UInt8], after: [UInt8])
        case watch(after: UInt64, prefix: [UInt8])
        case compact(UInt64)
        case status
        case bookmark
    }

    struct Malformed: Error {}

    /// The next whole request, taken out of `buffer`; `nil` when more must come.
    static func next(_ buffer: inout ByteBuffer) throws -> (id: UInt32, Request)? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, endianness: .little, as: UInt32.self) else {
            return nil
        }
        guard length <= maximumFrame else { throw Malformed() }
        guard buffer.readableBytes >= 4 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        guard var frame = buffer.readSlice(length: Int(length)), let kind = frame.readInteger(as: UInt8.self),
            let id = frame.readInteger(endianness: .little, as: UInt32.self)
        else { throw Malformed() }
        return (id, try request(kind, &frame))
    }

    private static func request(_ kind: UInt8, _ frame: inout ByteBuffer) throws -> Request {
        switch kind {
        case 1:
            let compare = try frame.number(UInt64.self)
            let key = StoreKey(bytes: try frame.field())
            return .put(key, value: frame.readBytes(length: frame.readableBytes) ?? [], compare: compare)
        case 2:
            let compare = try frame.number(UInt64.self)
            return .delete(StoreKey(bytes: try frame.field()), compare: compare)
        case 3: return .get(StoreKey(bytes: try frame.field()))
        case 4:
            let (revision, limit) = (try frame.number(UInt64.self), try frame.number(UInt32.self))
            return .list(revision: revision, limit: Int(limit), prefix: try frame.field(), after: try frame.field())
        case 5:
            let after = try frame.number(UInt64.self)
            return .watch(after: after, prefix: try frame.field())
        case 6: return .compact(try frame.number(UInt64.self))
        case 7: return .status
        case 8: return .bookmark
        default: throw Malformed()
        }
    }

    /// Begins an answer; `finish` puts its length in front.
    static func begin(_ status: Status, id: UInt32, capacity: Int) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 9 + capacity)
        buffer.writeInteger(UInt32(0), endianness: .little)
        buffer.writeInteger(status.rawValue)
        buffer.writeInteger(id, endianness: .little)
        return buffer
    }

    /// `behind`: bytes of the frame that follow in a buffer of their own.
    static func finish(_ buffer: inout ByteBuffer, behind: Int = 0) {
        buffer.setInteger(UInt32(buffer.readableBytes - 4 + behind), at: buffer.readerIndex, endianness: .little)
    }
}

extension ByteBuffer {
    fileprivate mutating func number<Integer: FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
        guard let value = readInteger(endianness: .little, as: type) else { throw Wire.Malformed() }
        return value
    }

    fileprivate mutating func field() throws -> [UInt8] {
        guard let bytes = readBytes(length: Int(try number(UInt16.self))) else { throw Wire.Malformed() }
        return bytes
    }

    mutating func write(_ revision: Revision) { writeInteger(revision.rawValue, endianness: .little) }

    mutating func write(revision: Revision, key: StoreKey, value: Bytes) {
        write(revision)
        writeInteger(UInt16(key.bytes.count), endianness: .little)
        writeBytes(key.bytes)
        writeInteger(UInt32(value.count), endianness: .little)
        value.withUnsafeBytes { _ = writeBytes($0) }
    }
}
