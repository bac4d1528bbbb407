import Documents
import Seams
import Testing

@Suite("Times, durations and quantities")
struct ValueTests {
    @Test(
        "RFC 3339 is read and written",
        arguments: [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000000Z"),
            ("2026-11-24T03:12:00Z", 1_795_489_920_000_000_000, "2026-11-24T03:12:00.000000Z"),
            ("2024-02-29T23:59:59.5Z", 1_709_251_199_500_000_000, "2024-02-29T23:59:59.500000Z"),
            ("2000-02-29T00:00:00.123456789+01:30", 951_777_000_123_456_789, "2000-02-28T22:30:00.123456Z"),
            ("1969-12-31T23:59:59.25Z", -750_000_000, "1969-12-31T23:59:59.250000Z"),
            ("1900-03-01t00:00:00-12:00", -2_203_848_000_000_000_000, "1900-03-01T12:00:00.000000Z"),
        ] as [(String, Int64, String)])
    func rfc3339(text: String, nanoseconds: Int64, micro: String) throws {
        let instant = try #require(Instant(rfc3339: text))
        #expect(instant.nanoseconds == nanoseconds)
        #expect(instant.rfc3339Micro == micro)
        #expect(instant.rfc3339 == "\(micro.prefix(19))Z")
    }

    @Test("every day of four centuries comes back as it was written")
    func everyDay() throws {
        for day in stride(from: Int64(-100_000), through: 100_000, by: 37) {
            let instant = Instant(seconds: day * 86_400 + 12_345)
            #expect(Instant(rfc3339: instant.rfc3339) == instant)
        }
    }

