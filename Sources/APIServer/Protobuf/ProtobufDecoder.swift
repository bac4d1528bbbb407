internal import Documents
internal import Seams

/// Reads the protobuf bodies that kubectl and client-go send for built-in kinds into the JSON they stand for.
///
/// A body is four magic bytes and a `runtime.Unknown`: the kind, and the object's message without it. Go's encoder writes
/// every field that is not a pointer, also when empty; JSON leaves those out, and so does this decoder.
/// Source: kubernetes/apimachinery `pkg/runtime/serializer/protobuf`, the `generated.proto` files of release 1.32.
enum ProtobufDecoder {
    private static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]

    /// The document in a request body. Fails with `badRequest` for damaged bytes, `unsupportedMediaType` for a kind whose
    /// message is not known.
    static func document(_ body: [UInt8]) throws(APIError) -> Document {
        guard body.starts(with: magic) else { throw malformed("the bytes k8s\\0 at the start") }
        var reader = WireReader(body[4...])
        var kind = ("", "")
        var raw: ArraySlice<UInt8> = []
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let bytes)): kind = try typeMeta(bytes)
            case (2, .bytes(let bytes)): raw = bytes
            default: break
            }
        }
        guard let message = ProtobufMessage.root(kind: kind.1) else {
            throw APIError(
                code: 415, reason: .unsupportedMediaType,
                message: "protobuf bodies of kind \"\(kind.1)\" are not supported; send application/json")
        }
        var object = try object(raw, message, depth: 0)
        object["apiVersion"] = .string(kind.0)
        object["kind"] = .string(kind.1)
        return Document(.object(object))
    }

    private static func typeMeta(_ bytes: ArraySlice<UInt8>) throws(APIError) -> (String, String) {
        var reader = WireReader(bytes)
        var result = ("", "")
        while let field = try reader.next() {
            guard case .bytes(let text) = field.value else { continue }
            if field.number == 1 { result.0 = try string(text) }
            if field.number == 2 { result.1 = try string(text) }
        }
        return result
    }

    private static func object(
        _ bytes: ArraySlice<UInt8>, _ message: ProtobufMessage, depth: Int
    ) throws(APIError) -> JSONObject {
        if depth > DocumentLimits.nestingDepth { throw malformed("less nesting") }
        var reader = WireReader(bytes)
        var result = JSONObject()
        while let field = try reader.next() {
            guard let known = message.fields[field.number] else { continue }
            guard let value = try value(field.value, known, depth: depth) else { continue }
            switch known.shape {
            case .single: result[known.name] = value
            case .list:
                var elements = result[known.name]?.arrayValue ?? []
                elements.append(value)
                result[known.name] = .array(elements)
            case .map:
                var entries = result[known.name]?.objectValue ?? JSONObject()
                for member in value.objectValue?.members ?? [] { entries[member.key] = member.value }
                result[known.name] = .object(entries)
            }
        }
        return result
    }

    /// The value of one field; `nil` where JSON would leave it out.
    private static func value(
        _ wire: WireReader.Value, _ field: ProtobufMessage.Field, depth: Int
    ) throws(APIError) -> JSON? {
        let keepsEmpty = field.isPointer || field.shape != .single
        switch (field.type, wire) {
        case (.string, .bytes(let bytes)):
            return bytes.isEmpty && !keepsEmpty ? nil : .string(try string(bytes))
        case (.bytes, .bytes(let bytes)): return .string(Base64.encode(Array(bytes)))
        case (.integer, .varint(let value)):
            return value == 0 && !keepsEmpty ? nil : .integer(Int64(bitPattern: value))
        case (.bool, .varint(let value)): return value == 0 && !keepsEmpty ? nil : .bool(value != 0)
        case (.time(let precise), .bytes(let bytes)): return try time(bytes, precise: precise)
        case (.json, .bytes(let bytes)):
            guard let json = try? JSONParser.parse(try unwrapped(bytes)) else {
                throw malformed("JSON in \(field.name)")
            }
            return json
        case (.message(let message), .bytes(let bytes)):
            let object = try object(bytes, message(), depth: depth + 1)
            return object.isEmpty && !keepsEmpty ? nil : .object(object)
        case (.mapEntry(let isBytes), .bytes(let bytes)): return try mapEntry(bytes, isBytes: isBytes)
        default: throw malformed("another wire type in \(field.name)")
        }
    }

    private static func mapEntry(_ bytes: ArraySlice<UInt8>, isBytes: Bool) throws(APIError) -> JSON {
        var reader = WireReader(bytes)
        var key = ""
        var value: JSON = .string("")
        while let field = try reader.next() {
            guard case .bytes(let content) = field.value else { continue }
            if field.number == 1 { key = try string(content) }
            if field.number == 2 { value = .string(isBytes ? Base64.encode(Array(content)) : try string(content)) }
        }
        return .object(JSONObject([(key, value)]))
    }

    /// A Time or MicroTime: seconds and nanoseconds. All zero stands for no time.
    private static func time(_ bytes: ArraySlice<UInt8>, precise: Bool) throws(APIError) -> JSON? {
        var reader = WireReader(bytes)
        var seconds: Int64 = 0
        var nanoseconds: Int64 = 0
        while let field = try reader.next() {
            guard case .varint(let value) = field.value else { continue }
            if field.number == 1 { seconds = Int64(bitPattern: value) }
            if field.number == 2 { nanoseconds = Int64(bitPattern: value) }
        }
        if seconds == 0 && nanoseconds == 0 { return nil }
        let limit: Int64 = 9_000_000_000  // the year 2255, which nanoseconds in 64 bits can still hold
        guard (-limit...limit).contains(seconds), (0..<1_000_000_000).contains(nanoseconds) else {
            throw malformed("a time before 2255")
        }
        let instant = Instant(nanoseconds: seconds * 1_000_000_000 + nanoseconds)
        return .string(precise ? instant.rfc3339Micro : instant.rfc3339)
    }

    /// The Raw bytes of a FieldsV1 or RawExtension.
    private static func unwrapped(_ bytes: ArraySlice<UInt8>) throws(APIError) -> ArraySlice<UInt8> {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            if field.number == 1, case .bytes(let raw) = field.value { return raw }
        }
        return ArraySlice("{}".utf8)
    }

    private static func string(_ bytes: ArraySlice<UInt8>) throws(APIError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed("UTF-8") }
        return text
    }

    static func malformed(_ expected: String) -> APIError {
        .badRequest("the protobuf body is damaged: expected \(expected)")
    }
}

/// Walks the fields of one protobuf message.
struct WireReader {
    enum Value {
        case varint(UInt64)
        case bytes(ArraySlice<UInt8>)
        /// A fixed 32- or 64-bit value; none of our messages has one.
        case fixed
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
        case 1: return (number, try fixed(8))
        case 2:
            guard let count = Int(exactly: try varint()), count <= rest.count else {
                throw ProtobufDecoder.malformed("as many bytes as the length says")
            }
            let bytes = rest.prefix(count)
            rest = rest.dropFirst(count)
            return (number, .bytes(bytes))
        case 5: return (number, try fixed(4))
        default: throw ProtobufDecoder.malformed("a known wire type")
        }
    }

    private mutating func fixed(_ count: Int) throws(APIError) -> Value {
        if rest.count < count { throw ProtobufDecoder.malformed("\(count) more bytes") }
        rest = rest.dropFirst(count)
        return .fixed
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
