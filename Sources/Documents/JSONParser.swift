/// Why bytes are not the JSON we accept, and where.
package struct JSONParseError: Error, Equatable, CustomStringConvertible {
    /// What was expected and what was found.
    package let message: String
    /// Bytes from the start of the input.
    package let offset: Int
    /// Both count from 1; a column is a byte.
    package let line: Int
    package let column: Int
    /// What the reader was about to read, as Go says it, and the byte it found there; no byte at the end.
    package var context = ""
    package var found: UInt8?

    /// The error as Go's `encoding/json` words it, where it has words for it.
    package var goDescription: String {
        guard let found else {
            return message.hasSuffix("found the end") ? "unexpected end of JSON input" : description
        }
        if context.isEmpty { return description }
        let scalar = Unicode.Scalar(found)
        var text = String(Character(scalar))
        if found == UInt8(ascii: "'") { text = "\\'" }
        if found < 0x20 || found > 0x7E { text = "\\u00" + (found < 16 ? "0" : "") + String(found, radix: 16) }
        return "invalid character '\(text)' \(context)"
    }

    package var description: String { "line \(line), column \(column): \(message)" }
}

/// Reads one JSON value (RFC 8259) from UTF-8 bytes. Never traps, whatever the bytes are.
///
/// Refused beyond the grammar: invalid UTF-8, lone surrogates, nesting or size beyond `DocumentLimits`, numbers that
/// are not finite. Where an object has a name twice the last value wins, as in Go, and the path is reported in
/// `duplicates`.
package struct JSONParser {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var depth = 0
    private let maximumDepth: Int

    /// Field paths (`spec.ports[0].name`) of names that an object holds more than once.
    package private(set) var duplicates: [String] = []

    private init(_ bytes: UnsafeBufferPointer<UInt8>, maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    /// The value in `bytes`, which must hold nothing else but white space.
    package static func parse(
        _ bytes: some Collection<UInt8>,
        maximumBytes: Int = DocumentLimits.documentBytes,
        maximumDepth: Int = DocumentLimits.nestingDepth
    ) throws(JSONParseError) -> JSON {
        try parseReportingDuplicates(bytes, maximumBytes: maximumBytes, maximumDepth: maximumDepth).value
    }

    /// As `parse`, with the field paths of duplicate names.
    package static func parseReportingDuplicates(
        _ bytes: some Collection<UInt8>,
        maximumBytes: Int = DocumentLimits.documentBytes,
        maximumDepth: Int = DocumentLimits.nestingDepth
    ) throws(JSONParseError) -> (value: JSON, duplicates: [String]) {
        if bytes.count > maximumBytes {
            throw JSONParseError(
                message: "expected at most \(maximumBytes) bytes, found \(bytes.count)", offset: 0, line: 1, column: 1)
        }
        let result =
            bytes.withContiguousStorageIfAvailable { run($0, maximumDepth) }
            ?? Array(bytes).withUnsafeBufferPointer { run($0, maximumDepth) }
        return try result.get()
    }

    private static func run(
        _ bytes: UnsafeBufferPointer<UInt8>, _ maximumDepth: Int
    ) -> Result<(value: JSON, duplicates: [String]), JSONParseError> {
        var parser = JSONParser(bytes, maximumDepth: maximumDepth)
        do throws(JSONParseError) {
            let value = try parser.wholeDocument()
            return .success((value, parser.duplicates))
        } catch {
            return .failure(error)
        }
    }

    private mutating func wholeDocument() throws(JSONParseError) -> JSON {
        skipSpace()
        let value = try parseValue()
        skipSpace()
        if position < bytes.count {
            throw error("expected the end of the document, found \(found())", "after top-level value")
        }
        return value
    }

    private mutating func parseValue() throws(JSONParseError) -> JSON {
        guard position < bytes.count else { throw error("expected a value, found the end") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["): return try parseArray()
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw error("expected a value, found \(found())", "looking for beginning of value")
        }
    }

    private mutating func parseObject() throws(JSONParseError) -> JSON {
        try enter()
        position += 1
        var object = JSONObject()
        skipSpace()
        if take(UInt8(ascii: "}")) {
            depth -= 1
            return .object(object)
        }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw error(
                    "expected a member name in quotes, found \(found())", "looking for beginning of object key string")
            }
            let key = try parseString()
            skipSpace()
            guard take(UInt8(ascii: ":")) else {
                throw error("expected \":\" after a member name, found \(found())", "after object key")
            }
            skipSpace()
            let known = duplicates.count
            let value = try parseValue()
            if duplicates.count > known { nameDuplicates(from: known, below: key) }
            if !object.append(key, value) {
                if duplicates.count < DocumentLimits.reportedDuplicates { duplicates.append(key) }
                object[key] = value
            }
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "}")) else {
                throw error("expected \",\" or \"}\" in an object, found \(found())", "after object key:value pair")
            }
            depth -= 1
            return .object(object)
        }
    }

    private mutating func parseArray() throws(JSONParseError) -> JSON {
        try enter()
        position += 1
        var elements: [JSON] = []
        skipSpace()
        if take(UInt8(ascii: "]")) {
            depth -= 1
            return .array(elements)
        }
        while true {
            skipSpace()
            let known = duplicates.count
            elements.append(try parseValue())
            if duplicates.count > known { nameDuplicates(from: known, below: "[\(elements.count - 1)]") }
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "]")) else {
                throw error("expected \",\" or \"]\" in an array, found \(found())", "after array element")
            }
            depth -= 1
            return .array(elements)
        }
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSON) throws(JSONParseError) -> JSON {
        let end = position + word.utf8CodeUnitCount
        let matches = end <= bytes.count && word.withUTF8Buffer { $0.elementsEqual(bytes[position..<end]) }
        guard matches else { throw error("expected \(word), found \(found())") }
        position = end
        return value
    }

    private mutating func parseNumber() throws(JSONParseError) -> JSON {
        let start = position
        _ = take(UInt8(ascii: "-"))
        let integerStart = position
        try digits()
        if position - integerStart > 1, bytes[integerStart] == UInt8(ascii: "0") {
            position = integerStart
            throw error("expected a number without leading zeros")
        }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else {
            position = start
            throw error("expected a number that a 64-bit float can hold, found \(text.prefix(40))")
        }
        return .number(value)
    }

    private mutating func digits() throws(JSONParseError) {
        let start = position
        while position < bytes.count, bytes[position] >= UInt8(ascii: "0"), bytes[position] <= UInt8(ascii: "9") {
            position += 1
        }
        if position == start { throw error("expected a digit, found \(found())") }
    }

    /// Reads a string from its opening quote to behind its closing one.
    private mutating func parseString() throws(JSONParseError) -> String {
        position += 1
        let start = position
        var seen: UInt8 = 0
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let text = bytes[start..<position]
                let string = seen < 0x80 ? Self.string(ascii: text) : try validated(text, at: start)
                position += 1
                return string
            }
            seen |= byte
            if byte == UInt8(ascii: "\\") { return try parseEscapedString(from: start) }
            if byte < 0x20 { throw error("expected no control character in a string, found \(found())") }
            position += 1
        }
        throw error("expected the closing quote of a string, found the end")
    }

    /// What nearly all strings are, without the search for what is wrong with them.
    private static func string(ascii text: Slice<UnsafeBufferPointer<UInt8>>) -> String {
        String(unsafeUninitializedCapacity: text.count) { storage in
            UnsafeMutableRawBufferPointer(storage).copyMemory(
                from: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: text)))
            return text.count
        }
    }

    private mutating func parseEscapedString(from start: Int) throws(JSONParseError) -> String {
        var text = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                let result = try validated(text[...], at: start)
                position += 1
                return result
            case UInt8(ascii: "\\"):
                position += 1
                try parseEscape(into: &text)
            case 0..<0x20:
                throw error("expected no control character in a string, found \(found())")
            default:
                text.append(byte)
                position += 1
            }
        }
        throw error("expected the closing quote of a string, found the end")
    }

    private mutating func parseEscape(into text: inout [UInt8]) throws(JSONParseError) {
        guard position < bytes.count else { throw error("expected an escape, found the end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: Array(String(Character(try parseUnicodeEscape())).utf8))
        default:
            position -= 1
            throw error("expected one of \" \\ / b f n r t u after a backslash, found \(found())")
        }
    }

    private mutating func parseUnicodeEscape() throws(JSONParseError) -> Unicode.Scalar {
        let first = try parseHexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw error("expected a surrogate pair, found half of one")
        }
        let second = try parseHexadecimal()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw error("expected the second half of a surrogate pair") }
        return scalar
    }

    private mutating func parseHexadecimal() throws(JSONParseError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw error("expected four hexadecimal digits, found the end") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue, bytes[position] < 0x80 else {
                throw error("expected a hexadecimal digit, found \(found())")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    private func validated(_ text: some Collection<UInt8>, at offset: Int) throws(JSONParseError) -> String {
        guard let string = String(validating: text, as: UTF8.self) else {
            throw error("expected UTF-8, found bytes that are not", at: offset)
        }
        return string
    }

    private mutating func enter() throws(JSONParseError) {
        depth += 1
        if depth > maximumDepth { throw error("expected at most \(maximumDepth) levels of nesting") }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private func found() -> String {
        guard position < bytes.count else { return "the end" }
        let byte = bytes[position]
        return byte > 0x20 && byte < 0x7F ? "\"\(Character(Unicode.Scalar(byte)))\"" : "byte \(byte)"
    }

    private func error(_ message: String, _ context: String = "", at offset: Int? = nil) -> JSONParseError {
        let offset = offset ?? position
        let before = bytes[..<min(offset, bytes.count)]
        let line = before.count { $0 == 0x0A } + 1
        let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        return JSONParseError(
            message: message, offset: offset, line: line, column: offset - lineStart + 1, context: context,
            found: offset < bytes.count ? bytes[offset] : nil)
    }

    /// Puts `step` before the paths that were found inside it. Paths are made on the way back up, and only where there
    /// is a duplicate: noting every step on the way down costs more than the parse.
    private mutating func nameDuplicates(from start: Int, below step: String) {
        for position in start..<duplicates.count {
            let path = duplicates[position]
            duplicates[position] = path.hasPrefix("[") ? step + path : "\(step).\(path)"
        }
    }
}