    @Test(
        "what is not RFC 3339 is refused",
        arguments: [
            "", "2026-11-24", "2026-11-24T03:12:00", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-24T24:00:00Z", "2026-11-24T03:60:00Z", "2026-11-24T03:12:00.Z", "2026-11-24T03:12:00+0100",
            "2026-11-24T03:12:00Zx", "26-11-24T03:12:00Z", "2026-1-24T03:12:00Z", "2026-11-24 03:12:00Z",
            "2026-00-10T00:00:00Z",
        ])
    func notRFC3339(text: String) { #expect(Instant(rfc3339: text) == nil) }

    @Test("times out of range become the nearest end")
    func range() {
        #expect(Instant(rfc3339: "9999-12-31T23:59:59Z")?.nanoseconds == .max)
        #expect(Instant(rfc3339: "0001-01-01T00:00:00Z")?.nanoseconds == .min)
        #expect(Instant(nanoseconds: .min).rfc3339 == "1677-09-21T00:12:43Z")
        #expect(Instant(nanoseconds: .min).rfc3339Micro == "1677-09-21T00:12:43.145224Z")
        #expect(Instant(nanoseconds: .max).rfc3339 == "2262-04-11T23:47:16Z")
    }

    @Test(
        "ages as kubectl prints them",
        arguments: [
            (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (5, "5s"), (119, "119s"), (120, "2m"), (150, "2m30s"),
            (599, "9m59s"),
            (600, "10m"), (10_799, "179m"), (10_800, "3h"), (11_340, "3h9m"), (28_799, "7h59m"), (28_800, "8h"),
            (172_799, "47h"), (172_800, "2d"), (180_000, "2d2h"), (691_199, "7d23h"), (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"), (64_281_600, "2y14d"), (252_288_000, "8y"),
        ] as [(Int64, String)])
    func ages(seconds: Int64, text: String) { #expect(HumanDuration.text(.seconds(seconds)) == text) }

    @Test(
        "Gateway API durations",
        arguments: [
            ("1h30m", 5_400_000), ("10s", 10_000), ("250ms", 250), ("0s", 0), ("1m1s1ms", 61_001),
            ("99999h", 359_996_400_000),
            ("1h1h", 7_200_000), ("1s1h", 3_601_000),
        ] as [(String, Int64)])
    func gatewayDurations(text: String, milliseconds: Int64) {
        #expect(GatewayDuration.parse(text) == .milliseconds(milliseconds))
    }

    @Test(
        "what is no Gateway API duration",
        arguments: ["", "1", "h", "1.5h", "-1s", "+1s", "100000s", "1h1m1s1ms1s", "1 s", "1d", "1us", "1h ", "٣s"])
    func notGatewayDurations(text: String) { #expect(GatewayDuration.parse(text) == nil) }

    @Test(
        "Gateway API durations are written as they are read",
        arguments: [0, 1, 250, 1000, 61_001, 5_400_000, 86_400_000] as [Int64])
    func gatewayDurationText(milliseconds: Int64) {
        let duration = Duration.milliseconds(milliseconds)
        #expect(GatewayDuration.parse(GatewayDuration.text(duration)) == duration)
    }

    @Test(
        "quantities",
        arguments: [
            ("0", 0, 0, "0"), ("500m", 1, 500, "500m"), ("1500m", 2, 1500, "1500m"), ("2000m", 2, 2000, "2"),
            ("1.5", 2, 1500, "1500m"),
            ("128Mi", 134_217_728, 134_217_728_000, "128Mi"), ("1024Mi", 1 << 30, 1 << 30 * 1, "1Gi"),
            ("1.5Gi", 1_610_612_736, 1_610_612_736_000, "1536Mi"),
            ("1e3", 1000, 1_000_000, "1e3"), ("1E3", 1000, 1_000_000, "1e3"),
            ("2E", 2_000_000_000_000_000_000, .max, "2E"),
            ("-3k", -3000, -3_000_000, "-3k"), ("+1", 1, 1000, "1"), (".5", 1, 500, "500m"), ("5.", 5, 5000, "5"),
            ("100n", 1, 1, "100n"),
            ("0.0000000001", 1, 1, "1n"), ("99999999999999999999", .max, .max, "9223372036854775807"),
            ("1000k", 1_000_000, 1_000_000_000, "1M"), ("0.5Mi", 524_288, 524_288_000, "512Ki"),
            ("1e-3", 1, 1, "1e-3"), ("8Ei", .max, .max, "9223372036854775807"), ("000001", 1, 1000, "1"),
            ("-0.0000000001", -1, -1, "-1n"),
        ] as [(String, Int64, Int64, String)])
    func quantities(text: String, value: Int64, milli: Int64, canonical: String) throws {
        let quantity = try #require(Quantity(parsing: text))
        #expect(quantity.value == value)
        if text != "1024Mi" { #expect(quantity.milliValue == milli) }
        #expect(quantity.description == canonical)
    }

    @Test(
        "what is no quantity",
        arguments: [
            "", "m", "1K", "1mi", "1 Mi", "1.2.3", "--1", "1e", "1e+", "1Kib", "0x10", "1e3Mi", "NaN", ".", "-",
        ])
    func notQuantities(text: String) { #expect(Quantity(parsing: text) == nil) }

    @Test("quantities compare by amount")
    func compareQuantities() throws {
        let amounts = try ["1Ki", "1k", "1000", "1024", "0.5", "500m"].map { try #require(Quantity(parsing: $0)) }
        #expect(amounts[0] == amounts[3] && amounts[1] == amounts[2] && amounts[4] == amounts[5])
        #expect(amounts[1] < amounts[0])
        #expect(Set(amounts).count == 3)
    }

    @Test("base64 both ways", arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar", "\u{1F600}"])
    func base64(text: String) { #expect(Base64.decode(Base64.encode(Array(text.utf8))) == Array(text.utf8)) }

    @Test(
        "what is not base64", arguments: ["a", "ab", "abc", "a===", "ab=c", "a b=", "====", "ab==ab==", "Zg=", "é==="])
    func notBase64(text: String) { #expect(Base64.decode(text) == nil) }
}
