import CEL
import Documents
import Testing

/// The language: expression, value of `self`, answer.
@Suite struct ExpressionTests {
    static let cases: [(String, JSON, String)] = [
        ("1 + 2 * 3 == 7", 0, "true"), ("(1 + 2) * 3", 0, "9"), ("-7 / 2", 0, "-3"), ("-7 % 2", 0, "-1"),
        ("7u + 1u", 0, "8"),
        ("1 / 0", 0, "division by zero"), ("9223372036854775807 + 1", 0, "integer overflow"),
        ("-9223372036854775808", 0, "-9223372036854775808"),
        ("1 == 1.0", 0, "true"), ("1 < 2u", 0, "true"), ("0.1 + 0.2 < 0.4", 0, "true"), ("0x10", 0, "16"),
        ("1e3", 0, "1000"),
        ("'a' + \"b\" + '''c'''", 0, "abc"), (#"'\u00e9\n'.size()"#, 0, "2"), (#"r'\n'.size()"#, 0, "2"),
        ("b'abc'.size()", 0, "3"),
        ("true ? 'x' : 'y'", 0, "x"), ("false || true && !false", 0, "true"),
        ("self.missing == 1 || true", [:], "true"),
        ("self.missing == 1 && false", [:], "false"), ("self.missing == 1", [:], "no such key: missing"),
        ("has(self.a) && !has(self.b)", ["a": 1], "true"), ("self.a.b[1]", ["a": ["b": [1, 2]]], "2"),
        ("self.b[2]", ["b": [1]], "index out of bounds: 2"), ("self['a']", ["a": 5], "5"),
        ("'a' in self", ["a": 5], "true"),
        ("2 in self", [1, 2], "true"), ("2.0 in self", [1, 2], "true"), ("self.all(x, x > 0)", [1, 2], "true"),
        ("self.exists(x, x > 1)", [1, 2], "true"), ("self.exists_one(x, x > 1)", [1, 2, 3], "false"),
        ("self.map(x, x * 2).sum()", [1, 2], "6"), ("self.map(x, x > 1, x * 2).size()", [1, 2], "1"),
        ("self.filter(x, x.a == 1).size()", [["a": 1], ["a": 2]], "1"),
        ("self.all(x, self.exists(y, y == x))", [1, 2], "true"),
        ("self.all(k, k.startsWith('a'))", ["a1": 1, "a2": 2], "true"),
        ("self.startsWith('ab') && self.endsWith('cd')", "abcd", "true"),
        ("self.contains('bc')", "abcd", "true"), ("self.matches('^[a-z]+$')", "abcd", "true"),
        ("size(self)", "añb", "3"),
        ("self.split(',').map(x, x.trim()).join('-')", "a, b", "a-b"), ("self.replace('a', 'b')", "aba", "bbb"),
        ("self.lowerAscii()", "AbC", "abc"), ("self.substring(1, 3)", "abcd", "bc"), ("self.indexOf('c')", "abcd", "2"),
        ("self.a__dash__b + self.__namespace__", ["a-b": "x", "namespace": "y"], "xy"),
        ("type(self) == int", 4, "true"),
        ("int('12') + int(3.9)", 0, "15"), ("string(1) + string(true)", 0, "1true"), ("double('1.5')", 0, "1.5"),
        ("duration('1h30m') > duration('89m')", 0, "true"),
        ("timestamp('2026-01-01T00:00:00Z') + duration('1s') == timestamp('2026-01-01T01:00:01+01:00')", 0, "true"),
        ("{'a': 1, 'b': 2}.all(k, k in ['a', 'b'])", 0, "true"), ("[1, 2] == [1.0, 2.0]", 0, "true"),
        ("[1] + [2] == [1, 2]", 0, "true"),
        ("self.?a.?b.orValue(7)", ["a": [:]], "7"), ("self.?a.hasValue()", [:], "false"), ("[3, 1].min()", 0, "1"),
        ("[1, 2].isSorted()", 0, "true"), ("self == null", nil, "true"),
        ("1 < 'a'", 0, "no such overload: _<_(int, string)"),
        ("!1", 0, "no such overload"), ("'a'.unknown()", 0, "undeclared reference to 'unknown'"),
        ("other", 0, "undeclared reference to 'other'"),
        ("a.b(", 0, "Syntax error: unexpected the end"), ("1 +", 0, "Syntax error: unexpected the end"),
        ("'a", 0, "a string is not closed"),
        ("#", 0, "unexpected character at byte 1"), ("1 2", 0, "Syntax error: unexpected a number"),
    ]

    @Test(arguments: cases.indices)
    func answers(index: Int) {
        let (rule, value, expected) = Self.cases[index]
        #expect(Self.answer(rule, value) == expected, "\(rule)")
    }

    static func answer(_ rule: String, _ value: JSON) -> String {
        var evaluator = CELEvaluator(steps: 100_000)
        do throws(CELError) {
            let result = try evaluator.evaluate(try CELProgram.compiled(rule), with: [("self", CELValue(value))])
            return result.text ?? result.typeName
        } catch {
            return error.message
        }
    }

    @Test func aRuleThatTakesTooLongEnds() throws {
        let numbers = JSON.array((0..<1000).map { .integer($0) })
        let answer = Self.answer("self.all(a, self.all(b, self.all(c, a + b + c >= 0)))", numbers)
        #expect(answer == "the rules of the document took too many steps")
    }

    @Test func nestingIsBounded() {
        let deep = String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000)
        #expect(Self.answer(deep, 0) == "the expression is longer than 8192 bytes")
        let bounded = String(repeating: "(", count: 500) + "1" + String(repeating: ")", count: 500)
        #expect(Self.answer(bounded, 0) == "the expression nests too deep")
        #expect(Self.answer(String(repeating: "!", count: 500) + "true", 0) == "the expression nests too deep")
    }

