import Admission
import Documents
import Testing

/// What is said of the rules of a definition when it is stored.
@Suite struct RuleCheckTests {
    /// A definition whose `spec` has `schema`.
    static func definition(_ schema: JSON) -> Document {
        Document([
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": ["name": "things.example.com"],
            "spec": [
                "group": "example.com", "scope": "Cluster",
                "names": ["kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"],
                "versions": [
                    [
                        "name": "v1", "served": true, "storage": true,
                        "schema": ["openAPIV3Schema": ["type": "object", "properties": ["spec": schema]]],
                    ]
                ],
            ],
        ])
    }

    /// The causes as `field: message`, the field below the schema of `spec`.
    static func problems(_ schema: JSON, old: JSON? = nil) throws -> [String] {
        let kind = try #require(TestKinds.definitions.first { $0.kind == "CustomResourceDefinition" })
        let request = AdmissionRequest(
            definition: kind, version: "v1", operation: old == nil ? .create : .update, old: old.map(definition),
            new: definition(schema))
        let place = "spec.versions[0].schema.openAPIV3Schema"
        do {
            _ = try admit(request)
            return []
        } catch {
            return error.causes.map { cause in
                let field = cause.field == place ? "" : cause.field.replacing("\(place).properties[spec]", with: "")
                return "\(field): \(cause.message.replacing("\(place).properties[spec]", with: ""))"
            }
        }
    }

    static func rule(_ text: JSON, _ more: JSON = [:], on schema: JSON) -> JSON {
        var rule = more
        rule["rule"] = text
        var schema = schema
        schema["x-kubernetes-validations"] = [rule]
        return schema
    }

    static let members: JSON = [
        "type": "object",
        "properties": [
            "text": ["type": "string"], "short": ["type": "string", "maxLength": 10], "count": ["type": "integer"],
            "share": ["type": "number"], "flag": ["type": "boolean"], "port": ["x-kubernetes-int-or-string": true],
            "since": ["type": "string", "format": "date-time"], "day": ["type": "string", "format": "date"],
            "span": ["type": "string", "format": "duration"], "blob": ["type": "string", "format": "byte"],
            "free": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
            "unknown": ["x-kubernetes-preserve-unknown-fields": true],
            "pod": ["type": "object", "x-kubernetes-embedded-resource": true],
            "labels": ["type": "object", "additionalProperties": ["type": "string"]],
            "names": ["type": "array", "items": ["type": "string"]], "maybe": ["type": "string", "nullable": true],
            "a-b": ["type": "string"], "x__y": ["type": "string"], "c.d": ["type": "string"], "e/f": ["type": "string"],
            "namespace": ["type": "string"], "$ref": ["type": "string"],
        ],
    ]

