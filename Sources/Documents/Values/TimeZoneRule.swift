/// The rule by which a zone goes on for ever: the form of the TZ variable, `CET-1CEST,M3.5.0,M10.5.0/3`. A pure value.
struct TimeZoneRule: Sendable, Equatable {
    /// A day of each year, and the second after its midnight when something changes.
    private struct Change: Sendable, Equatable {
        enum Day: Sendable, Equatable {
            /// Week 1 to 5 (the last) of a month; 0 is Sunday.
            case month(Int, week: Int, weekday: Int)
            /// 1 to 365; 29 February is not counted.
            case julian(Int)
            /// 0 to 365.
            case ordinal(Int)
        }
        let day: Day
        let time: Int64

        /// Seconds since 1970 by the clock that runs until then.
        func seconds(in year: Int64) -> Int64 {
            let january = CivilTime.seconds(year: year, month: 1, day: 1)
            switch day {
            case .ordinal(let number): return january + Int64(number) * 86_400 + time
            case .julian(let number):
                let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
                return january + Int64(number - 1 + (isLeap && number >= 60 ? 1 : 0)) * 86_400 + time
            case .month(let month, let week, let weekday):
                let first = CivilTime.seconds(year: year, month: month, day: 1)
                let next = CivilTime.seconds(year: year, month: month + 1, day: 1)
                let ahead = (weekday - CivilTime(seconds: first).weekday + 7) % 7
                var found = first + Int64(ahead + (week - 1) * 7) * 86_400
                while found >= next { found -= 7 * 86_400 }
                return found + time
            }
        }
    }

    /// Seconds east of UTC.
    private let standard: Int64
    private let summer: (offset: Int64, from: Change, to: Change)?

    static func == (left: TimeZoneRule, right: TimeZoneRule) -> Bool {
        left.standard == right.standard && left.summer?.offset == right.summer?.offset
            && left.summer?.from == right.summer?.from && left.summer?.to == right.summer?.to
    }

    /// `nil` where the text has another form.
    init?(_ text: String) {
        var scanner = TextScanner(text)
        guard Self.takeName(&scanner), let west = Self.time(&scanner) else { return nil }
        standard = -west
        if scanner.isAtEnd {
            summer = nil
            return
        }
        guard Self.takeName(&scanner) else { return nil }
        var offset = standard + 3600
        if scanner.next != UInt8(ascii: ",") {
            guard let west = Self.time(&scanner) else { return nil }
            offset = -west
        }
        guard let from = Self.change(&scanner), let to = Self.change(&scanner), scanner.isAtEnd else { return nil }
        summer = (offset, from, to)
    }

    func offset(at seconds: Int64) -> Int64 {
        guard let summer else { return standard }
        let year = CivilTime(seconds: seconds + standard).year
        let from = summer.from.seconds(in: year) - standard
        let to = summer.to.seconds(in: year) - summer.offset
        // South of the equator, summer is around the turn of the year.
        let isSummer = from < to ? (from..<to).contains(seconds) : !(to..<from).contains(seconds)
        return isSummer ? summer.offset : standard
    }

    private static func takeName(_ scanner: inout TextScanner) -> Bool {
        if scanner.take("<") {
            return !scanner.take { $0 != UInt8(ascii: ">") }.isEmpty && scanner.take(">")
        }
        return scanner.take { $0.isLetter }.utf8.count >= 3
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    private static func time(_ scanner: inout TextScanner) -> Int64? {
        let isNegative = scanner.take("-")
        if !isNegative { _ = scanner.take("+") }
        var total: Int64 = 0
        for (position, unit) in [3600, 60, 1].enumerated() {
            if position > 0, !scanner.take(":") { break }
            guard let number = Int64(scanner.take { $0.isDigit }), number <= 167 else { return nil }
            total += number * Int64(unit)
        }
        return isNegative ? -total : total
    }

    private static func change(_ scanner: inout TextScanner) -> Change? {
        func number(_ range: ClosedRange<Int>) -> Int? {
            Int(scanner.take { $0.isDigit }).flatMap { range.contains($0) ? $0 : nil }
        }
        guard scanner.take(",") else { return nil }
        let day: Change.Day
        if scanner.take("M") {
            guard let month = number(1...12), scanner.take("."), let week = number(1...5), scanner.take("."),
                let weekday = number(0...6)
            else { return nil }
            day = .month(month, week: week, weekday: weekday)
        } else if scanner.take("J") {
            guard let found = number(1...365) else { return nil }
            day = .julian(found)
        } else {
            guard let found = number(0...365) else { return nil }
            day = .ordinal(found)
        }
        var time: Int64 = 7200
        if scanner.take("/") {
            guard let given = Self.time(&scanner) else { return nil }
            time = given
        }
        return Change(day: day, time: time)
    }
}
