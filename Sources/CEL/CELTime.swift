internal import Documents

/// Durations and moments as the rule language writes them: Go durations (`1h30m`) and RFC 3339.
enum CELTime {
    /// `nil` where `text` is no Go duration, or one beyond 292 years.
    static func duration(_ text: String) -> Duration? {
        var rest = Substring(text)
        let isNegative = rest.hasPrefix("-")
        if isNegative || rest.hasPrefix("+") { rest = rest.dropFirst() }
        if rest == "0" { return .zero }
        if rest.isEmpty { return nil }
        let units: [(String, Double)] = [
            ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12),
        ]
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let number = Double(digits), !digits.isEmpty else { return nil }
            rest = rest.dropFirst(digits.count)
            guard let unit = units.first(where: { rest.hasPrefix($0.0) }) else { return nil }
            rest = rest.dropFirst(unit.0.count)
            total += number * unit.1
        }
        if total > 9.2e18 { return nil }
        let nanoseconds = Int64(total.rounded())
        return .nanoseconds(isNegative ? -nanoseconds : nanoseconds)
    }

    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let fraction = attoseconds / 1_000_000_000
        if fraction == 0 { return "\(seconds)s" }
        return "\(Double(seconds) + Double(fraction) / 1e9)s"
    }

    /// Seconds and nanoseconds since 1970; `nil` where `text` is no RFC 3339 time.
    static func timestamp(_ text: String) -> (Int64, Int32)? {
        let bytes = Array(text.utf8)
        guard Formats.isDateTime(bytes) else { return nil }
        func number(_ start: Int, _ count: Int) -> Int64 {
            bytes[start..<start + count].reduce(0) { $0 * 10 + Int64($1) - 48 }
        }
        var position = 19
        var nanoseconds: Int32 = 0
        if bytes[position] == UInt8(ascii: ".") {
            position += 1
            var unit: Int32 = 100_000_000
            while position < bytes.count, (48...57).contains(bytes[position]) {
                nanoseconds += Int32(bytes[position] - 48) * unit
                unit /= 10
                position += 1
            }
        }
        var seconds = days(number(0, 4), number(5, 2), number(8, 2)) * 86400 + number(11, 2) * 3600
        seconds += number(14, 2) * 60 + number(17, 2)
        if bytes[position] | 0x20 != UInt8(ascii: "z") {
            let offset = number(position + 1, 2) * 3600 + number(position + 4, 2) * 60
            seconds -= bytes[position] == UInt8(ascii: "-") ? -offset : offset
        }
        return (seconds, nanoseconds)
    }

    /// Days since 1970 of a date of the Gregorian calendar.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
