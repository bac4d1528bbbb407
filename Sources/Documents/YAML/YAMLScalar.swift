/// What a YAML scalar means, exactly as kubectl reads it: go-yaml 2's mix of YAML 1.1 and 1.2. `yes`, `on`, `y` are
/// true; `012` and `0o12` are ten; `1_000` is a thousand; `12:30` and dates are strings.
///
/// The table in the tests was taken from kubectl 1.32 itself.
enum YAMLScalar: Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Above `Int64.max`.
    case unsigned(UInt64)
    case float(Double)
    /// A string that other readers take for a time; it stays a string, but is written in quotes.
    case timestamp(String)
    case string(String)

    /// The meaning of a scalar without quotes and without a tag.
    init(resolving text: String) {
        let bytes = Array(text.utf8)
        guard let first = bytes.first else {
            self = .null
            return
        }
        switch first {
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            self = Self.word(text) ?? Self.number(bytes, text)
        case UInt8(ascii: "."):
            let isNumber = bytes.count > 1 && Self.isFloat(bytes[...])
            self = Self.word(text) ?? (isNumber ? Self.finite(text) : nil) ?? .string(text)
        case UInt8(ascii: "y"), UInt8(ascii: "Y"), UInt8(ascii: "n"), UInt8(ascii: "N"), UInt8(ascii: "t"),
            UInt8(ascii: "T"), UInt8(ascii: "f"), UInt8(ascii: "F"), UInt8(ascii: "o"), UInt8(ascii: "O"),
            UInt8(ascii: "~"):
            self = Self.word(text) ?? .string(text)
        default: self = .string(text)
        }
    }

    private static func word(_ text: String) -> YAMLScalar? {
        switch text {
        case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": .bool(true)
        case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": .bool(false)
        case "~", "null", "Null", "NULL": .null
        case ".nan", ".NaN", ".NAN": .float(.nan)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": .float(.infinity)
        case "-.inf", "-.Inf", "-.INF": .float(-.infinity)
        default: nil
        }
    }

    private static func number(_ bytes: [UInt8], _ text: String) -> YAMLScalar {
        if isTimestamp(text) { return .timestamp(text) }
        let plain = bytes.contains(UInt8(ascii: "_")) ? bytes.filter { $0 != UInt8(ascii: "_") } : bytes
        return integer(plain[...]) ?? (isFloat(plain[...]) ? finite(String(decoding: plain, as: UTF8.self)) : nil)
            ?? .string(text)
    }

    private static func finite(_ text: String) -> YAMLScalar? {
        guard let value = Double(text), value.isFinite else { return nil }
        return .float(value)
    }

    /// A sign, a base prefix (`0x`, `0o`, `0b`, or `0` for octal) and digits. `nil` beyond 64 bits.
    private static func integer(_ plain: ArraySlice<UInt8>) -> YAMLScalar? {
        var digits = plain
        let sign = digits.first
        let hasSign = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
        if hasSign { digits = digits.dropFirst() }
        var base: UInt64 = 10
        if digits.first == UInt8(ascii: "0"), digits.count > 1 {
            switch digits[digits.startIndex + 1] | 0x20 {
            case UInt8(ascii: "x"): (base, digits) = (16, digits.dropFirst(2))
            case UInt8(ascii: "o"): (base, digits) = (8, digits.dropFirst(2))
            case UInt8(ascii: "b"): (base, digits) = (2, digits.dropFirst(2))
            default: (base, digits) = (8, digits.dropFirst())
            }
        }
        guard let magnitude = magnitude(digits, base) else { return nil }
        if sign == UInt8(ascii: "-") {
            return magnitude <= UInt64(Int64.max) + 1 ? .integer(Int64(truncatingIfNeeded: 0 &- magnitude)) : nil
        }
        if let value = Int64(exactly: magnitude) { return .integer(value) }
        return hasSign ? nil : .unsigned(magnitude)
    }

    private static func magnitude(_ digits: ArraySlice<UInt8>, _ base: UInt64) -> UInt64? {
        if digits.isEmpty { return nil }
        var value: UInt64 = 0
        for byte in digits {
            let digit: UInt64
            if byte.isDigit {
                digit = UInt64(byte - UInt8(ascii: "0"))
            } else if byte.isLetter {
                digit = UInt64((byte | 0x20) - UInt8(ascii: "a")) + 10
            } else {
                return nil
            }
            let (product, overflow) = value.multipliedReportingOverflow(by: base)
            let (sum, carry) = product.addingReportingOverflow(digit)
            if digit >= base || overflow || carry { return nil }
            value = sum
        }
        return value
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
    private static func isFloat(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        func takeDigits() -> Int {
            let count = rest.prefix(while: \.isDigit).count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let whole = takeDigits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            if takeDigits() == 0, whole == 0 { return false }
        } else if whole == 0 {
            return false
        }
        if let exponent = rest.first, exponent | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
            if takeDigits() == 0 { return false }
        }
        return rest.isEmpty
    }

    /// The four forms go-yaml takes for a time: a date; date and time by `T`, `t` (with a zone) or a space (without).
    private static func isTimestamp(_ text: String) -> Bool {
        var scanner = TextScanner(text)
        func oneOrTwo(_ range: ClosedRange<Int>) -> Bool {
            guard let value = scanner.digits(2) ?? scanner.digits(1) else { return false }
            return range.contains(value)
        }
        guard scanner.digits(4) != nil, scanner.take("-"), oneOrTwo(1...12), scanner.take("-"), oneOrTwo(1...31) else {
            return false
        }
        if scanner.isAtEnd { return true }
        let hasZone = scanner.take("T") || scanner.take("t")
        guard hasZone || scanner.take(" "), oneOrTwo(0...23), scanner.take(":"), oneOrTwo(0...59), scanner.take(":"),
            oneOrTwo(0...59)
        else { return false }
        if scanner.take("."), scanner.take(while: \.isDigit).isEmpty { return false }
        if hasZone, !scanner.take("Z") {
            guard scanner.take("+") || scanner.take("-"), let hours = scanner.digits(2), scanner.take(":"),
                let minutes = scanner.digits(2), hours <= 24, minutes < 60
            else { return false }
        }
        return scanner.isAtEnd
    }
}

