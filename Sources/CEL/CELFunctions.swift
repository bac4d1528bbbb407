internal import Documents

/// The functions of the rule language: those of the standard and of the strings extension, and the ways to all others.
/// A function that is not here is `unsupported`.
enum CELFunctions {
    static func call(_ name: String, isMethod: Bool, _ values: [CELValue]) throws(CELError) -> CELValue {
        if let result = optional(name, values) { return result }
        if values.count == 1, let result = try conversion(name, values[0]) { return result }
        if let first = values.first {
            if case .optional = first, let result = try optionalMember(name, first, values.count) { return result }
            if let result = try CELLists.call(name, first, Array(values.dropFirst())) { return result }
            if case .string(let text) = first, isMethod, let result = try string(name, text, Array(values.dropFirst()))
            {
                return result
            }
        }
        if let result = try CELKubernetes.call(name, values) { return result }
        if name == "matches", values.count == 2, case .string(let text) = values[0],
            case .string(let other) = values[1],
            let result = try pair(name, text, other)
        {
            return result
        }
        if CELDeclarations.functions[name] != nil { throw CELEvaluator.noOverload(name, values) }
        throw CELError(.unsupported, "undeclared reference to '\(name)'")
    }

    // MARK: - Conversions

    private static func conversion(_ name: String, _ value: CELValue) throws(CELError) -> CELValue? {
        switch name {
        case "size":
            guard let count = value.count else { throw CELEvaluator.noOverload(name, [value]) }
            return .integer(Int64(count))
        case "type": return .type(value.typeName)
        case "dyn": return value
        case "string":
            if case .timestamp(let seconds, let nanoseconds) = value {
                return .string(CELTime.text(seconds, nanoseconds))
            }
            guard let text = value.text else { throw CELEvaluator.noOverload(name, [value]) }
            return .string(text)
        case "int": return .integer(try integer(value))
        case "uint":
            if case .unsigned = value { return value }
            if case .string(let text) = value, let number = UInt64(text) { return .unsigned(number) }
            let number = try integer(value)
            guard number >= 0 else { throw CELError(.evaluation, "unsigned integer overflow") }
            return .unsigned(UInt64(number))
        case "double":
            if case .string(let text) = value, let number = Double(text) { return .double(number) }
            guard let number = value.number else { throw CELEvaluator.noOverload(name, [value]) }
            return .double(number)
        case "bool":
            if case .bool = value { return value }
            if case .string(let text) = value, text == "true" || text == "false" { return .bool(text == "true") }
            throw CELEvaluator.noOverload(name, [value])
        case "bytes":
            if case .bytes = value { return value }
            guard case .string(let text) = value else { throw CELEvaluator.noOverload(name, [value]) }
            return .bytes(Array(text.utf8))
        case "duration", "timestamp": return try time(name, value)
        default: return nil
        }
    }

    private static func time(_ name: String, _ value: CELValue) throws(CELError) -> CELValue {
        guard case .string(let text) = value else {
            if case .duration = value, name == "duration" { return value }
            if case .timestamp = value, name == "timestamp" { return value }
            if case .integer(let seconds) = value, name == "timestamp" {
                guard CELTime.isInRange(seconds) else { throw CELError(.evaluation, "timestamp overflow") }
                return .timestamp(seconds, 0)
            }
            throw CELEvaluator.noOverload(name, [value])
        }
        if name == "duration" {
            guard let duration = CELTime.duration(text) else {
                throw CELError(.evaluation, "invalid duration \"\(text)\"")
            }
            return .duration(duration)
        }
        guard let (seconds, nanoseconds) = CELTime.timestamp(text) else {
            throw CELError(.evaluation, "invalid timestamp \"\(text)\"")
        }
        return .timestamp(seconds, nanoseconds)
    }

    private static func integer(_ value: CELValue) throws(CELError) -> Int64 {
        switch value {
        case .integer(let number): return number
        case .unsigned(let number): if let exact = Int64(exactly: number) { return exact }
        case .double(let number): if abs(number) < 9.2e18 { return Int64(number) }
        case .string(let text): if let number = Int64(text) { return number }
        case .timestamp(let seconds, _): return seconds
        case .duration(let duration):
            let (seconds, attoseconds) = duration.components
            let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
            if !overflow { return nanoseconds &+ attoseconds / 1_000_000_000 }
        default: throw CELEvaluator.noOverload("int", [value])
        }
        throw CELError(.evaluation, "integer overflow")
    }

    // MARK: - Optionals

