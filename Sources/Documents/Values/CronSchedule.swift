package import Seams

/// A schedule of a CronJob: five fields, or a word such as `@hourly`, by the rules of the parser upstream uses. A pure
/// value.
package struct CronSchedule: Sendable, Equatable {
    /// What is wrong with a schedule, in upstream's words.
    package struct Problem: Error, Sendable, Equatable {
        package let message: String
    }

    /// A set of numbers below 64, and whether it was written `*`.
    private struct Field: Sendable, Equatable {
        var bits: UInt64 = 0
        var isStar = false
        func contains(_ number: Int) -> Bool { bits & (1 << UInt64(number)) != 0 }
    }

    private struct Bounds {
        let range: ClosedRange<Int>
        let names: [String]
    }

    private var fields: [Field] = []
    /// For `@every`.
    private var period: Int64?

    private static let bounds = [
        Bounds(range: 0...59, names: []), Bounds(range: 0...23, names: []), Bounds(range: 1...31, names: []),
        Bounds(
            range: 1...12,
            names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        Bounds(range: 0...6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]
    private static let words = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]

    package init(_ text: String) throws(Problem) {
        if text.isEmpty { throw Problem(message: "empty spec string") }
        if text.hasPrefix("@every ") {
            guard let seconds = Self.seconds(String(text.dropFirst(7))) else {
                throw Problem(message: "failed to parse duration \(text): time: invalid duration")
            }
            period = max(1, seconds)
            return
        }
        if text.hasPrefix("@"), Self.words[text] == nil {
            throw Problem(message: "unrecognized descriptor: \(text)")
        }
        let parts = (Self.words[text] ?? text).split { " \t\n\u{b}\u{c}\r".contains($0) }.map(String.init)
        if parts.count != 5 {
            throw Problem(
                message: "expected exactly 5 fields, found \(parts.count): [\(parts.joined(separator: " "))]")
        }
        for (part, bounds) in zip(parts, Self.bounds) { fields.append(try Self.field(part, bounds)) }
    }

    private static func field(_ text: String, _ bounds: Bounds) throws(Problem) -> Field {
        var field = Field()
        for part in text.split(separator: ",") {
            let range = try range(String(part), bounds)
            field.bits |= range.bits
            field.isStar = field.isStar || range.isStar
        }
        return field
    }

    private static func range(_ text: String, _ bounds: Bounds) throws(Problem) -> Field {
        let steps = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let ends = steps[0].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        var (low, high) = (bounds.range.lowerBound, bounds.range.upperBound)
        var isStar = false
        if ends[0] == "*" || ends[0] == "?" {
            isStar = true
        } else {
            low = try number(ends[0], bounds.names, from: bounds.range.lowerBound)
            switch ends.count {
            case 1: high = low
            case 2: high = try number(ends[1], bounds.names, from: bounds.range.lowerBound)
            default: throw Problem(message: "too many hyphens: \(text)")
            }
        }
        var step = 1
        if steps.count == 2 {
            step = try number(steps[1], [], from: 0)
            if ends.count == 1, !isStar { high = bounds.range.upperBound }
            if step > 1 { isStar = false }
        } else if steps.count > 2 {
            throw Problem(message: "too many slashes: \(text)")
        }
        if low < bounds.range.lowerBound {
            throw Problem(message: "beginning of range (\(low)) below minimum (\(bounds.range.lowerBound)): \(text)")
        }
        if high > bounds.range.upperBound {
            throw Problem(message: "end of range (\(high)) above maximum (\(bounds.range.upperBound)): \(text)")
        }
        if low > high {
            throw Problem(message: "beginning of range (\(low)) beyond end of range (\(high)): \(text)")
        }
        if step == 0 { throw Problem(message: "step of range should be a positive number: \(text)") }
        var field = Field(isStar: isStar)
        for number in stride(from: low, through: high, by: step) { field.bits |= 1 << UInt64(number) }
        return field
    }

    private static func number(_ text: String, _ names: [String], from first: Int) throws(Problem) -> Int {
        if let index = names.firstIndex(of: text.lowercased()) { return index + first }
        if text.utf8.count <= 9, let number = Int(text) {
            if number < 0 { throw Problem(message: "negative number (\(number)) not allowed: \(text)") }
            return number
        }
        throw Problem(
            message: "failed to parse int from \(text): strconv.Atoi: parsing \"\(text)\": invalid syntax")
    }

    /// `1h30m` in seconds: what `@every` takes, of Go's durations.
    private static func seconds(_ text: String) -> Int64? {
        var scanner = TextScanner(text)
        var total: Int64 = 0
        if scanner.isAtEnd { return nil }
        while !scanner.isAtEnd {
            let digits = scanner.take { $0.isDigit }
            guard digits.utf8.count <= 9, let number = Int64(digits) else { return nil }
            if scanner.take("h") {
                total += number * 3600
            } else if scanner.take("m") {
                total += number * 60
            } else if scanner.take("s") {
                total += number
            } else {
                return nil
            }
        }
        return total
    }

    /// The first time of the schedule after `instant`, by the clocks of `zone`; `nil` if none comes in five years.
    ///
    /// An hour that clocks leap over has no times; one that they show twice has its times twice.
    package func next(after instant: Instant, in zone: TimeZone) -> Instant? {
        if let period { return Instant(seconds: instant.seconds + period) }
        if fields.contains(where: { $0.bits == 0 }) { return nil }
        var time = Instant(seconds: instant.seconds + 1)
        let last = zone.civil(time).year + 5
        while true {
            var civil = zone.civil(time)
            if civil.year > last { return nil }
            if !fields[3].contains(civil.month) {
                time = zone.instant(year: civil.year, month: civil.month + 1, day: 1)
                continue
            }
            if !matchesDay(civil) {
                time = nextDay(civil, zone)
                continue
            }
            if !fields[1].contains(civil.hour) {
                time = Self.nextHour(time, civil)
                continue
            }
            if civil.second > 0 {
                time = time + .seconds(60 - civil.second)
                civil = zone.civil(time)
                if civil.minute == 0 { continue }
            }
            if fields[0].contains(civil.minute) { return time }
            time = time + .seconds(60)
        }
    }

    /// Of the fields for days, one must fit where both are given, and both where one is `*`.
    private func matchesDay(_ civil: CivilTime) -> Bool {
        let (month, week) = (fields[2].contains(civil.day), fields[4].contains(civil.weekday))
        return fields[2].isStar || fields[4].isStar ? month && week : month || week
    }

    private static func nextHour(_ time: Instant, _ civil: CivilTime) -> Instant {
        time + .seconds(3600 - civil.minute * 60 - civil.second)
    }

    /// The first moment of the next day: not always midnight, where clocks leap over that.
    private func nextDay(_ civil: CivilTime, _ zone: TimeZone) -> Instant {
        var time = zone.instant(year: civil.year, month: civil.month, day: civil.day + 1)
        let found = zone.civil(time)
        if found.hour > 12 { time = time + .seconds(3600 * (24 - found.hour)) }
        return time
    }
}
