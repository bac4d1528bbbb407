internal import Seams

/// A reading of the wall clock and the calendar somewhere: the fields of a moment, in the Gregorian calendar.
package struct CivilTime: Sendable, Equatable {
    package var year: Int64
    /// 1 to 12.
    package var month: Int
    /// 1 to 31.
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int
    /// 0 is Sunday.
    package let weekday: Int

    /// The reading `seconds` after 1970-01-01T00:00:00 by the same clock.
    package init(seconds: Int64) {
        let dayNumber = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let time = Int(seconds - dayNumber * 86_400)
        (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60)
        weekday = Int(((dayNumber + 4) % 7 + 7) % 7)
        let shifted = dayNumber + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    /// Seconds after 1970-01-01T00:00:00 by the same clock. Fields beyond their range carry over: month 13 is January.
    package static func seconds(year: Int64, month: Int, day: Int, hour: Int = 0, minute: Int = 0) -> Int64 {
        let years = (month - 1 >= 0 ? month - 1 : month - 12) / 12
        let days = Instant.days(year: year + Int64(years), month: Int64(month - years * 12), day: 1)
        return (days + Int64(day) - 1) * 86_400 + Int64(hour * 3600 + minute * 60)
    }
}
