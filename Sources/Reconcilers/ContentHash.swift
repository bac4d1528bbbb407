internal import Crypto
package import Documents

/// Names content by what it says. A version tag stands in front of what is hashed, so that a later Espalier can hash
/// differently and still recognise what this one named.
package struct ContentHash: Sendable {
    private let key: [UInt8]

    /// `key` protects secret content: without it, a hash tells nobody what a secret might be.
    package init(key: [UInt8]) { self.key = key }

    /// SHA-256 in hexadecimal over the tag and the canonical form of `content`.
    package static func digest(_ tag: String, _ content: JSON) -> String {
        hexadecimal(Array(SHA256.hash(data: Array(tag.utf8) + [0x0A] + content.canonical.encoded)))
    }

    /// HMAC-SHA-256 in hexadecimal under the installation's key.
    package func secretDigest(_ tag: String, _ content: JSON) -> String {
        let message = Array(tag.utf8) + [0x0A] + content.canonical.encoded
        return Self.hexadecimal(Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key))))
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Names of children.
package enum ChildName {
    /// `<parts joined by ->-<hash>`, cut so that names with suffixes stay valid; the hash is always whole.
    package static func hashed(_ parts: [String], _ hash: String) -> String {
        let room = ReconcilerLimits.nameBytes - hash.utf8.count - 1
        return "\(cut(parts.joined(separator: "-"), room))-\(hash)"
    }

    /// The parts joined by `-`; where that is too long, cut and told apart by a hash of the whole.
    package static func stable(_ parts: [String]) -> String {
        let whole = parts.joined(separator: "-")
        if whole.utf8.count <= ReconcilerLimits.nameBytes { return whole }
        return hashed(parts, String(ContentHash.digest("espalier.dev/name/v1", .string(whole)).prefix(8)))
    }

    private static func cut(_ text: String, _ room: Int) -> String {
        var cut = text.prefix(room)
        while cut.last == "-" || cut.last == "." { cut.removeLast() }
        return String(cut)
    }
}