    private static func optional(_ name: String, _ values: [CELValue]) -> CELValue? {
        switch (name, values.count) {
        case ("optional.none", 0): .optional(nil)
        case ("optional.of", 1): .optional(values[0])
        case ("optional.ofNonZeroValue", 1): .optional(values[0].isZero ? nil : values[0])
        default: nil
        }
    }

    private static func optionalMember(_ name: String, _ value: CELValue, _ count: Int) throws(CELError) -> CELValue? {
        guard case .optional(let inner) = value, count == 1 else { return nil }
        switch name {
        case "hasValue": return .bool(inner != nil)
        case "value":
            guard let inner else { throw CELError(.evaluation, "optional.none() dereference") }
            return inner
        default: return nil
        }
    }

    // MARK: - Strings

    private static func string(_ name: String, _ text: String, _ rest: [CELValue]) throws(CELError) -> CELValue? {
        if rest.count == 1, case .string(let other) = rest[0], let result = try pair(name, text, other) {
            return result
        }
        switch (name, rest.count) {
        case ("format", 1):
            guard let values = rest[0].elements else { return nil }
            return .string(try CELFormat.text(text, values))
        case ("lowerAscii", 0): return .string(mapped(text) { (65...90).contains($0) ? $0 + 32 : $0 })
        case ("upperAscii", 0): return .string(mapped(text) { (97...122).contains($0) ? $0 - 32 : $0 })
        case ("trim", 0): return .string(trimmed(text))
        case ("charAt", 1):
            let scalars = Array(text.unicodeScalars)
            guard case .integer(let position) = rest[0], let index = Int(exactly: position),
                (0...scalars.count).contains(index)
            else { throw CELError(.evaluation, "index out of range") }
            return .string(index == scalars.count ? "" : String(Character(scalars[index])))
        case ("substring", 1), ("substring", 2): return try substring(text, rest)
        case ("replace", 2), ("replace", 3):
            guard case .string(let old) = rest[0], case .string(let new) = rest[1] else { return nil }
            return .string(replaced(text, old, new, limit: rest.count == 3 ? rest[2].limit : nil))
        case ("split", 2):
            guard case .string(let separator) = rest[0], let limit = rest[1].limit else { return nil }
            if limit == 0 { return .list([]) }
            let parts = parts(of: text, separatedBy: separator, limit: limit < 0 ? nil : limit)
            return .list(parts.map { .string($0) })
        case ("findAll", 2):
            guard case .string(let pattern) = rest[0], let limit = rest[1].limit else { return nil }
            return try found(name, text, pattern, limit: limit < 0 ? nil : limit)
        case ("indexOf", 2), ("lastIndexOf", 2):
            guard case .string(let wanted) = rest[0], case .integer(let offset) = rest[1] else { return nil }
            return .integer(try position(of: wanted, in: text, name, offset: offset))
        default: return nil
        }
    }

    private static func pair(_ name: String, _ text: String, _ other: String) throws(CELError) -> CELValue? {
        let bytes = Array(text.utf8)
        let wanted = Array(other.utf8)
        switch name {
        case "startsWith": return .bool(bytes.starts(with: wanted))
        case "endsWith":
            return .bool(bytes.count >= wanted.count && bytes[(bytes.count - wanted.count)...].elementsEqual(wanted))
        case "contains": return .bool(position(of: wanted, in: bytes, from: 0) != nil)
        case "matches":
            guard let pattern = Pattern.compiled(other) else { throw CELError(.unsupported, "pattern '\(other)'") }
            return .bool(pattern.matches(text))
        case "find", "findAll": return try found(name, text, other, limit: nil)
        case "indexOf":
            guard let found = position(of: wanted, in: bytes, from: 0) else { return .integer(-1) }
            return .integer(Int64(String(decoding: bytes[..<found], as: UTF8.self).unicodeScalars.count))
        case "lastIndexOf":
            var last = -1
            var start = 0
            while let found = position(of: wanted, in: bytes, from: start) {
                last = found
                start = found + 1
            }
            return .integer(last < 0 ? -1 : Int64(String(decoding: bytes[..<last], as: UTF8.self).unicodeScalars.count))
        case "split": return .list(parts(of: text, separatedBy: other).map { .string($0) })
        default: return nil
        }
    }

    private static func substring(_ text: String, _ rest: [CELValue]) throws(CELError) -> CELValue {
        let scalars = Array(text.unicodeScalars)
        guard case .integer(let first) = rest[0], let start = Int(exactly: first) else {
            throw CELEvaluator.noOverload("substring", rest)
        }
        var end = scalars.count
        if rest.count == 2 {
            guard case .integer(let last) = rest[1], let limit = Int(exactly: last) else {
                throw CELEvaluator.noOverload("substring", rest)
            }
            end = limit
        }
        guard start >= 0, start <= end, end <= scalars.count else { throw CELError(.evaluation, "index out of range") }
        var result = String.UnicodeScalarView()
        result.append(contentsOf: scalars[start..<end])
        return .string(String(result))
    }

