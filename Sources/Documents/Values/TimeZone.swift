package import Seams

/// A time zone of the IANA database, from its compiled form (TZif, RFC 8536): how far its clocks are ahead of UTC, at
/// any moment of the past and, by its rule, of the future. A pure value; nothing in it traps on damaged bytes.
package struct TimeZone: Sendable, Equatable {
    /// When the offset changed, in seconds since 1970, ascending; and to which of `offsets`.
    private let transitions: [Int64]
    private let kinds: [UInt8]
    /// Seconds east of UTC.
    private let offsets: [Int64]
    private let rule: TimeZoneRule?

    package static let utc = TimeZone(transitions: [], kinds: [], offsets: [0], rule: nil)

    private init(transitions: [Int64], kinds: [UInt8], offsets: [Int64], rule: TimeZoneRule?) {
        (self.transitions, self.kinds, self.offsets, self.rule) = (transitions, kinds, offsets, rule)
    }

    /// Reads a compiled zone; `nil` where the bytes are none.
    package init?(tzif bytes: [UInt8]) {
        guard let first = TZifBlock(bytes, at: 0, wide: false) else { return nil }
        if first.version < UInt8(ascii: "2") {
            self.init(block: first, rule: nil)
            return
        }
        guard let second = TZifBlock(bytes, at: first.end, wide: true) else { return nil }
        let footer = bytes[second.end...].dropFirst().prefix { $0 != UInt8(ascii: "\n") }
        self.init(block: second, rule: TimeZoneRule(String(decoding: footer, as: UTF8.self)))
    }

    private init?(block: TZifBlock, rule: TimeZoneRule?) {
        guard !block.offsets.isEmpty, block.kinds.allSatisfy({ Int($0) < block.offsets.count }) else { return nil }
        self.init(transitions: block.transitions, kinds: block.kinds, offsets: block.offsets, rule: rule)
    }

    /// Seconds east of UTC at a moment, in seconds since 1970.
    package func offset(at seconds: Int64) -> Int64 {
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= seconds { low = middle + 1 } else { high = middle }
        }
        if low == transitions.count, let rule { return rule.offset(at: seconds) }
        return low == 0 ? offsets[0] : offsets[Int(kinds[low - 1])]
    }

    /// What clocks show there at `instant`.
    package func civil(_ instant: Instant) -> CivilTime {
        CivilTime(seconds: instant.seconds + offset(at: instant.seconds))
    }

    /// The moment clocks show these fields. Where they show them twice, or never, it is one of the two moments that
    /// the offsets around it give: the same one as Go's `time.Date`, on which upstream's schedules rest.
    package func instant(year: Int64, month: Int, day: Int, hour: Int = 0, minute: Int = 0) -> Instant {
        let local = CivilTime.seconds(year: year, month: month, day: day, hour: hour, minute: minute)
        let guess = offset(at: local)
        let found = offset(at: local - guess)
        return Instant(seconds: local - found)
    }
}

/// One data block of a TZif file.
private struct TZifBlock {
    let version: UInt8
    var transitions: [Int64] = []
    var kinds: [UInt8] = []
    var offsets: [Int64] = []
    /// Where the block ends.
    let end: Int

    /// `nil` where there is no whole block at `start`. `wide` blocks have times of eight bytes.
    init?(_ bytes: [UInt8], at start: Int, wide: Bool) {
        guard start >= 0, bytes.count - start >= 44, bytes[start..<start + 4].elementsEqual("TZif".utf8) else {
            return nil
        }
        version = bytes[start + 4]
        func integer(_ position: Int, _ width: Int) -> Int64 {
            var value: Int64 = width == 4 ? Int64(Int8(bitPattern: bytes[position])) : 0
            if width == 4 {
                for offset in 1..<4 { value = value << 8 | Int64(bytes[position + offset]) }
            } else {
                var bits: UInt64 = 0
                for offset in 0..<8 { bits = bits << 8 | UInt64(bytes[position + offset]) }
                value = Int64(bitPattern: bits)
            }
            return value
        }
        let counts = (0..<6).map { Int(integer(start + 20 + $0 * 4, 4)) }
        let width = wide ? 8 : 4
        let (universal, standard, leaps, times, types, letters) = (
            counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]
        )
        guard counts.allSatisfy({ (0...100_000).contains($0) }), types <= 256 else { return nil }
        let size = times * (width + 1) + types * 6 + letters + leaps * (width + 4) + standard + universal
        end = start + 44 + size
        guard end <= bytes.count else { return nil }
        let body = start + 44
        transitions = (0..<times).map { integer(body + $0 * width, width) }
        kinds = Array(bytes[(body + times * width)..<(body + times * (width + 1))])
        let table = body + times * (width + 1)
        offsets = (0..<types).map { integer(table + $0 * 6, 4) }
        guard zip(transitions, transitions.dropFirst()).allSatisfy(<) else { return nil }
    }
}
