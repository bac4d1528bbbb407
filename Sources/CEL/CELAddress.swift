internal import Documents

/// An address of the Internet Protocol: four bytes or sixteen.
package struct CELAddress: Sendable, Equatable {
    let bytes: [UInt8]

    var family: Int64 { bytes.count == 4 ? 4 : 6 }

    /// `nil` where `text` is no address. Zones and IPv4 in the dress of IPv6 are not taken, as in Kubernetes.
    init?(_ text: String) {
        if Formats.isIPv4(text) {
            bytes = text.split(separator: ".").compactMap { UInt8($0) }
            return
        }
        guard let words = Self.words(text) else { return nil }
        bytes = words.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private static func words(_ text: String) -> [UInt16]? {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        func parsed(_ half: Substring) -> [UInt16]? {
            if half.isEmpty { return [] }
            var words: [UInt16] = []
            for part in half.split(separator: ":", omittingEmptySubsequences: false) {
                let isHexadecimal = part.utf8.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
                guard (1...4).contains(part.utf8.count), isHexadecimal, let word = UInt16(part, radix: 16) else {
                    return nil
                }
                words.append(word)
            }
            return words
        }
        guard let front = parsed(halves[0]) else { return nil }
        if halves.count == 1 { return front.count == 8 ? front : nil }
        guard halves.count == 2, let back = parsed(halves[1]), front.count + back.count < 8 else { return nil }
        return front + [UInt16](repeating: 0, count: 8 - front.count - back.count) + back
    }

    /// The one spelling of the address (RFC 5952): the longest run of zeros, of two words at least, is left out.
    var text: String {
        if bytes.count == 4 { return bytes.map { String($0) }.joined(separator: ".") }
        let words = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        var (best, run) = (0..<0, 0)
        for position in words.indices {
            run = words[position] == 0 ? run + 1 : 0
            if run >= 2, run > best.count { best = (position + 1 - run)..<(position + 1) }
        }
        func joined(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if best.isEmpty { return joined(words[...]) }
        return "\(joined(words[..<best.lowerBound]))::\(joined(words[best.upperBound...]))"
    }

    /// The address with all but its first bits at zero.
    func masked(_ prefix: Int) -> CELAddress {
        CELAddress(
            bytes: bytes.enumerated().map { position, byte in
                let kept = min(max(prefix - position * 8, 0), 8)
                return byte & UInt8(truncatingIfNeeded: 0xFF00 >> kept)
            })
    }

    var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }
    var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
    }
    var isMulticast: Bool { bytes.count == 4 ? bytes[0] & 0xF0 == 0xE0 : bytes[0] == 0xFF }
    var isLinkLocalUnicast: Bool {
        bytes.count == 4 ? bytes.starts(with: [169, 254]) : bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
    }
    var isLinkLocalMulticast: Bool {
        bytes.count == 4 ? bytes.starts(with: [224, 0, 0]) : bytes[0] == 0xFF && bytes[1] & 0x0F == 2
    }
    var isGlobalUnicast: Bool {
        !isUnspecified && !isLoopback && !isMulticast && !isLinkLocalUnicast && bytes != [255, 255, 255, 255]
    }
}

/// A range of addresses: those that begin with the same bits.
package struct CELAddressRange: Sendable, Equatable {
    let address: CELAddress
    let prefix: Int

    /// `nil` where `text` is no `address/bits`.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = CELAddress(String(parts[0])), let prefix = Int(parts[1]),
            String(prefix) == parts[1], (0...address.bytes.count * 8).contains(prefix)
        else { return nil }
        self.init(address, prefix)
    }

    init(_ address: CELAddress, _ prefix: Int) {
        self.address = address
        self.prefix = prefix
    }

    var text: String { "\(address.text)/\(prefix)" }

    func contains(_ other: CELAddress) -> Bool {
        other.bytes.count == address.bytes.count && other.masked(prefix) == address.masked(prefix)
    }
}