    /// The types that members of a schema have in rules.
    @Test(arguments: [
        "self.text == 'a'", "self.count == 1", "self.share == 1.5", "self.flag", "self.port == 1 || self.port == '1'",
        "self.port.size() > self.count", "self.since > timestamp('2026-01-01T00:00:00Z')", "self.day < self.since",
        "self.span < duration('1m')", "self.blob == b'a'", "size(self.free) == 0 || true", "self.pod.kind == 'Pod'",
        "self.pod.metadata.name == self.pod.apiVersion + self.pod.metadata.generateName", "self.labels['a'] == 'b'",
        "self.labels.all(k, v, k == v)", "'a' in self.names", "has(self.maybe) && self.maybe == 'a'",
        "self.a__dash__b == 'a'", "self.x__underscores__y == 'a'", "self.c__dot__d == 'a'", "self.e__slash__f == 'a'",
        "self.__namespace__ == 'a' && self.namespace == 'a'", "self.span + self.span > duration('1s')",
        "self == oldSelf",
    ])
    func typesOfMembers(rule: String) throws {
        let rules = rule.contains("size(self.free)") ? ["self.free == self.free"] : [rule]
        for rule in rules { #expect(try Self.problems(Self.rule(.string(rule), on: Self.members)) == [], "\(rule)") }
    }

    @Test(arguments: [
        ("self.foo == 1", "5: undefined field 'foo'"), ("self.unknown == 1", "5: undefined field 'unknown'"),
        ("self.free.x == 1", "10: undefined field 'x'"), ("self.pod.spec == 1", "9: undefined field 'spec'"),
        ("self.pod.metadata.labels == 1", "18: undefined field 'labels'"), ("self.a == 1", "5: undefined field 'a'"),
        ("self.span == '1s'", "11: found no matching overload for '_==_' applied to '(duration, string)'"),
        ("self.count == self.share", "12: found no matching overload for '_==_' applied to '(int, double)'"),
        ("self.maybe == null", "12: found no matching overload for '_==_' applied to '(string, null)'"),
        (
            "self.pod == self.free",
            "10: found no matching overload for '_==_' applied to '(selfType.pod, selfType.free)'"
        ),
        (
            "self.text ==",
            "13: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', "
                + "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
        ),
    ])
    func aRuleThatDoesNotFitIsShown(rule: String, problem: String) throws {
        let said = try Self.problems(Self.rule(.string(rule), on: Self.members))
        let shown =
            #"{"Rule":"\#(rule)","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","#
            + #""OptionalOldSelf":null}"#
        let column = Int(problem.prefix { $0 != ":" }) ?? 0
        let mark = String(repeating: ".", count: column - 1) + "^"
        #expect(
            said == [
                ".x-kubernetes-validations[0].rule: Invalid value: \(shown): compilation failed: "
                    + "ERROR: <input>:1:\(problem)\n | \(rule)\n | \(mark)"
            ])
    }

    @Test func resultsHaveATypeToo() throws {
        let said = try Self.problems(Self.rule("self.text", on: Self.members))
        #expect(said.count == 1 && said[0].hasSuffix(": cel expression must evaluate to a bool"))
        let message = try Self.problems(Self.rule("self.flag", ["messageExpression": "self.count"], on: Self.members))
        #expect(message.count == 1)
        #expect(message[0].hasPrefix(".x-kubernetes-validations[0].messageExpression: Invalid value: {"))
        #expect(message[0].hasSuffix(": messageExpression must evaluate to a string"))
        let broken = try Self.problems(Self.rule("self.flag", ["messageExpression": "self.foo"], on: Self.members))
        #expect(broken[0].contains(": messageExpression compilation failed: ERROR: <input>:1:5: undefined field 'foo'"))
    }