    private static func mapped(_ text: String, _ transform: (UInt8) -> UInt8) -> String {
        String(decoding: text.utf8.map(transform), as: UTF8.self)
    }

    private static func trimmed(_ text: String) -> String {
        let scalars = text.unicodeScalars
        let isSpace = { (scalar: Unicode.Scalar) in scalar.properties.isWhitespace }
        let start = scalars.firstIndex { !isSpace($0) } ?? scalars.endIndex
        let end = scalars.lastIndex { !isSpace($0) }.map { scalars.index(after: $0) } ?? start
        return String(scalars[start..<end])
    }

    private static func position(of wanted: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        if wanted.isEmpty { return start <= bytes.count ? start : nil }
        var position = start
        while position + wanted.count <= bytes.count {
            if bytes[position] == wanted[0], bytes[position..<position + wanted.count].elementsEqual(wanted) {
                return position
            }
            position += 1
        }
        return nil
    }

    private static func position(
        of wanted: String, in text: String, _ name: String, offset: Int64
    ) throws(CELError) -> Int64 {
        let scalars = Array(text.unicodeScalars)
        let wanted = Array(wanted.unicodeScalars)
        guard let offset = Int(exactly: offset), offset >= 0, offset < scalars.count || wanted.isEmpty else {
            throw CELError(.evaluation, "index out of range: \(offset)")
        }
        if wanted.isEmpty { return Int64(min(offset, scalars.count)) }
        guard wanted.count <= scalars.count else { return -1 }
        let last = scalars.count - wanted.count
        let starts = name == "indexOf" ? Array(offset...max(offset, last)) : (0...min(offset, last)).reversed()
        for start in starts where start <= last {
            if scalars[start..<start + wanted.count].elementsEqual(wanted) { return Int64(start) }
        }
        return -1
    }

    /// What a pattern finds.
    private static func found(
        _ name: String, _ text: String, _ pattern: String, limit: Int?
    ) throws(CELError) -> CELValue {
        guard let compiled = Pattern.compiled(pattern) else { throw CELError(.unsupported, "pattern '\(pattern)'") }
        let found = compiled.matches(in: text, limit: name == "find" ? 1 : limit ?? .max)
        return name == "find" ? .string(found.first ?? "") : .list(found.map { .string($0) })
    }

    /// At most `limit` times; a negative one is none.
    private static func replaced(_ text: String, _ old: String, _ new: String, limit: Int?) -> String {
        let limit = limit.map { $0 < 0 ? Int.max : $0 } ?? .max
        if limit == 0 { return text }
        if old.isEmpty {
            // Before each character, and at the end.
            var result = ""
            var left = limit
            for scalar in text.unicodeScalars {
                if left > 0 { result += new }
                left -= left > 0 ? 1 : 0
                result.unicodeScalars.append(scalar)
            }
            return left > 0 ? result + new : result
        }
        let (most, overflow) = limit.addingReportingOverflow(1)
        return parts(of: text, separatedBy: old, limit: overflow ? nil : most).joined(separator: new)
    }

    private static func parts(of text: String, separatedBy separator: String, limit: Int? = nil) -> [String] {
        let limit = limit ?? .max
        if separator.isEmpty {
            let scalars = text.unicodeScalars.map { String(Character($0)) }
            guard scalars.count > limit else { return scalars }
            return scalars.prefix(limit - 1) + [scalars[(limit - 1)...].joined()]
        }
        let bytes = Array(text.utf8)
        let wanted = Array(separator.utf8)
        var parts: [String] = []
        var start = 0
        while parts.count < limit - 1, let found = position(of: wanted, in: bytes, from: start) {
            parts.append(String(decoding: bytes[start..<found], as: UTF8.self))
            start = found + wanted.count
        }
        parts.append(String(decoding: bytes[start...], as: UTF8.self))
        return parts
    }
}

extension CELValue {
    /// Whether it is empty, zero or nothing.
    fileprivate var isZero: Bool {
        switch self {
        case .null: true
        case .bool(let holds): !holds
        case .duration(let duration): duration == .zero
        case .optional(let inner): inner == nil
        default: number.map { $0 == 0 } ?? (count == 0)
        }
    }

    /// How often something is done.
    fileprivate var limit: Int? { if case .integer(let number) = self { Int(clamping: number) } else { nil } }
}
