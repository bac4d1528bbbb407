/// The `format` keywords that a schema may check. Unknown formats accept everything, as in a real API server.
package enum Formats {
    package static func accepts(_ text: String, format: String) -> Bool {
        switch format {
        case "date-time": isDateTime(Array(text.utf8))
        case "date": isDate(Array(text.utf8))
        case "byte": isBase64(text)
        case "uuid": isUUID(Array(text.utf8))
        case "ipv4": isIPv4(text)
        default: true
        }
    }

    /// RFC 3339, as Go reads it.
    package static func isDateTime(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= 20, isDate(Array(bytes[..<10])), bytes[10] | 0x20 == UInt8(ascii: "t") else {
            return false
        }
        guard let hour = number(bytes, 11), let minute = number(bytes, 14), let second = number(bytes, 17) else {
            return false
        }
        guard bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"), hour < 24, minute < 60, second < 61 else {
            return false
        }
        var position = 19
        if bytes[position] == UInt8(ascii: ".") {
            let start = position + 1
            position = start
            while position < bytes.count, isDigit(bytes[position]) { position += 1 }
            if position == start { return false }
        }
        guard position < bytes.count else { return false }
        if bytes[position] | 0x20 == UInt8(ascii: "z") { return position + 1 == bytes.count }
        guard bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") else { return false }
        guard bytes.count == position + 6, bytes[position + 3] == UInt8(ascii: ":") else { return false }
        guard let hours = number(bytes, position + 1), let minutes = number(bytes, position + 4) else { return false }
        return hours < 24 && minutes < 60
    }

    private static func isDate(_ bytes: [UInt8]) -> Bool {
        guard bytes.count == 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-") else { return false }
        guard number(bytes, 0) != nil, number(bytes, 2) != nil else { return false }
        guard let month = number(bytes, 5), let day = number(bytes, 8) else { return false }
        return (1...12).contains(month) && (1...31).contains(day)
    }

    package static func isBase64(_ text: String) -> Bool { base64Problem(text) == nil }

    /// Which byte makes the text no base64, counted as Go counts; `nil` where it is base64. Line ends do not matter.
    package static func base64Problem(_ text: String) -> Int? {
        var count = 0
        var padding = 0
        for (position, byte) in text.utf8.enumerated() where byte != 10 && byte != 13 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                if padding > 0 { return position }
            case UInt8(ascii: "="):
                padding += 1
                if count % 4 < 2 || padding > 2 { return position }
            default: return position
            }
            count += 1
        }
        return count % 4 == 0 ? nil : text.utf8.count - count % 4
    }

    private static func isUUID(_ bytes: [UInt8]) -> Bool {
        guard bytes.count == 36 else { return false }
        for (index, byte) in bytes.enumerated() {
            if [8, 13, 18, 23].contains(index) {
                if byte != UInt8(ascii: "-") { return false }
            } else if !isDigit(byte), !(UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20) {
                return false
            }
        }
        return true
    }

    package static func isIPv4(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard (1...3).contains(part.count), part.allSatisfy(isDigit),
                    let value = Int(String(decoding: part, as: UTF8.self))
                else { return false }
                return value < 256 && (part.count == 1 || part.first != UInt8(ascii: "0"))
            }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// The two digits at `position`; `nil` where there are none.
    private static func number(_ bytes: [UInt8], _ position: Int) -> Int? {
        guard position + 1 < bytes.count, isDigit(bytes[position]), isDigit(bytes[position + 1]) else { return nil }
        return Int(bytes[position] - 48) * 10 + Int(bytes[position + 1] - 48)
    }
}
