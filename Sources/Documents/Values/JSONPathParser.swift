/// Reads one JSONPath. Owned by `JSONPath.init(parsing:)`, gone with it.
struct JSONPathParser {
    private var scanner: TextScanner
    private let text: String
    /// `..` visits every value below, so a few of them in a row multiply: one is enough for any column.
    private var descents = 0

    init(text: String) {
        self.text = text
        scanner = TextScanner(text)
    }

    mutating func wholePath() throws(APIError) -> [JSONPath.Step] {
        if text.utf8.count > DocumentLimits.jsonPathBytes {
            throw error("expected at most \(DocumentLimits.jsonPathBytes) bytes")
        }
        scanner.skipSpace()
        let isBraced = scanner.take("{")
        _ = scanner.take("$")
        if let next = scanner.next, Self.isName(next), !isBraced {
            throw error("expected \".\" or \"[\", found \(scanner.found)")
        }
        let steps = try path(inFilter: false)
        if isBraced, !scanner.take("}") { throw error("expected \"}\", found \(scanner.found)") }
        scanner.skipSpace()
        if !scanner.isAtEnd { throw error("expected the end, found \(scanner.found)") }
        return steps
    }

    private mutating func path(inFilter: Bool) throws(APIError) -> [JSONPath.Step] {
        var steps: [JSONPath.Step] = []
        while true {
            if scanner.take("..") {
                descents += 1
                if descents > 1 { throw error("expected \"..\" once at most") }
                steps.append(.descend)
                if scanner.next != UInt8(ascii: "[") { steps.append(try name()) }
            } else if scanner.take(".") {
                if scanner.next == UInt8(ascii: "[") { continue }
                if scanner.isAtEnd || scanner.next == UInt8(ascii: "}") { return steps }
                steps.append(try name())
            } else if scanner.take("[") {
                steps.append(try bracket(inFilter: inFilter))
            } else {
                return steps
            }
        }
    }

    private mutating func name() throws(APIError) -> JSONPath.Step {
        if scanner.take("*") { return .every }
        var bytes: [UInt8] = []
        while let byte = scanner.next {
            if byte == UInt8(ascii: "\\"), let escaped = scanner.peek(1) {
                bytes.append(escaped)
                scanner.advance()
            } else if Self.isName(byte) {
                bytes.append(byte)
            } else {
                break
            }
            scanner.advance()
        }
        if bytes.isEmpty { throw error("expected a name, found \(scanner.found)") }
        return .member(String(decoding: bytes, as: UTF8.self))
    }

    private mutating func bracket(inFilter: Bool) throws(APIError) -> JSONPath.Step {
        scanner.skipSpace()
        let step: JSONPath.Step
        if scanner.take("*") {
            step = .every
        } else if scanner.take("?(") {
            if inFilter { throw error("expected no filter inside a filter") }
            step = try filter()
        } else if scanner.next == UInt8(ascii: "'") || scanner.next == UInt8(ascii: "\"") {
            var names = [try quoted()]
            scanner.skipSpace()
            while scanner.take(",") {
                scanner.skipSpace()
                let name = try quoted()
                if !names.contains(name) { names.append(name) }  // else a union of a union doubles at every step
                scanner.skipSpace()
            }
            step = names.count == 1 ? .member(names[0]) : .members(names)
        } else {
            step = try indexOrSlice()
        }
        scanner.skipSpace()
        guard scanner.take("]") else { throw error("expected \"]\", found \(scanner.found)") }
        return step
    }

    private mutating func indexOrSlice() throws(APIError) -> JSONPath.Step {
        let first = try integer()
        guard scanner.take(":") else {
            guard let first else { throw error("expected an index, a name in quotes, * or ?(, found \(scanner.found)") }
            return .index(first)
        }
        let last = try integer()
        let step = scanner.take(":") ? try integer() ?? 1 : 1
        if step < 1 { throw error("expected a step of at least 1, found \(step)") }
        return .slice(from: first, to: last, by: step)
    }

    private mutating func integer() throws(APIError) -> Int? {
        let isNegative = scanner.take("-")
        let digits = scanner.take { $0.isDigit }
        if digits.isEmpty && !isNegative { return nil }
        guard let value = Int32(digits) else { throw error("expected an index, found \(scanner.found)") }
        return Int(isNegative ? -value : value)
    }

    private mutating func filter() throws(APIError) -> JSONPath.Step {
        let left = try operand()
        scanner.skipSpace()
        var comparison: JSONPath.Comparison?
        for sign in JSONPath.Sign.allCases where takeSign(sign) {
            comparison = JSONPath.Comparison(sign: sign, operand: try operand())
            break
        }
        scanner.skipSpace()
        guard scanner.take(")") else { throw error("expected a comparison or \")\", found \(scanner.found)") }
        return .filter(left, comparison)
    }

    private mutating func takeSign(_ sign: JSONPath.Sign) -> Bool {
        switch sign {
        case .equal: scanner.take("==")
        case .notEqual: scanner.take("!=")
        case .lessOrEqual: scanner.take("<=")
        case .greaterOrEqual: scanner.take(">=")
        case .less: scanner.take("<")
        case .greater: scanner.take(">")
        }
    }

    private mutating func operand() throws(APIError) -> JSONPath.Operand {
        scanner.skipSpace()
        if scanner.take("@") { return .path(try path(inFilter: true)) }
        if scanner.next == UInt8(ascii: "'") || scanner.next == UInt8(ascii: "\"") {
            return .literal(.string(try quoted()))
        }
        let word = scanner.take { Self.isName($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "+") }
        switch word {
        case "true": return .literal(.bool(true))
        case "false": return .literal(.bool(false))
        case "null", "nil": return .literal(.null)
        default:
            if let integer = Int64(word) { return .literal(.integer(integer)) }
            if let number = Double(word), number.isFinite { return .literal(.number(number)) }
            throw error("expected @, a text in quotes or a number, found \(word.isEmpty ? scanner.found : word)")
        }
    }

    private mutating func quoted() throws(APIError) -> String {
        guard let quote = scanner.next, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
            throw error("expected a name in quotes, found \(scanner.found)")
        }
        scanner.advance()
        var bytes: [UInt8] = []
        while let byte = scanner.next {
            scanner.advance()
            if byte == quote { return String(decoding: bytes, as: UTF8.self) }
            if byte == UInt8(ascii: "\\"), let escaped = scanner.next {
                bytes.append(escaped)
                scanner.advance()
            } else {
                bytes.append(byte)
            }
        }
        throw error("expected the closing quote, found the end")
    }

    private static func isName(_ byte: UInt8) -> Bool {
        byte.isDigit || byte.isLetter || byte >= 0x80 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
            || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "$")
    }

    private func error(_ message: String) -> APIError {
        .badRequest("JSONPath \"\(text.prefix(100))\": \(message)")
    }
}