    /// What is asked of a rule beside its expression.
    @Test(
        arguments: [
            (["message": " "], ".message: Invalid value: \" \": must be non-empty if specified"),
            (["message": "a\nb"], ".message: Invalid value: \"a\\nb\": must not contain line breaks"),
            (
                ["messageExpression": " "],
                ".messageExpression: Required value: messageExpression must be non-empty if specified"
            ),
            (
                ["reason": "Because"],
                ".reason: Unsupported value: \"Because\": supported values: \"FieldValueDuplicate\", "
                    + "\"FieldValueForbidden\", \"FieldValueInvalid\", \"FieldValueRequired\""
            ),
            (["fieldPath": ".nothing"], ".fieldPath: Invalid value: \".nothing\": must be a valid path"),
            (["fieldPath": "text"], ".fieldPath: Invalid value: \"text\": must be a valid path"),
            (["fieldPath": ".labels['a']"], ""), (["fieldPath": "['a-b']"], ""), (["fieldPath": ".pod"], ""),
            (
                ["optionalOldSelf": true],
                ".optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"
            ),
        ] as [(JSON, String)])
    func formsOfRules(more: JSON, expected: String) throws {
        let said = try Self.problems(Self.rule("self.flag", more, on: Self.members))
        let first = said.first.map { String($0.dropFirst(".x-kubernetes-validations[0]".count)) } ?? ""
        #expect(first == expected)
        let lines = try Self.problems(Self.rule("self.flag\n", on: Self.members))
        #expect(lines == [])
        let inner = try Self.problems(Self.rule("self.flag &&\nself.flag", on: Self.members))
        #expect(
            inner == [
                ".x-kubernetes-validations[0].message: Required value: message must be specified if rule contains line "
                    + "breaks"
            ])
    }

    @Test func itemsOfAtomicListsHaveNoOldSelves() throws {
        func list(_ kind: JSON?) -> JSON {
            var list: JSON = [
                "type": "array", "maxItems": 10,
                "items": Self.rule(
                    "self.x == oldSelf.x",
                    on: ["type": "object", "required": ["x"], "properties": ["x": ["type": "integer"]]]),
            ]
            if let kind {
                list["x-kubernetes-list-type"] = kind
                if kind == "map" { list["x-kubernetes-list-map-keys"] = ["x"] }
            }
            return ["type": "object", "properties": ["list": list]]
        }
        #expect(try Self.problems(list("map")) == [])
        #expect(
            try Self.problems(list(nil)) == [
                ".properties[list].items.x-kubernetes-validations[0].rule: Invalid value: \"self.x == oldSelf.x\": "
                    + "oldSelf cannot be used on the uncorrelatable portion of the schema within .properties[list]"
            ])
    }

    // MARK: - Costs

    private static let advice =
        "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
        + "declared)"

    private static func list(_ limit: JSON?, _ item: JSON = ["type": "string"]) -> JSON {
        var list: JSON = ["type": "array", "items": item]
        if let limit { list["maxItems"] = limit }
        return list
    }

    /// A rule on a list of texts, how many there may be, and by which factor the rule costs too much.
    @Test(
        arguments: [
            ("self.all(x, x != '')", nil, nil), ("self.all(x, x.contains('abc'))", nil, "more than 100x"),
            ("self.all(x, self.all(y, x == y))", 5, nil), ("self.all(x, self.all(y, x == y))", nil, "more than 100x"),
            ("self.all(x, self.all(y, x == y || y == x))", 6, "2.3x"),
            ("self.all(x, self.exists(y, y.size() == x.size()))", 1000, nil),
            ("self.all(x, self.exists(y, y.size() == x.size()))", 1100, "1.089550x"),
        ] as [(String, Int64?, String?)])
    func aRuleMayCostTooMuch(rule: String, limit: Int64?, factor: String?) throws {
        let said = try Self.problems(Self.rule(.string(rule), on: Self.list(limit.map { .integer($0) })))
        let first = said.first
        let expected = factor.map {
            ".x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of \($0) \(Self.advice)"
        }
        #expect(first == expected, "\(said)")
    }

    @Test func rulesBelowListsCountOften() throws {
        let item = Self.rule(
            "self.x.contains('abcdefghijk')",
            on: ["type": "object", "properties": ["x": ["type": "string", "maxLength": 100]]])
        #expect(try Self.problems(["type": "object", "properties": ["list": Self.list(10, item)]]) == [])
        let nested = Self.list(10_000, ["type": "object", "properties": ["list": Self.list(1000, item)]])
        let said = try Self.problems(["type": "object", "properties": ["list": nested]])
        #expect(said.count == 3)
        let field = ".properties[list].items.properties[list].items.x-kubernetes-validations[0].rule"
        #expect(
            said.first == "\(field): Forbidden: estimated rule cost exceeds budget by factor of 82.0x \(Self.advice)")
        #expect(
            said[1]
                == "\(field): Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        )
        let name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        #expect(said[2] == ": Forbidden: \(name) exceeds budget by factor of 8.2x \(Self.advice)")
    }

    /// What is stored stays, whatever is found out about it.
    @Test func whatIsStoredStays() throws {
        let bad = Self.rule("self.foo == 1", on: Self.members)
        #expect(try Self.problems(bad).count == 1)
        #expect(try Self.problems(bad, old: bad) == [])
        var longer = bad
        longer["properties"]?["more"] = ["type": "string"]
        #expect(try Self.problems(longer, old: bad) == [])
        let other = Self.rule("self.bar == 1", on: Self.members)
        #expect(try Self.problems(other, old: bad).count == 1)
    }
}
