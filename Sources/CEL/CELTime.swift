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

    /// Whether the seconds since 1970 are in a year that has four digits.
    static func isInRange(_ seconds: Int64) -> Bool { (-62_135_596_800...253_402_300_799).contains(seconds) }

    /// `2026-01-01T00:00:00.5Z`.
    static func text(_ seconds: Int64, _ nanoseconds: Int32) -> String {
        let (year, month, day) = date(seconds)
        let rest = seconds - floor(seconds, 86400) * 86400
        func padded(_ number: Int64, _ width: Int) -> String {
            let digits = "\(number)"
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        var fraction = nanoseconds == 0 ? "" : ".\(padded(Int64(nanoseconds), 9))"
        while fraction.hasSuffix("0") { fraction.removeLast() }
        let clock = [rest / 3600, rest / 60 % 60, rest % 60].map { padded($0, 2) }.joined(separator: ":")
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(clock)\(fraction)Z"
    }

    /// `getFullYear()` and its kin, in UTC or at an offset such as `-08:00`. Zones with names are not known.
    static func part(
        _ name: String, _ seconds: Int64, _ nanoseconds: Int32, zone: CELValue?
    ) throws(CELError) -> CELValue? {
        guard name.hasPrefix("get") else { return nil }
        var local = seconds
        if case .string(let text)? = zone {
            guard let offset = offset(text) else { throw CELError(.unsupported, "unknown time zone \(text)") }
            local += offset
        }
        let (year, month, day) = date(local)
        let days = floor(local, 86400)
        let rest = local - days * 86400
        switch name {
        case "getFullYear": return .integer(year)
        case "getMonth": return .integer(month - 1)
        case "getDate": return .integer(day)
        case "getDayOfMonth": return .integer(day - 1)
        case "getDayOfYear": return .integer(days - self.days(year, 1, 1))
        case "getDayOfWeek": return .integer((days % 7 + 11) % 7)
        case "getHours": return .integer(rest / 3600)
        case "getMinutes": return .integer(rest / 60 % 60)
        case "getSeconds": return .integer(rest % 60)
        case "getMilliseconds": return .integer(Int64(nanoseconds) / 1_000_000)
        default: return nil
        }
    }

    /// Seconds east of UTC.
    private static func offset(_ text: String) -> Int64? {
        if text == "UTC" || text.isEmpty { return 0 }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let hours = Int64(parts[0]), let minutes = Int64(parts[1]), abs(hours) <= 14,
            (0..<60).contains(minutes)
        else { return nil }
        return text.hasPrefix("-") ? hours * 3600 - minutes * 60 : hours * 3600 + minutes * 60
    }

    private static func floor(_ value: Int64, _ unit: Int64) -> Int64 {
        value >= 0 ? value / unit : -((unit - 1 - value) / unit)
    }

    /// The date of the Gregorian calendar.
    private static func date(_ seconds: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = floor(seconds, 86400) + 719_468
        let era = floor(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        let month = part < 10 ? part + 3 : part - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * part + 2) / 5 + 1)
    }
}
