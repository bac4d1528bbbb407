/// A domain name as its labels, the leftmost first, in lower case: names compare as bytes without regard to case.
package struct DNSName: Sendable, Hashable, CustomStringConvertible {
    package var labels: [[UInt8]]

    package init(labels: [[UInt8]]) { self.labels = labels }

    /// Reads `a.b.c`, with or without a last dot; `nil` for what is no name.
    package init?(_ text: String) {
        let whole = text.utf8.last == UInt8(ascii: ".") ? text.utf8.dropLast() : text.utf8[...]
        labels = whole.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map {
            $0.map(Self.lowercased)
        }
        let size = labels.reduce(1) { $0 + $1.count + 1 }
        guard labels.allSatisfy({ (1...63).contains($0.count) }), size <= DNSLimits.nameBytes else { return nil }
    }

    static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    /// `a.b.c`. A dot within a label is written so that no other name has the same text.
    package var description: String {
        labels.map { label in
            String(decoding: label, as: UTF8.self).split(separator: ".", omittingEmptySubsequences: false)
                .joined(separator: "\\.")
        }.joined(separator: ".")
    }

    /// The labels in front of `suffix`; `nil` where the name does not end with it.
    func labels(before suffix: DNSName) -> [String]? {
        guard labels.count >= suffix.labels.count,
            labels.suffix(suffix.labels.count).elementsEqual(suffix.labels)
        else { return nil }
        return labels.dropLast(suffix.labels.count).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The wire form, uncompressed.
    var bytes: [UInt8] { labels.flatMap { [UInt8($0.count)] + $0 } + [0] }

    /// Reads a name at a position of a message and moves behind it. Pointers lead backwards only, so that they end.
    init(_ message: [UInt8], at position: inout Int) throws(DNSError) {
        labels = []
        var size = 1
        var place = position
        var isJumped = false
        while true {
            guard place < message.count else { throw .malformed }
            let length = Int(message[place])
            if length & 0xC0 == 0xC0 {
                guard place + 1 < message.count else { throw .malformed }
                let target = (length & 0x3F) << 8 | Int(message[place + 1])
                guard target < place else { throw .malformed }
                if !isJumped { position = place + 2 }
                isJumped = true
                place = target
                continue
            }
            guard length < 64, place + 1 + length <= message.count else { throw .malformed }
            if length == 0 { break }
            size += length + 1
            guard size <= DNSLimits.nameBytes else { throw .malformed }
            labels.append(message[(place + 1)..<(place + 1 + length)].map(Self.lowercased))
            place += length + 1
            // A pointer into what has been read would turn in a circle, if only it pointed far enough back.
            guard labels.count <= 127 else { throw .malformed }
        }
        if !isJumped { position = place + 1 }
    }
}

/// Why bytes are no message.
package enum DNSError: Error, Sendable, Equatable {
    case malformed
}
