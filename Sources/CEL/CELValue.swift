package import Documents

/// A value of the language. Objects and arrays of the document stay as they are and are looked into on demand.
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
    case array([JSON])
    case object(JSONObject)
    case list([CELValue])
    case map([(key: CELValue, value: CELValue)])
    indirect case optional(CELValue?)
    case type(String)
    case quantity(Quantity)
    case ip(CELAddress)
    case cidr(CELAddressRange)
    case url(CELLocation)

    package init(_ json: JSON) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .number(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .array(let value): self = .array(value)
        case .object(let value): self = .object(value)
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
        case .array(let items): items.map(CELValue.init)
        default: nil
        }
    }

    var isNull: Bool { if case .null = self { true } else { false } }

    /// The keys of a map; `nil` where it is none.
    var keys: [CELValue]? {
        switch self {
        case .map(let entries): entries.map(\.key)
        case .object(let object): object.members.map { .string($0.key) }
        default: nil
        }
    }

    var count: Int? {
        switch self {
        case .string(let text): text.unicodeScalars.count
        case .bytes(let bytes): bytes.count
        case .array(let items): items.count
        case .list(let items): items.count
        case .object(let object): object.count
        case .map(let entries): entries.count
        default: nil
        }
    }

    /// The value under a key of a map.
    func member(_ key: CELValue) -> CELValue? {
        switch self {
        case .object(let object):
            guard case .string(let name) = key else { return nil }
            return object[name].map(CELValue.init)
        case .map(let entries): return entries.first { $0.key.equals(key) }?.value
        default: return nil
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
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
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
            return left.count == right.count && zip(left, right).allSatisfy { $0.equals($1) }
        }
        if let left = keys, let right = other.keys {
            return left.count == right.count
                && left.allSatisfy { key in
                    guard let a = member(key), let b = other.member(key) else { return false }
                    return a.equals(b)
                }
        }
        return false
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

/// Why a rule came to no answer.
package struct CELError: Error, Equatable {
    package enum Code: Sendable {
        /// The value does not have what the rule asks for.
        case evaluation
        /// The rule uses what this evaluator does not know; it then counts as kept.
        case unsupported
        /// The rules of the document took too many steps.
        case exhausted
        case syntax
    }

    package var code: Code
    package var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
