import Documents
import Glibc
import Reconcilers
import Seams
import Testing

/// What a schedule says, by the clocks of a zone. Times are as robfig/cron has them, which upstream uses.
struct CronScheduleTests {
    static let zones = TimeZones(fileSystem: LinuxFileSystem())
    static let hasZones = zones.zone(named: "Europe/Berlin") != nil

    private func next(_ schedule: String, _ after: String, _ zone: String? = nil) throws -> String? {
        let zone = try #require(Self.zones.zone(named: zone))
        let after = try #require(Instant(rfc3339: after))
        return try CronSchedule(schedule).next(after: after, in: zone)?.rfc3339
    }

    @Test(arguments: [
        ("* * * * *", "2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z"),
        ("*/15 * * * *", "2026-03-01T10:01:30Z", "2026-03-01T10:15:00Z"),
        ("5/20 * * * *", "2026-03-01T10:26:00Z", "2026-03-01T10:45:00Z"),
        ("0 0-6/2 * * *", "2026-03-01T03:00:00Z", "2026-03-01T04:00:00Z"),
        ("30 4 1,15 * *", "2026-03-01T05:00:00Z", "2026-03-15T04:30:00Z"),
        ("0 0 29 feb ?", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 9 * * mon-FRI", "2026-03-06T09:00:00Z", "2026-03-09T09:00:00Z"),
        // Both fields for days are given: either will do.
        ("0 0 13 * 5", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00Z"),
        ("0 0 13 * 5", "2026-04-11T00:00:00Z", "2026-04-13T00:00:00Z"),
        // A step above one is no star any more.
        ("0 0 */10 * 0", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"),
        ("@hourly", "2026-12-31T23:10:00Z", "2027-01-01T00:00:00Z"),
        ("@weekly", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"),
        ("@yearly", "2026-03-02T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("@every 1h30m", "2026-03-02T00:00:10Z", "2026-03-02T01:30:10Z"),
    ])
    func times(schedule: String, after: String, expected: String) throws {
        #expect(try next(schedule, after) == expected)
    }

    @Test func aDayThatNeverComes() throws { #expect(try next("0 0 31 2 *", "2026-03-01T00:00:00Z") == nil) }

    @Test(
        .enabled(if: hasZones, "no time zones in /usr/share/zoneinfo"),
        arguments: [
            // Winter and summer.
            ("0 9 * * *", "2026-01-10T00:00:00Z", "Europe/Berlin", "2026-01-10T08:00:00Z"),
            ("0 9 * * *", "2026-07-10T00:00:00Z", "Europe/Berlin", "2026-07-10T07:00:00Z"),
            // Clocks leap from 2:00 to 3:00 on 29 March: half past two is not there that day.
            ("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin", "2026-03-30T00:30:00Z"),
            ("0 * * * *", "2026-03-29T00:00:00Z", "Europe/Berlin", "2026-03-29T01:00:00Z"),
            // They show 2:30 twice on 25 October.
            ("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin", "2026-10-25T00:30:00Z"),
            ("30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin", "2026-10-25T01:30:00Z"),
            ("30 2 * * *", "2026-10-25T01:30:00Z", "Europe/Berlin", "2026-10-26T01:30:00Z"),
            // Beyond what the file lists, by its rule; south of the equator too.
            ("0 9 * * *", "2090-07-10T00:00:00Z", "Europe/Berlin", "2090-07-10T07:00:00Z"),
            ("0 9 * * *", "2090-01-10T00:00:00Z", "Australia/Sydney", "2090-01-10T22:00:00Z"),
            ("0 9 * * *", "2026-01-10T00:00:00Z", "Asia/Kathmandu", "2026-01-10T03:15:00Z"),
            ("0 0 * * *", "2026-01-10T12:00:00Z", "America/New_York", "2026-01-11T05:00:00Z"),
            // Midnight is leapt over: the day has no such time.
            ("0 0 * * *", "2026-04-23T12:00:00Z", "Africa/Cairo", "2026-04-24T21:00:00Z"),
        ])
    func inAZone(schedule: String, after: String, zone: String, expected: String) throws {
        #expect(try next(schedule, after, zone) == expected)
    }

    /// Against the C library, over the whole past and future of some zones.
    @Test(
        .serialized, .enabled(if: hasZones, "no time zones in /usr/share/zoneinfo"),
        arguments: [
            "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns",
        ])
    func offsetsAreThoseOfTheLibrary(name: String) throws {
        let zone = try #require(Self.zones.zone(named: name))
        let before = setTimeZone(name)
        defer { setTimeZone(before) }
        for seconds in stride(from: Int64(-1_000_000_000), to: 4_000_000_000, by: 1_234_567) {
            var time = time_t(seconds)
            var fields = tm()
            localtime_r(&time, &fields)
            try #require(zone.offset(at: seconds) == Int64(fields.tm_gmtoff), "\(name) at \(seconds)")
        }
    }

    @discardableResult
    private func setTimeZone(_ name: String?) -> String? {
        let before = getenv("TZ").map { String(cString: $0) }
        if let name { setenv("TZ", name, 1) } else { unsetenv("TZ") }
        tzset()
        return before
    }

    @Test(arguments: [
        ("", "empty spec string"), ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"), ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("@often", "unrecognized descriptor: @often"),
    ])
    func problems(schedule: String, message: String) {
        let problem = #expect(throws: CronSchedule.Problem.self) { _ = try CronSchedule(schedule) }
        #expect(problem?.message == message)
    }

    @Test func damagedZonesAreNone() throws {
        #expect(Self.zones.zone(named: "Mars/Base") == nil && Self.zones.zone(named: "../../../etc/passwd") == nil)
        guard let whole = try? LinuxFileSystem().readFile("/usr/share/zoneinfo/Europe/Berlin") else { return }
        for length in stride(from: 0, to: whole.count, by: 7) { _ = TimeZone(tzif: Array(whole.prefix(length))) }
        for position in 0..<min(whole.count, 400) {
            var damaged = whole
            damaged[position] ^= 0xFF
            _ = TimeZone(tzif: damaged)?.offset(at: 1_800_000_000)
        }
    }
}
