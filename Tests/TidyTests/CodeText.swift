/// Swift source with the insides of comments and string literals replaced by blanks, so that rules about code can look
/// at lines. Knows line and nested block comments, strings of one and several lines, raw ones, and interpolations.
struct CodeText {
    private let source: [UInt8]
    private var result: [UInt8]
    private var position = 0

    static func blanked(_ source: [UInt8]) -> [UInt8] {
        var text = CodeText(source: source, result: source)
        text.code(until: nil)
        return text.result
    }

    private init(source: [UInt8], result: [UInt8]) {
        self.source = source
        self.result = result
    }

    private func isNext(_ text: String) -> Bool {
        guard position < source.count, source[position] == text.utf8.first else { return false }
        return isWholeNext(text)
    }

    private func isWholeNext(_ text: String) -> Bool {
        position + text.utf8.count <= source.count
            && source[position..<position + text.utf8.count].elementsEqual(text.utf8)
    }

    private mutating func blank(_ count: Int) {
        for index in position..<min(position + count, source.count) where source[index] != 0x0A { result[index] = 0x20 }
        position = min(position + count, source.count)
    }

    /// Walks over code up to the parenthesis that closes an interpolation, or to the end.
    private mutating func code(until closing: UInt8?) {
        var depth = 0
        while position < source.count {
            if isNext("//") {
                while position < source.count, source[position] != 0x0A { blank(1) }
            } else if isNext("/*") {
                blockComment()
            } else if source[position] == UInt8(ascii: "\"") || isRawString {
                string()
            } else {
                if source[position] == UInt8(ascii: "(") { depth += 1 }
                if source[position] == UInt8(ascii: ")") {
                    if closing != nil, depth == 0 { return }
                    depth -= 1
                }
                position += 1
            }
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if isNext("/*") {
                depth += 1
                blank(2)
            } else if isNext("*/") {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && position < source.count
    }

    private var isRawString: Bool {
        guard source[position] == UInt8(ascii: "#") else { return false }
        return source[position...].first { $0 != UInt8(ascii: "#") } == UInt8(ascii: "\"")
    }

    private mutating func string() {
        var hashes = ""
        while isNext("#") {
            hashes += "#"
            blank(1)
        }
        let quote = isNext("\"\"\"") ? "\"\"\"" : "\""
        blank(quote.utf8.count)
        while position < source.count {
            if isNext(quote + hashes) { return blank(quote.utf8.count + hashes.utf8.count) }
            if isNext("\\\(hashes)(") {
                blank(2 + hashes.utf8.count)
                code(until: UInt8(ascii: ")"))
                blank(1)
            } else if isNext("\\\(hashes)") {
                blank(2 + hashes.utf8.count)
            } else if quote == "\"", source[position] == 0x0A {
                return  // not a string after all; the compiler will say so
            } else {
                blank(1)
            }
        }
    }
}
