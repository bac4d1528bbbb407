import Documents
import Testing

/// Patterns: what they match, and that none takes long.
@Suite struct PatternTests {
    static let cases: [(String, String, Bool?)] = [
        ("^[A-Z]{2}-[0-9]+$", "AB-1", true), ("^[A-Z]{2}-[0-9]+$", "A-1", false), ("b", "abc", true),
        ("^b", "abc", false),
        ("a|b|c", "xbx", true), ("^(a|b)*$", "abba", true), ("^(a|b)*$", "abca", false), ("^a?b+c*$", "bb", true),
        ("", "", true),
        ("^.$", "é", true), ("^.$", "\n", false), ("(?s)^.$", "\n", true), ("(?i)^abc$", "AbC", true),
        ("^(?i:a)b$", "AB", false),
        ("^(?i:a)b$", "Ab", true), (#"^\d{3}\w\s\S$"#, "123_ x", true), (#"\bfoo\b"#, "a foo b", true),
        (#"\bfoo\b"#, "afoo", false),
        ("^[^a-c]+$", "xyz", true), ("^[^a-c]+$", "xaz", false), ("^[]a]$", "]", true), ("^[a\\-z]$", "-", true),
        ("^[a-]$", "-", true),
        ("^[[:alpha:]]+$", "abC", true), (#"^[\d.]+$"#, "1.2", true), (#"^\x41\.$"#, "A.", true),
        ("^a{2,3}$", "aaaa", false),
        ("^a{2,}$", "aaaa", true), ("^a{0}$", "", true), ("^a{,2}$", "a{,2}", true), ("a{2", "a{2", true),
        ("^(?:ab)+?$", "abab", true),
        ("^(?P<name>x)$", "x", true), ("(a", "a", nil), ("a)", "a", nil), ("[a", "a", nil), ("*a", "a", nil),
        ("a**", "a", nil),
        (#"\1"#, "a", nil), ("(?=a)", "a", nil), ("[z-a]", "a", nil), ("a{2,1}", "a", nil),
        ("(a{1000}){1000}", "a", nil),
        ("(?m)^b$", "a\nb", true), ("^b$", "a\nb", false), (#"^\Ab\z"#, "b", true), ("x*", "", true),
        ("^()$", "", true), ("a||b", "", true),
        (#"^\p{L}+$"#, "aé", true), (#"^\pL$"#, "1", false), (#"^\P{N}$"#, "1", false),
    ]

    /// A pattern, a text, and what is found in it.
    @Test(arguments: [
        ("[0-9]+", "a1 b22", ["1", "22"]), ("a|ab", "abab", ["a", "a"]), ("ab|a", "aba", ["ab", "a"]),
        ("<.+?>", "<a><b>", ["<a>", "<b>"]),
        ("<.+>", "<a><b>", ["<a><b>"]), ("a*", "baac", ["", "aa", ""]), ("", "é", ["", ""]), ("^a", "aa", ["a"]),
        ("a$", "aa", ["a"]),
        (#"\bx"#, "x xx", ["x", "x"]), ("(a+)(b+)?", "aabba", ["aabb", "a"]), ("x", "abc", []),
        ("a{2}?", "aaaa", ["aa", "aa"]),
    ])
    func finds(pattern: String, text: String, expected: [String]) throws {
        let compiled = try #require(Pattern(pattern))
        #expect(compiled.matches(in: text) == expected)
        #expect(compiled.matches(in: text, limit: 1) == Array(expected.prefix(1)))
        #expect(compiled.matches(text) == !expected.isEmpty)
    }

    @Test(arguments: cases.indices)
    func matches(index: Int) {
        let (pattern, text, expected) = Self.cases[index]
        #expect(Pattern(pattern).map { $0.matches(text) } == expected, "\(pattern) on \(text)")
    }

    @Test func noPatternBlowsUp() throws {
        let pattern = try #require(Pattern("^(a+)+$"))
        #expect(!pattern.matches(String(repeating: "a", count: 5000) + "b"))
        let nested = try #require(Pattern("^(((a*)*)*)*$"))
        #expect(nested.matches(String(repeating: "a", count: 500)))
        // Nothing, a thousand times a thousand times a thousand times. Found by fuzzing, as is the next.
        #expect(try #require(Pattern("^(((){1000}){1000}){1000}$")).matches(""))
    }

    /// What is not beyond ASCII, in a class: the ranges end with the last character there is.
    @Test func aNegatedClassWithinAClass() throws {
        #expect(try #require(Pattern("^[\\P{Greek}]$")).matches("a"))
        #expect(try !#require(Pattern("^[\\P{Greek}]$")).matches("é"))
        #expect(try #require(Pattern("^[^\\PL]$")).matches("a"))
        #expect(try !#require(Pattern("^[^\\PL]$")).matches("5"))
    }

    @Test func noTextTraps() {
        let parts = [
            "a", "[", "]", "(", ")", "*", "+", "?", "{2}", "{2,3}", "|", "^", "$", "\\", "\\d", ".", "-", "(?i)", "[^",
            "é", "[:alpha:]",
        ]
        var generator = FixedGenerator()
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0..<12, using: &generator)).compactMap { _ in
                parts.randomElement(using: &generator)
            }
            _ = Pattern(text.joined())?.matches("aa-é]")
        }
    }
}

/// The same numbers each time, so that what fails once fails again.
private struct FixedGenerator: RandomNumberGenerator {
    private var state: UInt64 = 7

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}
