/// A cursor over the bytes of a short text, for the small grammars of this module (selectors, paths, quantities).
/// Every read is bounds-checked; nothing here traps.
struct TextScanner {
    let bytes: [UInt8]
    private(set) var position = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    var isAtEnd: Bool { position >= bytes.count }
    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// The byte `distance` behind the next one.
    func peek(_ distance: Int) -> UInt8? {
        let index = position + distance
        return index < bytes.count ? bytes[index] : nil
    }

    mutating func advance() { if position < bytes.count { position += 1 } }

    /// Takes `text` whole or nothing of it.
    mutating func take(_ text: StaticString) -> Bool {
        let end = position + text.utf8CodeUnitCount
        guard end <= bytes.count, text.withUTF8Buffer({ $0.elementsEqual(bytes[position..<end]) }) else { return false }
        position = end
        return true
    }

    mutating func take(while isIncluded: (UInt8) -> Bool) -> String {
        let start = position
        while let next, isIncluded(next) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    mutating func skipSpace() {
        while let next, next == 0x20 || (0x09...0x0D).contains(next) { position += 1 }
    }

    /// Exactly `count` decimal digits as a number; `nil`, with nothing taken, where there are fewer.
    mutating func digits(_ count: Int) -> Int? {
        var value = 0
        for distance in 0..<count {
            guard let byte = peek(distance), byte.isDigit else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        position += count
        return value
    }

    /// The next few characters, for messages.
    var found: String {
        isAtEnd ? "the end" : "\"\(String(decoding: bytes[position...].prefix(20), as: UTF8.self))\""
    }
}

extension UInt8 {
    var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
    var isLetter: Bool { (self | 0x20) >= UInt8(ascii: "a") && (self | 0x20) <= UInt8(ascii: "z") }
}
