/// A word of a rule.
enum CELToken: Equatable {
    case name(String)
    case string(String)
    case bytes([UInt8])
    /// Without its sign, at most 2⁶³.
    case integer(UInt64)
    case unsigned(UInt64)
    case double(Double)
    case symbol(String)
    case end
}

/// A word and where it stands, in bytes.
struct CELLexeme {
    var token: CELToken
    var start: Int
    var end: Int
}

/// Splits a rule into words.
struct CELLexer {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    static func lexemes(of text: String) throws(CELError) -> [CELLexeme] {
        if text.utf8.count > CELLimits.expressionBytes {
            throw CELError(.syntax, "the expression is longer than \(CELLimits.expressionBytes) bytes")
        }
        var lexer = CELLexer(text)
        var lexemes: [CELLexeme] = []
        while true {
            lexer.skipSpace()
            let start = lexer.position
            let token: CELToken
            do { token = try lexer.next() } catch { throw error.at(start) }
            lexemes.append(CELLexeme(token: token, start: start, end: lexer.position))
            if token == .end { return lexemes }
        }
    }

    private func byte(_ offset: Int = 0) -> UInt8 { position + offset < bytes.count ? bytes[position + offset] : 0 }

    private mutating func next() throws(CELError) -> CELToken {
        guard position < bytes.count else { return .end }
        let first = byte()
        if Self.isDigit(first) || first == UInt8(ascii: ".") && Self.isDigit(byte(1)) { return try number() }
        if let literal = try stringLiteral() { return literal }
        if Self.isLetter(first) { return .name(word()) }
        for symbol in ["==", "!=", "<=", ">=", "&&", "||"] where bytes[position...].starts(with: symbol.utf8) {
            position += 2
            return .symbol(symbol)
        }
        guard "+-*/%!<>?:.,()[]{}".utf8.contains(first) else {
            throw CELError(.syntax, "Syntax error: token recognition error at: '\(Self.shown(bytes[position...]))'")
        }
        position += 1
        return .symbol(String(decoding: [first], as: UTF8.self))
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            if [9, 10, 12, 13, 32].contains(byte()) {
                position += 1
            } else if byte() == UInt8(ascii: "/"), byte(1) == UInt8(ascii: "/") {
                while position < bytes.count, byte() != 10 { position += 1 }
            } else {
                return
            }
        }
    }

    /// The first character, for a message.
    private static func shown(_ rest: ArraySlice<UInt8>) -> String {
        String(String(decoding: rest.prefix(4), as: UTF8.self).prefix(1))
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool {
        (97...122).contains(byte) || (65...90).contains(byte) || byte == UInt8(ascii: "_")
    }

    private mutating func word() -> String {
        let start = position
        while Self.isLetter(byte()) || Self.isDigit(byte()) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func number() throws(CELError) -> CELToken {
        let start = position
        if byte() == UInt8(ascii: "0"), byte(1) | 0x20 == UInt8(ascii: "x") {
            position += 2
            let digits = word()
            if digits.hasSuffix("u") || digits.hasSuffix("U") {
                guard let value = UInt64(digits.dropLast(), radix: 16) else {
                    throw CELError(.syntax, "invalid uint literal")
                }
                return .unsigned(value)
            }
            guard let value = UInt64(digits, radix: 16), value <= 1 << 63 else {
                throw CELError(.syntax, "invalid int literal")
            }
            return .integer(value)
        }
        while Self.isDigit(byte()) { position += 1 }
        var isFloat = false
        if byte() == UInt8(ascii: "."), Self.isDigit(byte(1)) {
            isFloat = true
            position += 1
            while Self.isDigit(byte()) { position += 1 }
        }
        if byte() | 0x20 == UInt8(ascii: "e") {
            isFloat = true
            position += 1
            if byte() == UInt8(ascii: "+") || byte() == UInt8(ascii: "-") { position += 1 }
            while Self.isDigit(byte()) { position += 1 }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isFloat {
            guard let value = Double(text) else { throw CELError(.syntax, "invalid double literal") }
            return .double(value)
        }
        if byte() | 0x20 == UInt8(ascii: "u") {
            position += 1
            guard let value = UInt64(text) else { throw CELError(.syntax, "invalid uint literal") }
            return .unsigned(value)
        }
        if let value = UInt64(text), value <= 1 << 63 { return .integer(value) }
        throw CELError(.syntax, "invalid int literal")
    }

    /// A quoted literal with its prefixes; `nil`, and nothing read, where there is none.
    private mutating func stringLiteral() throws(CELError) -> CELToken? {
        var offset = 0
        var isRaw = false
        var isBytes = false
        while offset < 2 {
            let letter = byte(offset) | 0x20
            if letter == UInt8(ascii: "r"), !isRaw {
                isRaw = true
            } else if letter == UInt8(ascii: "b"), !isBytes {
                isBytes = true
            } else {
                break
            }
            offset += 1
        }
        let quote = byte(offset)
        guard quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else { return nil }
        position += offset
        let isTriple = byte(1) == quote && byte(2) == quote
        position += isTriple ? 3 : 1
        var content: [UInt8] = []
        while true {
            guard position < bytes.count, isTriple || byte() != 10 else {
                throw CELError(.syntax, "a string is not closed")
            }
            if byte() == quote, !isTriple || byte(1) == quote && byte(2) == quote {
                position += isTriple ? 3 : 1
                break
            }
            if byte() == UInt8(ascii: "\\"), !isRaw {
                position += 1
                content += try escape(isBytes: isBytes)
            } else {
                content.append(byte())
                position += 1
            }
        }
        return isBytes ? .bytes(content) : .string(String(decoding: content, as: UTF8.self))
    }

    private mutating func escape(isBytes: Bool) throws(CELError) -> [UInt8] {
        let letter = byte()
        position += 1
        switch letter {
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "a"): return [7]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "v"): return [11]
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"), UInt8(ascii: "?"):
            return [letter]
        case UInt8(ascii: "x"), UInt8(ascii: "X"): return try scalar(digits: 2, radix: 16, isBytes: isBytes)
        case UInt8(ascii: "u"): return try scalar(digits: 4, radix: 16, isBytes: false)
        case UInt8(ascii: "U"): return try scalar(digits: 8, radix: 16, isBytes: false)
        case UInt8(ascii: "0")...UInt8(ascii: "3"):
            position -= 1
            return try scalar(digits: 3, radix: 8, isBytes: isBytes)
        default: throw CELError(.syntax, "a string has an unknown escape")
        }
    }

    private mutating func scalar(digits: Int, radix: Int, isBytes: Bool) throws(CELError) -> [UInt8] {
        let end = min(position + digits, bytes.count)
        let text = String(decoding: bytes[position..<end], as: UTF8.self)
        position = end
        guard let value = UInt32(text, radix: radix) else { throw CELError(.syntax, "a string has a bad escape") }
        if isBytes { return [UInt8(truncatingIfNeeded: value)] }
        guard let scalar = Unicode.Scalar(value) else { throw CELError(.syntax, "a string has a bad escape") }
        return Array(String(Character(scalar)).utf8)
    }
}
