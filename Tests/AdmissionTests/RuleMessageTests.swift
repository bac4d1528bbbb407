import Admission
import Documents
import Testing

/// Rules of a schema: when they run, and what is said when one is broken.
@Suite struct RuleMessageTests {
    /// The causes, as `field: message [reason]`.
    static func causes(_ spec: JSON, of schema: JSON, old: JSON? = nil) throws -> [String] {
        let definition = try #require(
            ResourceDefinition(
                customResourceDefinition: Document([
                    "spec": [
                        "group": "example.com", "scope": "Cluster", "names": ["kind": "Thing", "plural": "things"],
                        "versions": [
                            [
                                "name": "v1", "served": true, "storage": true,
                                "schema": ["openAPIV3Schema": ["type": "object", "properties": ["spec": schema]]],
                            ]
                        ],
                    ]
                ])))
        func document(_ spec: JSON) -> Document {
            Document(["apiVersion": "example.com/v1", "kind": "Thing", "metadata": ["name": "a"], "spec": spec])
        }
        do {
            _ = try admit(
                AdmissionRequest(
                    definition: definition, version: "v1", operation: old == nil ? .create : .update,
                    old: old.map(document),
                    new: document(spec)))
            return []
        } catch {
            return error.causes.map { "\($0.field): \($0.message) [\($0.reason)]" }
        }
    }

    static func schema(_ rule: JSON, type: JSON = "integer") -> JSON {
        ["type": "object", "properties": ["x": ["type": type, "x-kubernetes-validations": [rule]]]]
    }

    @Test func aRuleWithoutMessageNamesItself() throws {
        let said = try Self.causes(["x": 3], of: Self.schema(["rule": "self < 3"]))
        #expect(said == ["spec.x: Invalid value: 3: failed rule: self < 3 [FieldValueInvalid]"])
    }

    @Test func aMessageExpressionIsEvaluated() throws {
        let rule: JSON = [
            "rule": "self < 3", "message": "too much", "messageExpression": "'at most 2, not ' + string(self)",
        ]
        #expect(
            try Self.causes(["x": 7], of: Self.schema(rule)) == [
                "spec.x: Invalid value: 7: at most 2, not 7 [FieldValueInvalid]"
            ])
        let broken: JSON = ["rule": "self < 3", "message": "too much", "messageExpression": "1 / 0"]
        #expect(
            try Self.causes(["x": 7], of: Self.schema(broken)) == [
                "spec.x: Invalid value: 7: too much [FieldValueInvalid]"
            ])
    }

    @Test(arguments: [
        ("FieldValueForbidden", "Forbidden: no"), ("FieldValueRequired", "Required value: no"),
        ("FieldValueDuplicate", "Duplicate value: 7"), ("FieldValueInvalid", "Invalid value: 7: no"),
    ])
    func theReasonIsTheRules(reason: String, message: String) throws {
        let rule: JSON = ["rule": "self < 3", "message": "no", "reason": .string(reason)]
        #expect(try Self.causes(["x": 7], of: Self.schema(rule)) == ["spec.x: \(message) [\(reason)]"])
    }

    @Test func aRuleMayPointAtAFieldBelow() throws {
        let schema: JSON = [
            "type": "object", "properties": ["x": ["type": "integer"]],
            "x-kubernetes-validations": [["rule": "self.x < 3", "message": "no", "fieldPath": ".x"]],
        ]
        #expect(try Self.causes(["x": 7], of: schema) == ["spec.x: Invalid value: no [FieldValueInvalid]"])
    }

    @Test func aTransitionRuleNeedsAnOldValue() throws {
        let schema = Self.schema(["rule": "self >= oldSelf", "message": "must not fall"])
        #expect(try Self.causes(["x": 1], of: schema) == [])
        #expect(try Self.causes(["x": 1], of: schema, old: [:]) == [])
        #expect(
            try Self.causes(["x": 1], of: schema, old: ["x": 2]) == [
                "spec.x: Invalid value: 1: must not fall [FieldValueInvalid]"
            ])
    }

    @Test func itemsOfAMapListKeepTheirOldSelves() throws {
        let item: JSON = [
            "type": "object", "required": ["name"],
            "properties": ["name": ["type": "string"], "size": ["type": "integer"]],
            "x-kubernetes-validations": [["rule": "self.size >= oldSelf.size", "message": "must not shrink"]],
        ]
        let list: JSON = [
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item,
        ]
        let schema: JSON = ["type": "object", "properties": ["list": list]]
        let old: JSON = ["list": [["name": "a", "size": 1], ["name": "b", "size": 5]]]
        let new: JSON = ["list": [["name": "b", "size": 4], ["name": "c", "size": 0], ["name": "a", "size": 1]]]
        #expect(
            try Self.causes(new, of: schema, old: old) == [
                "spec.list[0]: Invalid value: must not shrink [FieldValueInvalid]"
            ])
    }

    @Test func whatIsUnchangedIsNotJudgedAgain() throws {
        let schema: JSON = [
            "type": "object",
            "properties": [
                "x": ["type": "integer", "maximum": 3, "x-kubernetes-validations": [["rule": "self < 2"]]],
                "y": ["type": "string"],
            ],
        ]
        #expect(try Self.causes(["x": 9, "y": "b"], of: schema, old: ["x": 9, "y": "a"]) == [])
        #expect(try Self.causes(["x": 8, "y": "b"], of: schema, old: ["x": 9, "y": "a"]).count == 2)
    }

    @Test func aRuleThatCannotBeAnsweredSaysWhy() throws {
        let schema: JSON = [
            "type": "object", "properties": ["x": ["type": "integer"]],
            "x-kubernetes-validations": [["rule": "self.x < 3", "message": "small"]],
        ]
        #expect(
            try Self.causes([:], of: schema) == [
                "spec: Invalid value: \"object\": no such key: x evaluating rule: small [FieldValueInvalid]"
            ])
    }

    @Test func aRuleThatUsesWhatIsNotThereCountsAsKept() throws {
        #expect(try Self.causes(["x": 7], of: Self.schema(["rule": "self.isOfTheFuture()"])) == [])
    }

    /// `oldSelf` is an optional: the rule is run where there is no old value, too.
    @Test func anOptionalOldSelfIsJudgedOnCreation() throws {
        let schema = Self.schema([
            "rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 1",
            "message": "starts at one, must not fall",
            "optionalOldSelf": true,
        ])
        let said = ["spec.x: Invalid value: 5: starts at one, must not fall [FieldValueInvalid]"]
        #expect(try Self.causes(["x": 1], of: schema) == [])
        #expect(try Self.causes(["x": 5], of: schema) == said)
        #expect(try Self.causes(["x": 5], of: schema, old: [:]) == said)
        #expect(try Self.causes(["x": 5], of: schema, old: ["x": 3]) == [])
        #expect(try Self.causes(["x": 5], of: schema, old: ["x": 7]) == said)
    }

    /// Values are what their formats say.
    @Test(arguments: [
        ("self.since + self.span == timestamp('2026-01-01T00:01:00Z')", true),
        ("self.day == timestamp('2026-01-02T00:00:00Z')", true),
        ("self.blob == b'AB' && self.blob.size() == 2", true), ("self.share / 2.0 == 1.0", true),
        ("type(self.share) == double", true),
        ("self.set == ['b', 'a']", true), ("self.set + ['a', 'c'] == ['a', 'b', 'c']", true),
        ("self.list == ['b', 'a']", false),
        ("self.keyed + [{'k': 'a', 'v': '9'}] == self.keyed", false),
        ("self.keyed == [self.keyed[1], self.keyed[0]]", true),
        ("!has(self.none) && self.a__dash__b == 'x'", true), ("self.port == 80 && type(self.port) == int", true),
    ])
    func valuesAreWhatTheyAreDeclaredToBe(rule: String, holds: Bool) throws {
        let text: JSON = ["type": "string"]
        let keyed: JSON = ["type": "object", "required": ["k"], "properties": ["k": text, "v": text]]
        let schema: JSON = [
            "type": "object",
            "properties": [
                "since": ["type": "string", "format": "date-time"], "span": ["type": "string", "format": "duration"],
                "day": ["type": "string", "format": "date"], "blob": ["type": "string", "format": "byte"],
                "share": ["type": "number"], "set": ["type": "array", "items": text, "x-kubernetes-list-type": "set"],
                "list": ["type": "array", "items": text], "none": ["type": "string", "nullable": true], "a-b": text,
                "keyed": [
                    "type": "array", "items": keyed, "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"],
                ], "port": ["x-kubernetes-int-or-string": true],
            ], "x-kubernetes-validations": [["rule": .string(rule), "message": "no"]],
        ]
        let value: JSON = [
            "since": "2026-01-01T00:00:00Z", "span": "60s", "day": "2026-01-02", "blob": "QUI=", "share": 2,
            "set": ["a", "b"],
            "list": ["a", "b"], "none": nil, "a-b": "x", "keyed": [["k": "a", "v": "1"], ["k": "b", "v": "2"]],
            "port": 80,
        ]
        #expect(
            try Self.causes(value, of: schema) == (holds ? [] : ["spec: Invalid value: no [FieldValueInvalid]"]),
            "\(rule)")
    }

    @Test func aRuleThatCostsTooMuchEndsAllRules() throws {
        let list: JSON = [
            "type": "array", "items": ["type": "integer"],
            "x-kubernetes-validations": [
                ["rule": "self.all(a, self.all(b, a + b >= 0))", "message": "no sum below zero"], ["rule": "false"],
            ],
        ]
        let numbers = JSON.array((0..<600).map { .integer($0) })
        let schema: JSON = ["type": "object", "properties": ["list": list]]
        let ending =
            "no further validation rules will be run due to call cost exceeds limit for rule: no sum below zero"
        #expect(
            try Self.causes(["list": numbers], of: schema) == [
                "spec.list: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': \(ending) "
                    + "[FieldValueInvalid]"
            ])
    }

    @Test func theRulesOfADocumentHaveABudget() throws {
        let rule: JSON = ["rule": "self.all(a, self.all(b, a + b >= 0))"]
        let list: JSON = [
            "type": "array", "items": ["type": "integer"],
            "x-kubernetes-validations": .array(Array(repeating: rule, count: 20)),
        ]
        let numbers = JSON.array((0..<370).map { .integer($0) })
        let schema: JSON = ["type": "object", "properties": ["list": list]]
        #expect(
            try Self.causes(["list": numbers], of: schema) == [
                "spec.list: Invalid value: \"array\": validation failed due to running out of cost budget, "
                    + "no further validation rules will be run [FieldValueInvalid]"
            ])
    }

    @Test func callsThatDoNotFitAreExplained() throws {
        let schema: JSON = [
            "type": "object", "properties": ["x": ["x-kubernetes-int-or-string": true]],
            "x-kubernetes-validations": [["rule": "self.x.size() > 1"]],
        ]
        #expect(
            try Self.causes(["x": 5], of: schema) == [
                "spec: Invalid value: \"object\": 'no such overload: size(int)': call arguments did not match a supported "
                    + "operator, function or macro signature for rule: self.x.size() > 1 [FieldValueInvalid]"
            ])
    }
}
