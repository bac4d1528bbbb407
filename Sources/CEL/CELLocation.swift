/// A URL, as far as rules ask for its parts. Read as Go reads the target of a request: absolute, or a path from the root.
package struct CELLocation: Sendable, Equatable {
    var scheme = ""
    /// With the port, as written.
    var host = ""
    var path = ""
    /// Names and values in the order they came, undecoded.
    var query: [(name: String, value: String)] = []
    private let text: String

    /// `nil` where `text` is no such URL.
    init?(_ text: String) {
        self.text = text
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
        var rest = text[...]
        if !rest.hasPrefix("/") {
            guard let colon = rest.firstIndex(of: ":"), colon != rest.startIndex, rest.first?.isLetter == true,
                rest[..<colon].utf8.allSatisfy({ Self.isScheme($0) })
            else { return nil }
            scheme = rest[..<colon].lowercased()
            rest = rest[rest.index(after: colon)...]
        }
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...].split(separator: "&").map { pair in
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                return (parts[0], parts.count > 1 ? parts[1] : "")
            }
            rest = rest[..<mark]
        }
        if !scheme.isEmpty, rest.hasPrefix("//") {
            let authority = rest.dropFirst(2).prefix { $0 != "/" }
            rest = rest.dropFirst(2 + authority.count)
            host =
                authority.lastIndex(of: "@").map { String(authority[authority.index(after: $0)...]) }
                ?? String(authority)
            if !port.utf8.allSatisfy({ (48...57).contains($0) }) { return nil }
        }
        path = String(rest)
    }

    private static func isScheme(_ byte: UInt8) -> Bool {
        byte < 0x80 && (Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber)
            || "+-.".utf8.contains(byte)
    }

    package static func == (left: CELLocation, right: CELLocation) -> Bool { left.text == right.text }

    /// The host without its port and the brackets of an IPv6 address.
    var hostname: String {
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
            return String(host[host.index(after: host.startIndex)..<end])
        }
        return host.lastIndex(of: ":").map { String(host[..<$0]) } ?? host
    }

    /// Empty where there is none.
    var port: String {
        let behind = host.hasPrefix("[") ? host[(host.firstIndex(of: "]") ?? host.startIndex)...] : host[...]
        return behind.lastIndex(of: ":").map { String(behind[behind.index(after: $0)...]) } ?? ""
    }
}
