package import Documents

/// A value of the language. Objects and arrays of the document stay as they are and are looked into on demand, as what
/// they are declared to be.
package enum CELValue: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case duration(Duration)
    /// Seconds and nanoseconds since 1970.
    case timestamp(Int64, Int32)
    case array([JSON], CELDeclaration?)
    case object(JSONObject, CELDeclaration?)
    case list([CELValue])
    case map([(key: CELValue, value: CELValue)])
    indirect case optional(CELValue?)
    case type(String)
    case quantity(Quantity)
    case ip(CELAddress)
    case cidr(CELAddressRange)
    case url(CELLocation)
    case semver(CELSemver)
    case format(CELFormatName)

    /// The value of a document, as what it is declared to be: a string may stand for a time or for bytes.
    package init(_ json: JSON, as declaration: CELDeclaration? = nil) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = declaration?.type == .double ? .double(Double(value)) : .integer(value)
        case .number(let value):
            let whole = declaration?.type == .int ? Int64(exactly: value) : nil
            self = whole.map(CELValue.integer) ?? .double(value)
        case .string(let value): self = declaration.flatMap { Self.read(value, as: $0.type) } ?? .string(value)
        case .array(let value): self = .array(value, declaration)
        case .object(let value): self = .object(value, declaration)
        }
    }

    private static func read(_ text: String, as type: CELType) -> CELValue? {
        switch type {
        case .duration: CELTime.duration(text).map(CELValue.duration)
        case .timestamp:
            (CELTime.timestamp(text) ?? CELTime.timestamp(text + "T00:00:00Z")).map { .timestamp($0.0, $0.1) }
        case .bytes: Base64.decode(text).map(CELValue.bytes)
        default: nil
        }
    }

    /// What `type(x)` and messages call it.
    package var typeName: String {
        switch self {
        case .null: "null_type"
        case .bool: "bool"
        case .integer: "int"
        case .unsigned: "uint"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .duration: "google.protobuf.Duration"
        case .timestamp: "google.protobuf.Timestamp"
        case .array, .list: "list"
        case .object, .map: "map"
        case .optional: "optional_type"
        case .type: "type"
        case .quantity: "kubernetes.Quantity"
        case .ip: "net.IP"
        case .cidr: "net.CIDR"
        case .url: "kubernetes.URL"
        case .semver: "kubernetes.Semver"
        case .format: "kubernetes.NamedFormat"
        }
    }

    /// A scalar as text; `nil` for anything else.
    package var text: String? {
        switch self {
        case .string(let text): text
        case .integer(let number): "\(number)"
        case .unsigned(let number): "\(number)"
        case .double(let number): Int64(exactly: number).map { "\($0)" } ?? "\(number)"
        case .bool(let holds): holds ? "true" : "false"
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        case .duration(let duration): CELTime.text(duration)
        case .ip(let address): address.text
        case .cidr(let range): range.text
        default: nil
        }
    }

    /// The items of a list; `nil` where it is none.
    var elements: [CELValue]? {
        switch self {
        case .list(let items): items
        case .array(let items, let declaration): items.map { CELValue($0, as: declaration?.element) }
        default: nil
        }
    }

    /// How many items a list has; `nil` where it is none.
    var elementCount: Int? {
        switch self {
        case .list(let items): items.count
        case .array(let items, _): items.count
        default: nil
        }
    }

    /// Whether it has members: an object or a map.
    var isContainer: Bool {
        switch self {
        case .map, .object: true
        default: false
        }
    }

    /// Whether it is made of other values.
    var isCompound: Bool { isContainer || elementCount != nil }

    var isNull: Bool { if case .null = self { true } else { false } }

    /// The keys of a map with what is under them; `nil` where it is none.
    var entries: [(key: CELValue, value: CELValue)]? {
        switch self {
        case .map(let entries): entries
        case .object(let object, let declaration):
            object.members.map { (.string($0.key), CELValue($0.value, as: declaration?.element)) }
        default: nil
        }
    }

    var count: Int? {
        switch self {
        case .string(let text): text.unicodeScalars.count
        case .bytes(let bytes): bytes.count
        case .array(let items, _): items.count
        case .list(let items): items.count
        case .object(let object, _): object.count
        case .map(let entries): entries.count
        default: nil
        }
    }

    /// The value under a key of a map, of a member of an object, or at a position of a list.
    func member(_ key: CELValue, isField: Bool = false) -> CELValue? {
        switch self {
        case .object(let object, let declaration):
            guard case .string(let name) = key else { return nil }
            guard let declaration else { return object[name].map { CELValue($0) } }
            if declaration.isMap { return object[name].map { CELValue($0, as: declaration.element) } }
            return declaration.field(name).flatMap { field in
                object[field.property].flatMap { $0.isNull ? nil : CELValue($0, as: field.declaration) }
            }
        case .map(let entries): return entries.first { $0.key.equals(key) }?.value
        case .array(let items, let declaration):
            guard !isField, let position = key.position, items.indices.contains(position) else { return nil }
            return CELValue(items[position], as: declaration?.element)
        case .list(let items):
            guard !isField, let position = key.position, items.indices.contains(position) else { return nil }
            return items[position]
        default: return nil
        }
    }

    /// A whole number, as a position.
    private var position: Int? {
        switch self {
        case .integer(let number): Int(exactly: number)
        case .unsigned(let number): Int(exactly: number)
        case .double(let number): Int(exactly: number)
        default: nil
        }
    }

    /// Equality of the rule language: numbers compare by value, everything else only with its own type.
    func equals(_ other: CELValue) -> Bool {
        switch (self, other) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.string(let a), .string(let b)): a.isSameBytes(as: b)
        case (.bytes(let a), .bytes(let b)): a == b
        case (.duration(let a), .duration(let b)): a == b
        case (.timestamp(let a, let c), .timestamp(let b, let d)): a == b && c == d
        case (.type(let a), .type(let b)): a == b
        case (.quantity(let a), .quantity(let b)): a == b
        case (.ip(let a), .ip(let b)): a == b
        case (.cidr(let a), .cidr(let b)): a == b
        case (.url(let a), .url(let b)): a == b
        case (.semver(let a), .semver(let b)): a == b
        case (.format(let a), .format(let b)): a == b
        case (.array(let a, let x), .array(let b, let y))
        where x?.listKind ?? .atomic == y?.listKind ?? .atomic && a == b:
            true
        case (.object(let a, _), .object(let b, _)) where a == b: true
        case (.optional(let a), .optional(let b)):
            switch (a, b) {
            case (nil, nil): true
            case (let a?, let b?): a.equals(b)
            default: false
            }
        default:
            if let order = numericOrder(other) { order == 0 } else { hasEqualParts(other) }
        }
    }

    private func hasEqualParts(_ other: CELValue) -> Bool {
        if let left = elements, let right = other.elements {
            guard left.count == right.count else { return false }
            if isUnordered || other.isUnordered {
                return left.allSatisfy { item in right.contains { $0.equals(item) } }
            }
            return zip(left, right).allSatisfy { $0.equals($1) }
        }
        if let left = entries, let right = other.entries {
            guard left.count == right.count else { return false }
            let values = Self.index(right)
            return left.allSatisfy { entry in
                if case .string(let name) = entry.key, let values { return values[name]?.equals(entry.value) ?? false }
                return right.first { $0.key.equals(entry.key) }?.value.equals(entry.value) ?? false
            }
        }
        return false
    }

    /// The values of a map by their keys, where all of these are strings.
    private static func index(_ entries: [(key: CELValue, value: CELValue)]) -> [String: CELValue]? {
        var values: [String: CELValue] = [:]
        for entry in entries {
            guard case .string(let name) = entry.key else { return nil }
            values[name] = entry.value
        }
        return values
    }

    /// Whether it is a list whose order does not count.
    private var isUnordered: Bool {
        if case .array(_, let declaration?) = self { declaration.listKind != .atomic } else { false }
    }

    /// Below, at or above zero for two numbers; `nil` for anything else, and for NaN.
    func numericOrder(_ other: CELValue) -> Int? {
        switch (self, other) {
        case (.integer(let a), .integer(let b)): return a < b ? -1 : a == b ? 0 : 1
        case (.unsigned(let a), .unsigned(let b)): return a < b ? -1 : a == b ? 0 : 1
        case (.integer(let a), .unsigned(let b)):
            if a < 0 { return -1 }
            return UInt64(a) < b ? -1 : UInt64(a) == b ? 0 : 1
        case (.unsigned, .integer): return other.numericOrder(self).map { -$0 }
        default:
            guard let a = number, let b = other.number, !a.isNaN, !b.isNaN else { return nil }
            return a < b ? -1 : a == b ? 0 : 1
        }
    }

    /// A number as a double; `nil` for anything else.
    var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// Orders two values of a type that has an order.
    func order(_ other: CELValue) -> Int? {
        switch (self, other) {
        case (.string(let a), .string(let b)):
            return a.isSameBytes(as: b) ? 0 : a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
        case (.bytes(let a), .bytes(let b)): return a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1
        case (.bool(let a), .bool(let b)): return a == b ? 0 : b ? -1 : 1
        case (.duration(let a), .duration(let b)): return a == b ? 0 : a < b ? -1 : 1
        case (.timestamp(let a, let c), .timestamp(let b, let d)):
            return (a, c) == (b, d) ? 0 : (a, c) < (b, d) ? -1 : 1
        default: return numericOrder(other)
        }
    }
}
