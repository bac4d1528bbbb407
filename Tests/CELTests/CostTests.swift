import CEL
import Documents
import Testing

/// What evaluating costs, and what it may cost at most, in the units of Kubernetes.
@Suite struct CostTests {
    static let value: JSON = [
        "text": "0123456789ab", "count": 5, "flag": true, "share": 0.5, "any": "25%", "since": "2026-01-01T00:00:00Z",
        "span": "90s", "items": [["name": "a", "port": 1], ["name": "b", "port": 2], ["name": "c"]],
        "names": ["x", "y", "z"], "labels": ["k": "v", "l": "w"], "other": ["name": "o"],
    ]

    /// What it costs, and the most it may cost.
    static func costs(_ rule: String) throws -> (actual: UInt64, most: UInt64) {
        let program = try CELProgram.compiled(rule)
        let root = CheckerTests.root
        let checked = try CELChecker.check(program, variables: [("self", root.type)])
        var evaluator = CELEvaluator(steps: 100_000)
        _ = try evaluator.evaluate(program, with: [("self", CELValue(value, as: root))])
        return (evaluator.cost, CELEstimator.maximum(of: checked, root: root))
    }

    /// An expression, its cost, its estimate.
    @Test(arguments: [
        // Reading places, and what is worked out beforehand.
        ("self.count == 5", 3, 2), ("has(self.other.name)", 2, 2), ("self.items[0].port == 1", 5, 4),
        ("1 in [1, 2]", 0, 12),
        ("duration('1m') == self.span", 3, 4), ("self.labels['k'] == 'v'", 4, 4),
        ("self.flag ? self.text == '' : self.flag", 4, 4),
        ("self.flag ? self.count : 1", 3, 4), ("self.items[self.count - 5].port", 7, 7), ("[self.count][0]", 14, 13),
        // Texts and lists, by their size.
        ("self.text == 'abc'", 3, 3), ("self.text == self.text", 6, 8), ("self.text + 'abc'", 4, 7),
        ("self.text.contains('abcdefghijk')", 6, 10),
        ("self.text.matches('[a-z]+')", 6, 12), ("self.text.startsWith('abcdefghijklmno')", 4, 4),
        ("self.text.upperAscii()", 4, 6),
        ("self.text.replace('a', 'b')", 5, 10), ("self.text.split('a').size()", 6, 11), ("self.names.join(',')", 3, 43),
        ("'y' in self.names", 5, 12), ("self.names == ['x', 'y', 'z']", 3, 13),
        ("sets.contains(self.names, ['x'])", 6, 23),
        ("self.names.isSorted()", 2, 52), ("self.names.distinct().size()", 32, 214), ("lists.range(5).size()", 17, 17),
        // Macros, by the items they look at.
        ("self.items.all(i, i.name != '')", 18, 53), ("self.items.exists(i, i.name == 'a')", 13, 73),
        ("self.items.exists_one(i, i.name == 'a')", 15, 54),
        ("self.items.filter(i, i.name == 'a').size()", 26, 174), ("self.names.map(n, n)", 42, 143),
        ("self.labels.transformMap(k, v, v.size())", 13, 83),
        ("self.names.sortBy(n, n)", 73, 376), ("self.items.all(i, v, v.port == i + 1 || true)", 27, 73),
        ("self.?other.name.optMap(n, n + 'x').hasValue()", 12, 1_844_674_407_370_955_283),
        // Kubernetes.
        ("quantity('1Gi').isLessThan(quantity('2Gi'))", 3, 3), ("cidr('10.0.0.0/8').containsIP('10.1.2.3')", 3, 6),
        ("url('https://example.com').getHost() == 'example.com'", 5, 5), ("semver('1.2.3') == semver('1.2.4')", 3, 3),
        ("format.dns1123Label().validate(self.text)", 19, 131), ("isIP(self.text)", 4, 6),
    ])
    func costs(rule: String, actual: UInt64, most: UInt64) throws {
        let found = try Self.costs(rule)
        #expect(found.actual == actual && found.most == most, "\(rule): \(found)")
    }

    @Test func whatCostsTooMuchEnds() throws {
        let numbers = JSON.array((0..<1000).map { .integer($0) })
        let program = try CELProgram.compiled("self.all(a, self.all(b, a + b >= 0))")
        var evaluator = CELEvaluator(steps: .max, callLimit: 1_000_000)
        #expect(throws: CELError.self) { try evaluator.evaluate(program, with: [("self", CELValue(numbers))]) }
        #expect(evaluator.cost > 1_000_000 && evaluator.cost < 1_000_100)
    }

    /// Some things cost little and may be much work: they end too.
    @Test(arguments: [
        "self.rows.all(r, self.rows == self.rows)", "[1, 2, 3, 4].all(i, self.text.matches('(.{100}){20}b'))",
        "self.text.findAll('a.*b|a').size() > 0", "self.text.split(self.text + 'b').size() > 0",
    ])
    func whatIsMuchWorkEnds(rule: String) throws {
        let row = JSON.array((0..<1000).map { .integer($0) })
        let value: JSON = [
            "rows": .array(Array(repeating: row, count: 100)), "text": .string(String(repeating: "a", count: 20_000)),
        ]
        let program = try CELProgram.compiled(rule)
        var evaluator = CELEvaluator(steps: 1_000_000, callLimit: 1_000_000)
        #expect(throws: CELError.self) { try evaluator.evaluate(program, with: [("self", CELValue(value))]) }
        #expect(evaluator.stepsLeft < 0 && evaluator.cost < 100_000)
    }
}
