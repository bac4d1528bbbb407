/// Base64 with the standard alphabet and padding (RFC 4648), as Secrets and kubeconfigs use it.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// The value of each byte of the alphabet; 255 for every other byte.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(value) }
        return values
    }()

    package static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let chunk = bytes[start..<min(start + 3, bytes.count)]
            var group = chunk.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - chunk.count))
            for _ in 0..<4 {
                text.append(alphabet[Int(group >> 18 & 63)])
                group <<= 6
            }
            for padding in 0..<(3 - chunk.count) { text[text.count - 1 - padding] = UInt8(ascii: "=") }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes that `text` stands for; `nil` where it is not base64. Line breaks are ignored, as Go's decoder does.
    package static func decode(_ text: String) -> [UInt8]? {
        let digits = text.utf8.filter { $0 != 0x0A && $0 != 0x0D }
        guard digits.count % 4 == 0 else { return nil }
        let padding = digits.suffix(2).count { $0 == UInt8(ascii: "=") }
        let content = digits.dropLast(padding)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 4 * 3)
        var group: UInt32 = 0
        var held = 0
        for digit in content {
            let value = values[Int(digit)]
            if value == 255 { return nil }
            group = group << 6 | UInt32(value)
            held += 6
            if held >= 8 {
                held -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(held)))
            }
        }
        return group & ((1 << UInt32(held)) - 1) == 0 ? bytes : nil
    }

    /// With the alphabet for addresses and without padding, as tokens use it.
    package static func encodeURL(_ bytes: [UInt8]) -> String {
        String(encode(bytes).map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }.filter { $0 != "=" })
    }

    /// The bytes of text in the alphabet for addresses; padding may be there.
    package static func decodeURL(_ text: String) -> [UInt8]? {
        let standard = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        let padding = String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4)
        return decode(standard.hasSuffix("=") ? standard : standard + padding)
    }
}