extension YAMLScalar {
    /// The JSON value; `nil` for infinities and NaN, which JSON has not. A float without a fraction becomes an
    /// integer, as it does on kubectl's way through JSON.
    var json: JSON? {
        switch self {
        case .null: return .null
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(value)
        case .unsigned(let value): return .number(Double(value))
        case .timestamp(let text), .string(let text): return .string(text)
        case .float(let value):
            guard value.isFinite else { return nil }
            if let integer = Self.integer(spelledBy: value) { return .integer(integer) }
            return .number(value)
        }
    }

    /// The text of a mapping key; `nil` for null and what JSON has not.
    var key: String? {
        switch self {
        case .null: nil
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .unsigned(let value): String(value)
        case .timestamp(let text), .string(let text): text
        case .float(let value): value.isFinite ? Self.text(value) : nil
        }
    }

    /// What the tags `!!int`, `!!float`, `!!bool`, `!!null` call this value.
    var tagName: String {
        switch self {
        case .null: "null"
        case .bool: "bool"
        case .integer, .unsigned: "int"
        case .float: "float"
        case .timestamp: "timestamp"
        case .string: "str"
        }
    }

    /// The shortest digits that stand for `value`, without an exponent, where they spell an integer: Go's JSON writes
    /// floats below 10²¹ so, and kubectl reads them back as integers.
    static func integer(spelledBy value: Double) -> Int64? {
        guard value == value.rounded(.towardZero), abs(value) < 9.3e18 else { return nil }
        if abs(value) < 9_007_199_254_740_992 { return Int64(value) }
        let (digits, exponent) = decimal(abs(value))
        let text = digits + String(repeating: "0", count: max(0, exponent + 1 - digits.utf8.count))
        return Int64(value < 0 ? "-\(text)" : text)
    }

    /// Go's `%g` with the shortest precision: with an exponent below 10⁻⁴ and from 10⁶ on.
    static func text(_ value: Double) -> String {
        if value == 0 { return value.sign == .minus ? "-0" : "0" }
        let (digits, exponent) = decimal(abs(value))
        let sign = value < 0 ? "-" : ""
        let count = digits.utf8.count
        if exponent < -4 || exponent >= 6 { return sign + scientific(digits, exponent) }
        if exponent < 0 { return "\(sign)0.\(String(repeating: "0", count: -exponent - 1))\(digits)" }
        if count <= exponent + 1 { return sign + digits + String(repeating: "0", count: exponent + 1 - count) }
        return "\(sign)\(digits.prefix(exponent + 1)).\(digits.dropFirst(exponent + 1))"
    }

    private static func scientific(_ digits: String, _ exponent: Int) -> String {
        let magnitude = abs(exponent)
        let mantissa = digits.utf8.count == 1 ? digits : "\(digits.prefix(1)).\(digits.dropFirst())"
        return "\(mantissa)e\(exponent < 0 ? "-" : "+")\(magnitude < 10 ? "0" : "")\(magnitude)"
    }

    /// The shortest digits and the power of ten of the first one.
    private static func decimal(_ value: Double) -> (digits: String, exponent: Int) {
        let parts = value.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let whole = mantissa[0]
        let fraction = mantissa.count > 1 ? mantissa[1] : ""
        var digits = (whole + fraction)[...]
        var exponent = (parts.count > 1 ? Int(parts[1]) ?? 0 : 0) + whole.utf8.count - 1
        while digits.first == "0", digits.utf8.count > 1 { (digits, exponent) = (digits.dropFirst(), exponent - 1) }
        while digits.last == "0", digits.utf8.count > 1 { digits = digits.dropLast() }
        return (String(digits), exponent)
    }
}
