internal import Documents

/// The functions of the rule language: those of the standard, of the strings extension, and of Kubernetes' lists.
/// A function that is not here is `unsupported`.
enum CELFunctions {
    static func call(_ name: String, isMethod: Bool, _ values: [CELValue]) throws(CELError) -> CELValue {
        if values.count == 1, let result = try conversion(name, values[0]) { return result }
        if let first = values.first {
            if let result = try collection(name, first, Array(values.dropFirst())) { return result }
            if case .string(let text) = first, isMethod, let result = try string(name, text, Array(values.dropFirst()))
            {
                return result
            }
        }
        if let result = try CELKubernetes.call(name, values) { return result }
        if name == "matches", values.count == 2 { throw CELEvaluator.noOverload(name, values) }
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
            guard let text = value.text else { throw CELEvaluator.noOverload(name, [value]) }
            return .string(text)
        case "int": return .integer(try integer(value))
        case "uint":
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
            guard case .string(let text) = value else { throw CELEvaluator.noOverload(name, [value]) }
            return .bytes(Array(text.utf8))
        case "duration", "timestamp": return try time(name, value)
        case "isIPv4":
            guard case .string(let text) = value else { return nil }
            return .bool(Formats.isIPv4(text))
        default: return nil
        }
    }

    private static func time(_ name: String, _ value: CELValue) throws(CELError) -> CELValue {
        guard case .string(let text) = value else {
            if case .duration = value, name == "duration" { return value }
            if case .timestamp = value, name == "timestamp" { return value }
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
        default: throw CELEvaluator.noOverload("int", [value])
        }
        throw CELError(.evaluation, "integer overflow")
    }

    // MARK: - Lists

    private static func collection(_ name: String, _ value: CELValue, _ rest: [CELValue]) throws(CELError)
        -> CELValue?
    {
        guard let items = value.elements else { return nil }
        switch (name, rest.count) {
        case ("sum", 0):
            guard var total = items.first else { return .integer(0) }
            for item in items.dropFirst() { total = try CELArithmetic.result("+", total, item) }
            return total
        case ("min", 0), ("max", 0):
            guard var best = items.first else { throw CELError(.evaluation, "\(name) called on empty list") }
            for item in items.dropFirst() {
                guard let order = item.order(best) else { throw CELEvaluator.noOverload(name, [item, best]) }
                if name == "min" ? order < 0 : order > 0 { best = item }
            }
            return best
        case ("isSorted", 0):
            for (left, right) in zip(items, items.dropFirst()) {
                guard let order = left.order(right) else { throw CELEvaluator.noOverload(name, [left, right]) }
                if order > 0 { return .bool(false) }
            }
            return .bool(true)
        case ("indexOf", 1): return .integer(Int64(items.firstIndex { $0.equals(rest[0]) } ?? -1))
        case ("lastIndexOf", 1): return .integer(Int64(items.lastIndex { $0.equals(rest[0]) } ?? -1))
        case ("join", 0), ("join", 1):
            var separator = ""
            if case .string(let text)? = rest.first { separator = text }
            var parts: [String] = []
            for item in items {
                guard case .string(let text) = item else { throw CELEvaluator.noOverload(name, [value]) }
                parts.append(text)
            }
            return .string(parts.joined(separator: separator))
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
        case ("reverse", 0): return .string(String(String.UnicodeScalarView(text.unicodeScalars.reversed())))
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
        case ("replace", 2):
            guard case .string(let old) = rest[0], case .string(let new) = rest[1] else { return nil }
            return .string(parts(of: text, separatedBy: old).joined(separator: new))
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

    private static func parts(of text: String, separatedBy separator: String) -> [String] {
        if separator.isEmpty { return text.unicodeScalars.map { String(Character($0)) } }
        let bytes = Array(text.utf8)
        let wanted = Array(separator.utf8)
        var parts: [String] = []
        var start = 0
        while let found = position(of: wanted, in: bytes, from: start) {
            parts.append(String(decoding: bytes[start..<found], as: UTF8.self))
            start = found + wanted.count
        }
        parts.append(String(decoding: bytes[start...], as: UTF8.self))
        return parts
    }
}
