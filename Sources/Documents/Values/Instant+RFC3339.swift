package import Seams

/// Times as Kubernetes writes them: RFC 3339, always UTC, to the second (`metav1.Time`) or the microsecond
/// (`metav1.MicroTime`, in Events and Leases).
extension Instant {
    /// `2026-11-24T03:12:00Z`
    package var rfc3339: String { "\(calendarText)Z" }

    /// `2026-11-24T03:12:00.123456Z`
    package var rfc3339Micro: String {
        let rest = nanoseconds % 1_000_000_000
        return "\(calendarText).\(Self.padded((rest < 0 ? rest + 1_000_000_000 : rest) / 1_000, 6))Z"
    }

    /// Reads RFC 3339 with any fraction and any offset. Times beyond what an `Instant` holds become its nearest end;
    /// texts that are not RFC 3339 give `nil`.
    package init?(rfc3339 text: String) {
        var scanner = TextScanner(text)
        guard let year = scanner.digits(4), scanner.take("-"), let month = scanner.digits(2), scanner.take("-"),
            let day = scanner.digits(2), scanner.take("T") || scanner.take("t"),
            let hour = scanner.digits(2), scanner.take(":"), let minute = scanner.digits(2), scanner.take(":"),
            let second = scanner.digits(2),
            (1...12).contains(month), day >= 1, day <= Self.days(inMonth: month, of: year), hour < 24, minute < 60,
            second <= 60, let fraction = Self.fraction(&scanner), let offset = Self.offset(&scanner), scanner.isAtEnd
        else { return nil }
        let days = Self.days(year: Int64(year), month: Int64(month), day: Int64(day))
        let seconds = days * 86_400 + Int64(hour * 3600 + minute * 60 + second) - offset
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = scaled.addingReportingOverflow(fraction)
        self.init(nanoseconds: overflow || carry ? (seconds < 0 ? .min : .max) : sum)
    }

    /// The nanoseconds of an optional fraction; `nil` where a point has no digit behind it.
    private static func fraction(_ scanner: inout TextScanner) -> Int64? {
        guard scanner.take(".") else { return 0 }
        let digits = scanner.take { $0.isDigit }
        if digits.isEmpty { return nil }
        let text = digits.prefix(9)
        return Int64(text).map { $0 * (0..<(9 - text.count)).reduce(1) { scale, _ in scale * 10 } }
    }

    /// Seconds east of UTC: `Z`, `+01:00`, `-05:30`.
    private static func offset(_ scanner: inout TextScanner) -> Int64? {
        if scanner.take("Z") || scanner.take("z") { return 0 }
        let isEast = scanner.take("+")
        guard isEast || scanner.take("-"), let hours = scanner.digits(2), scanner.take(":"),
            let minutes = scanner.digits(2), hours < 24, minutes < 60
        else { return nil }
        return Int64(hours * 3600 + minutes * 60) * (isEast ? 1 : -1)
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 in the Gregorian calendar, counting years from March so that the leap day comes last.
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private var calendarText: String {
        let day = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let time = seconds - day * 86_400
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let date = "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(dayOfMonth, 2))"
        let clock = [time / 3600, time / 60 % 60, time % 60].map { Self.padded($0, 2) }.joined(separator: ":")
        return "\(date)T\(clock)"
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}
