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
        #expect(try Self.causes(["x": 7], of: Self.schema(["rule": "quantity(self).isGreaterThan(1)"])) == [])
    }
}
