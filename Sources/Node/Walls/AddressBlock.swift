internal import Glibc

/// A block of addresses of either family, `10.0.0.0/8` or `2001:db8::/32`; an address alone is a block of one. Its text
/// is the canonical one, whatever it was read from: it goes into rules as it stands.
package struct AddressBlock: Sendable, Hashable, CustomStringConvertible {
    /// 4 or 16, most significant first; those behind the prefix are zero.
    package let bytes: [UInt8]
    package let prefix: Int

    package var isIPv6: Bool { bytes.count == 16 }

    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let host = parts.first, var bytes = Self.parse(host) else { return nil }
        var prefix = bytes.count * 8
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let given = Int(parts[1]), given <= prefix
            else { return nil }
            prefix = given
        }
        for position in bytes.indices {
            let kept = min(8, max(0, prefix - position * 8))
            bytes[position] &= UInt8(truncatingIfNeeded: 0xFF00 >> kept)
        }
        self.bytes = bytes
        self.prefix = prefix
    }

    package init(_ address: IPv4Address) {
        bytes = (0..<4).map { UInt8(truncatingIfNeeded: address.number >> UInt32(24 - $0 * 8)) }
        prefix = 32
    }

    package init(_ range: IPv4Range) {
        bytes = AddressBlock(range.base).bytes
        prefix = range.prefix
    }

    private static func parse(_ text: String) -> [UInt8]? {
        let isIPv6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        return inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, &bytes) == 1 ? bytes : nil
    }

    package var description: String {
        let length = bytes.count * 8
        return prefix == length ? Self.text(bytes) : "\(Self.text(bytes))/\(prefix)"
    }

    /// The text of an address of 4 or 16 bytes.
    package static func text(_ bytes: [UInt8]) -> String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 16 ? AF_INET6 : AF_INET, bytes, &buffer, socklen_t(buffer.count)) != nil else {
            return ""
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
