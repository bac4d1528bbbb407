import CEL
import Documents
import Testing

/// The language: expression, value of `self`, answer.
@Suite struct ExpressionTests {
    static let operand =
        "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

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
        ("a.b(", 0, "Syntax error: mismatched input '<EOF>' expecting \(operand)"),
        ("1 +", 0, "Syntax error: mismatched input '<EOF>' expecting \(operand)"),
        ("'a", 0, "a string is not closed"),
        ("#", 0, "Syntax error: token recognition error at: '#'"),
        ("1 2", 0, "Syntax error: extraneous input '2' expecting <EOF>"),
        ("namespace == 1", 0, "reserved identifier: namespace"),
        ("9223372036854775808", 0, "invalid int literal"),
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
        #expect(answer == "operation cancelled: actual cost limit exceeded")
    }

    @Test func nestingIsBounded() {
        let deep = String(repeating: "(", count: 100_000) + "1"
        #expect(Self.answer(deep, 0) == "the expression is longer than 100000 bytes")
        let bounded = String(repeating: "(", count: 500) + "1" + String(repeating: ")", count: 500)
        #expect(Self.answer(bounded, 0) == "max recursion depth exceeded")
        #expect(Self.answer("1" + String(repeating: "+1", count: 500), 0) == "max recursion depth exceeded")
        // What has no depth has no such limit.
        #expect(Self.answer(String(repeating: "!", count: 500) + "true", 0) == "true")
        #expect(Self.answer("false" + String(repeating: " || false", count: 500) + " || true", 0) == "true")
        #expect(Self.answer(String(repeating: "(", count: 100) + "1" + String(repeating: ")", count: 100), 0) == "1")
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
        ("'%s %s'.format(['a'])", "format: index 1 out of range"),
        ("'abc'.reverse()", "no such overload: reverse(string)"),
        ("duration('90m').getHours()", "1"), ("sets.none([1], [2])", "undeclared reference to 'sets'"),
    ])
    func librariesOfKubernetes(_ expression: String, _ expected: String) {
        #expect(Self.answer(expression, 0) == expected, "\(expression)")
    }

    /// What came later: expression and answer.
    @Test(arguments: [
        ("[1, 2].all(i, v, i < v)", "true"), ("{'a': 1}.all(k, v, k == 'a' && v == 1)", "true"),
        ("[3, 4].exists(i, v, i == 1 && v == 4)", "true"), ("{'a': 1, 'b': 2}.exists(k, v, v == 3)", "false"),
        ("[1, 1, 2].existsOne(i, v, v == 1)", "false"), ("[1, 1, 2].exists_one(i, v, i == 0)", "true"),
        ("[1, 2].existsOne(v, v == 2)", "true"),
        ("[5, 6].transformList(i, v, i + v) == [5, 7]", "true"),
        ("[5, 6].transformList(i, v, i > 0, v) == [6]", "true"),
        ("{'a': 1}.transformList(k, v, k) == ['a']", "true"),
        ("[5, 6].transformMap(i, v, v * 2)[1]", "12"),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v + 1) == {'b': 3}", "true"),
        ("{'a': 'b'}.transformMapEntry(k, v, {v: k})['b']", "a"),
        ("['x', 'x'].transformMapEntry(i, v, {v: i})", "insert failed: key x already exists"),
        ("[1].all(i, i, true)", "duplicate variable name: i"), ("[1].map(1, 2)", "argument is not an identifier"),
        ("[1].all(a.b, true)", "argument must be a simple name"),
        ("semver('1.2.3').isLessThan(semver('1.10.0'))", "true"),
        ("semver('1.0.0-alpha').compareTo(semver('1.0.0'))", "-1"),
        ("semver('1.0.0-alpha.2').isGreaterThan(semver('1.0.0-alpha.10'))", "false"),
        ("semver('1.0.0+a') == semver('1.0.0+b')", "true"), ("isSemver('v1.0')", "false"),
        ("isSemver('v1.0', true)", "true"),
        ("semver('01.02', true).minor()", "2"), ("semver('3.4.5').patch()", "5"), ("isSemver('01.2.3')", "false"),
        ("isSemver('1.2.3-01')", "false"), ("semver('x')", "\"x\" is no version"),
        ("optional.of(1).optMap(x, x + 1).value()", "2"), ("optional.none().optMap(x, x + 1).hasValue()", "false"),
        ("optional.of([1]).optFlatMap(x, x[?0]).orValue(5)", "1"), ("optional.ofNonZeroValue('').hasValue()", "false"),
        ("[1, ?optional.none(), ?optional.of(2)] == [1, 2]", "true"), ("{?'a': optional.none()} == {}", "true"),
        ("[[1], [2]].flatten() == [1, 2]", "true"), ("[3, 1, 2].sort() == [1, 2, 3]", "true"),
        ("['bb', 'a'].sortBy(x, x.size()) == ['a', 'bb']", "true"), ("[1, 2, 1].distinct() == [1, 2]", "true"),
        ("[1, 2].reverse() == [2, 1]", "true"), ("[1, 2, 3].slice(1, 2) == [2]", "true"),
        ("[1].slice(0, 2)", "cannot slice(0, 2), list is length 1"), ("lists.range(3) == [0, 1, 2]", "true"),
        ("[1, 2].first().value() + [1, 2].last().value()", "3"),
        ("optional.unwrap([optional.of(1), optional.none()]) == [1]", "true"),
        ("timestamp('2026-03-01T10:20:30.5Z').getMonth()", "2"),
        ("timestamp('2026-03-01T23:00:00Z').getDate('+02:00')", "2"),
        ("timestamp('2026-03-01T00:00:00Z').getDayOfYear()", "59"),
        ("timestamp('2026-11-29T00:00:00Z').getDayOfWeek()", "0"),
        ("string(timestamp('2026-03-01T10:20:30.5Z'))", "2026-03-01T10:20:30.5Z"),
        ("string(timestamp(0))", "1970-01-01T00:00:00Z"),
        ("int(duration('2s'))", "2000000000"),
        ("duration('1h') + timestamp('2026-01-01T00:00:00Z') == timestamp('2026-01-01T01:00:00Z')", "true"),
        ("'a-b-c'.split('-', 2) == ['a', 'b-c']", "true"), ("'aaa'.replace('a', 'b', 2)", "bba"),
        ("'ab'.replace('', '-')", "-a-b-"), ("'abcabc'.indexOf('c', 3)", "5"), ("'abcabc'.lastIndexOf('a', 2)", "0"),
        ("strings.quote('a\"b')", "\"a\\\"b\""), ("format.dns1123Label().validate('a-b').hasValue()", "false"),
        ("format.named('dns1035Label').value().validate('1a').hasValue()", "true"),
        ("format.named('none').hasValue()", "false"),
        ("type(duration('1s')) == google.protobuf.Duration", "true"), ("0x10u + 1u", "17"),
    ])
    func whatCameLater(_ expression: String, _ expected: String) {
        #expect(Self.answer(expression, 0) == expected, "\(expression)")
    }

    @Test func noTextTraps() {
        let parts = [
            "self", ".", "a", "(", ")", "[", "]", "{", "}", "'x'", "1", "1.5", "2u", "+", "-", "*", "/", "%", "==", "<",
            "&&", "||", "!", "?", ":", "has", "all", "x", ",", "in", "size", "null", "map", "matches", "'['",
            "9223372036854775807", "-9223372036854775808", "b'a'", ".?", "[?", "optional", "of", "transformMap", "y",
        ]
        var generator = FixedGenerator()
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0..<14, using: &generator)).compactMap { _ in
                parts.randomElement(using: &generator)
            }
            let rule = text.joined(separator: " ")
            _ = Self.answer(rule, ["a": [1, 2, ["x": "y"]]])
            _ = CheckerTests.type(rule)
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
