internal import Documents
internal import Seams

/// Reads the protobuf bodies that kubectl and client-go send for standard kinds into the JSON they stand for.
///
/// A body is four magic bytes and a `runtime.Unknown`: the kind, and the object's message without it. Go's encoder writes
/// every field that is not a pointer, also when empty; JSON leaves those out, and so does this decoder.
/// Source: kubernetes/apimachinery `pkg/runtime/serializer/protobuf`.
struct ProtobufDecoder {
    private let schema: ProtobufSchema
    private static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]

    /// The document in a request body. Fails with `badRequest` for damaged bytes, `unsupportedMediaType` for a kind whose
    /// message is not known.
    static func document(_ body: [UInt8], schema: ProtobufSchema = .bundled) throws(APIError) -> Document {
        guard body.starts(with: magic) else { throw malformed("the bytes k8s\\0 at the start") }
        var reader = WireReader(body[4...])
        var kind = (apiVersion: "", kind: "")
        var raw: ArraySlice<UInt8> = []
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let bytes)): kind = try typeMeta(bytes)
            case (2, .bytes(let bytes)): raw = bytes
            default: break
            }
        }
        guard let message = schema.message(apiVersion: kind.apiVersion, kind: kind.kind) else {
            throw APIError(
                code: 415, reason: .unsupportedMediaType,
                message:
                    "protobuf bodies of kind \"\(kind.kind)\" in version \"\(kind.apiVersion)\" are not supported; "
                    + "send application/json")
        }
        var object = JSONObject()
        try ProtobufDecoder(schema: schema).read(raw, message, into: &object, depth: 0)
        object["apiVersion"] = .string(kind.apiVersion)
        object["kind"] = .string(kind.kind)
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

    /// Adds the members of one message to `object`. Lists and maps are gathered aside: growing them where they stand would
    /// copy them each time.
    private func read(
        _ bytes: ArraySlice<UInt8>, _ message: ProtobufSchema.Message, into object: inout JSONObject, depth: Int
    ) throws(APIError) {
        if depth > DocumentLimits.nestingDepth { throw Self.malformed("less nesting") }
        var lists: [String: [JSON]] = [:]
        var maps: [String: JSONObject] = [:]
        var reader = WireReader(bytes)
        while let wire = try reader.next() {
            guard let field = message.field(wire.number) else { continue }
            switch field.shape {
            case .single where field.isInline:
                guard case .message(let position) = field.type, case .bytes(let bytes) = wire.value else {
                    throw Self.otherWireType(field)
                }
                try read(bytes, schema.messages[position], into: &object, depth: depth + 1)
            case .single:
                guard let value = try value(wire.value, field, depth: depth) else { continue }
                object[field.name] = value
            case .list:
                if let value = try value(wire.value, field, depth: depth) {
                    lists[field.name, default: []].append(value)
                }
            case .map:
                guard case .bytes(let bytes) = wire.value else { throw Self.otherWireType(field) }
                let (key, value) = try mapEntry(bytes, field, depth: depth)
                maps[field.name, default: JSONObject()][key] = value
            }
        }
        for (name, elements) in lists { object[name] = .array(elements) }
        for (name, members) in maps { object[name] = .object(members) }
    }

    /// The value of one field; `nil` where JSON would leave it out.
    private func value(
        _ wire: WireReader.Value, _ field: ProtobufSchema.Field, depth: Int
    ) throws(APIError) -> JSON? {
        let isElement = field.shape != .single
        let keepsZero = field.keepsEmpty || field.keepsZero || isElement
        switch (field.type, wire) {
        case (.string, .bytes(let bytes)): return bytes.isEmpty && !keepsZero ? nil : .string(try Self.string(bytes))
        case (.bytes, .bytes(let bytes)):
            return bytes.isEmpty && !keepsZero ? nil : .string(Base64.encode(Array(bytes)))
        case (.integer, .varint(let value)): return value == 0 && !keepsZero ? nil : .integer(Int64(bitPattern: value))
        case (.bool, .varint(let value)): return value == 0 && !keepsZero ? nil : .bool(value != 0)
        case (.double, .fixed64(let bits)):
            let value = Double(bitPattern: bits)
            guard value.isFinite else { throw Self.malformed("a finite number in \(field.name)") }
            return value == 0 && !keepsZero ? nil : .number(value)
        case (.time(let precise), .bytes(let bytes)): return try Self.time(bytes, precise: precise)
        case (.json, .bytes(let bytes)):
            guard let json = try? JSONParser.parse(bytes) else { throw Self.malformed("JSON in \(field.name)") }
            return json
        case (.message(let position), .bytes(let bytes)):
            return try nested(bytes, schema.messages[position], keepsEmpty: field.keepsEmpty || isElement, depth + 1)
        default: throw Self.otherWireType(field)
        }
    }

    private func nested(
        _ bytes: ArraySlice<UInt8>, _ message: ProtobufSchema.Message, keepsEmpty: Bool, _ depth: Int
    ) throws(APIError) -> JSON? {
        var object = JSONObject()
        try read(bytes, message, into: &object, depth: depth)
        if message.isWrapper { return message.fields.reversed().lazy.compactMap { object[$0.name] }.first }
        return object.isEmpty && !keepsEmpty ? nil : .object(object)
    }

    /// What an entry leaves out is empty.
    private func mapEntry(
        _ bytes: ArraySlice<UInt8>, _ field: ProtobufSchema.Field, depth: Int
    ) throws(APIError) -> (String, JSON?) {
        var reader = WireReader(bytes)
        var key = ""
        var value = try value(field.type == .integer ? .varint(0) : .bytes([]), field, depth: depth)
        while let wire = try reader.next() {
            if wire.number == 1, case .bytes(let content) = wire.value { key = try Self.string(content) }
            if wire.number == 2 { value = try self.value(wire.value, field, depth: depth) }
        }
        return (key, value)
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

    private static func string(_ bytes: ArraySlice<UInt8>) throws(APIError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed("UTF-8") }
        return text
    }

    private static func otherWireType(_ field: ProtobufSchema.Field) -> APIError {
        malformed("another wire type in \(field.name)")
    }

    static func malformed(_ expected: String) -> APIError {
        .badRequest("the protobuf body is damaged: expected \(expected)")
    }
}
