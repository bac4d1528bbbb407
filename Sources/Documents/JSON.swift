internal import Glibc

/// A JSON value as Kubernetes sees one: integers and floats are kept apart (`1` and `1.0` are different values), object
/// members keep their order, and strings compare as bytes (`"é"` has two spellings that `String` calls equal).
package enum JSON: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A number with a fraction, an exponent, or beyond `Int64`. Always finite.
    case number(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)
}

extension JSON: Equatable, Hashable {
    package static func == (left: JSON, right: JSON) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): a.isSameBytes(as: b)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .integer(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(value)
        case .array(let value): hasher.combine(value)
        case .object(let value):
            // The order of the members does not count, so their hashes are joined by an operation that ignores it.
            hasher.combine(value.members.reduce(0) { $0 ^ JSON.hash(of: $1) })
        }
    }
}

extension JSON: CustomStringConvertible {
    /// Compact JSON, as messages quote it.
    package var description: String { text() }
}

extension JSON {
    private static func hash(of member: JSONObject.Member) -> Int {
        var hasher = Hasher()
        hasher.combine(member.key)
        hasher.combine(member.value)
        return hasher.finalize()
    }

    package var isNull: Bool { if case .null = self { true } else { false } }
    package var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var integerValue: Int64? { if case .integer(let value) = self { value } else { nil } }
    package var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    package var arrayValue: [JSON]? { if case .array(let value) = self { value } else { nil } }
    package var objectValue: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// The value as a float, whether it was written as an integer or not.
    package var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The member of an object; `nil` where this is no object or has no such member. Setting `nil` removes it.
    /// Setting into something that is not an object replaces it by one.
    package subscript(key: String) -> JSON? {
        get { objectValue?[key] }
        set {
            var object = objectValue ?? JSONObject()
            self = .null  // drop our reference first, so that the object is changed in place
            object[key] = newValue
            self = .object(object)
        }
    }

    /// The value at the end of a path of member names; `nil` as soon as one is missing.
    package subscript(path path: [String]) -> JSON? {
        var value: JSON? = self
        for key in path { value = value?[key] }
        return value
    }

    /// What messages call this value's type: the names JSON schemas use.
    package var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .integer: "integer"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByFloatLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
    package init(nilLiteral: ()) { self = .null }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) { self = .object(JSONObject(elements)) }
}

extension String {
    /// Whether both strings are the same bytes. `==` on `String` also accepts other spellings of the same characters.
    package func isSameBytes(as other: String) -> Bool {
        let (left, right) = (utf8, other.utf8)
        if left.count != right.count { return false }
        return left.withContiguousStorageIfAvailable { a in
            right.withContiguousStorageIfAvailable { b in
                guard let first = a.baseAddress, let second = b.baseAddress else { return true }  // both are empty
                return memcmp(first, second, a.count) == 0
            }
        }.flatMap { $0 } ?? left.elementsEqual(right)
    }

    /// Whether this string comes before `other` when both are taken as bytes.
    package func precedesBytes(of other: String) -> Bool {
        let (left, right) = (utf8, other.utf8)
        let shorter = min(left.count, right.count)
        let order: Int32?? = left.withContiguousStorageIfAvailable { a in
            right.withContiguousStorageIfAvailable { b in
                guard let first = a.baseAddress, let second = b.baseAddress else { return 0 }  // one is empty
                return memcmp(first, second, shorter)
            }
        }
        guard let order = order.flatMap({ $0 }) else { return left.lexicographicallyPrecedes(right) }
        return order < 0 || order == 0 && left.count < right.count
    }
}