    /// The libraries of Kubernetes: expression and answer.
    @Test(arguments: [
        ("quantity('1Gi').isGreaterThan(quantity('1000M'))", "true"),
        ("quantity('1500m').add(quantity('500m')) == quantity('2')", "true"),
        ("quantity('2').sub(1).asInteger()", "1"), ("quantity('1500m').isInteger()", "false"),
        ("quantity('1').compareTo(quantity('2'))", "-1"), ("isQuantity('ten')", "false"),
        ("quantity('ten')", "\"ten\" is no quantity"), ("ip('127.0.0.1').isLoopback()", "true"),
        ("ip('::1').family()", "6"), ("isIP('1.2.3')", "false"), ("isIP('1::2::3')", "false"),
        ("isIP('::ffff:1.2.3.4')", "false"), ("isIP('fe80::1%eth0')", "false"),
        ("ip.isCanonical('2001:DB8::1')", "false"), ("string(ip('2001:db8:0:0:1:0:0:1'))", "2001:db8::1:0:0:1"),
        ("string(ip('0:0:0:0:0:0:0:0'))", "::"), ("ip('10.0.0.1').isGlobalUnicast()", "true"),
        ("ip('fe80::1').isLinkLocalUnicast()", "true"), ("cidr('10.0.0.0/8').containsIP('10.9.8.7')", "true"),
        ("cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))", "false"),
        ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", "true"),
        ("cidr('10.1.0.0/16').containsCIDR('10.0.0.0/8')", "false"),
        ("string(cidr('10.1.2.3/12').masked())", "10.0.0.0/12"),
        ("cidr('2001:db8::/32').prefixLength()", "32"), ("isCIDR('10.0.0.0/33')", "false"),
        ("isCIDR('10.0.0.0/08')", "false"),
        ("url('https://u@h.example:8080/a%20b?x=1&x=2').getHost()", "h.example:8080"),
        ("url('https://h.example:8080/a').getPort()", "8080"), ("url('https://[::1]:80/').getHostname()", "::1"),
        ("url('https://h/a%20b?x=1').getEscapedPath()", "/a%20b"),
        ("url('https://h/?x=1&x=2').getQuery()['x'][1]", "2"),
        ("url('/a').getScheme()", ""), ("isURL('no url')", "false"), ("isURL('https://h:p/')", "false"),
        ("sets.contains([1, 2, 3], [3, 1])", "true"), ("sets.contains([1], [2])", "false"),
        ("sets.equivalent([1, 1, 2], [2, 1])", "true"), ("sets.intersects([1], [2])", "false"),
        ("'%s has %d of %.2f, %x %%'.format(['a', 3, 1.005, 255])", "a has 3 of 1.00, ff %"),
        ("'%s'.format([[1, 'b', true]])", "[1, b, true]"), ("'%d'.format(['a'])", "format: %d does not take string"),
        ("'%s %s'.format(['a'])", "format: index 1 out of range"), ("'abc'.reverse()", "cba"),
        ("duration('90m').getHours()", "1"), ("sets.none([1], [2])", "undeclared reference to 'sets.none'"),
    ])
    func librariesOfKubernetes(_ expression: String, _ expected: String) {
        #expect(Self.answer(expression, 0) == expected, "\(expression)")
    }

    @Test func noTextTraps() {
        let parts = [
            "self", ".", "a", "(", ")", "[", "]", "{", "}", "'x'", "1", "1.5", "2u", "+", "-", "*", "/", "%", "==", "<",
            "&&", "||", "!", "?", ":", "has", "all", "x", ",", "in", "size", "null", "map", "matches", "'['",
            "9223372036854775807", "-9223372036854775808", "b'a'",
        ]
        var generator = FixedGenerator()
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0..<14, using: &generator)).compactMap { _ in
                parts.randomElement(using: &generator)
            }
            _ = Self.answer(text.joined(separator: " "), ["a": [1, 2, ["x": "y"]]])
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
