import Documents

/// Addresses and ranges of addresses.
enum AddressRules {
    /// `10.0.0.0/8` or `fd00::/8`.
    static func isRange(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let length = Int(parts[1]), parts[1].utf8.allSatisfy({ (48...57).contains($0) }) else {
            return false
        }
        if Formats.isIPv4(parts[0]) { return length <= 32 }
        return isIPv6(parts[0]) && length <= 128
    }

    static func isIPv6(_ text: String) -> Bool {
        let halves = parts(of: text)
        guard halves.count <= 2, text.contains(":") else { return false }
        var count = 0
        for half in halves where !half.isEmpty {
            for group in half.split(separator: ":", omittingEmptySubsequences: false) {
                guard (1...4).contains(group.utf8.count), UInt16(group, radix: 16) != nil, group.first != "+" else {
                    return false
                }
                count += 1
            }
        }
        return halves.count == 2 ? count < 8 : count == 8
    }

    private static func parts(of text: String) -> [Substring] {
        var rest = Substring(text)
        var parts: [Substring] = []
        var start = rest.startIndex
        var position = rest.startIndex
        while position < rest.endIndex {
            if rest[position...].hasPrefix("::") {
                parts.append(rest[start..<position])
                position = rest.index(position, offsetBy: 2)
                start = position
            } else {
                position = rest.index(after: position)
            }
        }
        parts.append(rest[start...])
        rest = ""
        return parts
    }
}
