import Admission
import CEL
import Documents

/// An expression of a validation rule: evaluated about a document that has something of everything, checked and
/// estimated against its schema. What has a type before there are values has it when they are there.
func fuzzCEL(_ text: String) {
    guard let program = try? CELProgram.compiled(text) else { return }
    var evaluator = CELEvaluator(steps: 20_000)
    _ = try? evaluator.evaluate(program, with: [("self", CELValue(value))]).text
    guard let declaration else { return check(false, "a schema without a declaration") }
    let checked: CELChecked
    do {
        checked = try CELChecker.check(
            program, variables: [("self", declaration.type), ("oldSelf", declaration.type)])
    } catch {
        return check(!error.text(in: text).isEmpty, "a refusal without a reason")
    }
    _ = CELEstimator.maximum(of: checked, root: declaration)
    var typed = CELEvaluator(steps: 20_000, callLimit: 10_000)
    let own = CELValue(value, as: declaration)
    guard let answer = try? typed.evaluate(program, with: [("self", own), ("oldSelf", own)]) else { return }
    check(typed.cost <= 10_000, "an answer beyond the limit of its cost")
    if ["bool", "string", "int", "double", "bytes"].contains(checked.typeText) {
        check(answer.typeName == checked.typeText, "\(text) is \(answer.typeName), not \(checked.typeText)")
    }
}

private let value: JSON = [
    "a": [1, 2, 3], "s": "10.0.0.0/8", "n": 5, "d": 1.5, "b": true, "o": ["x": "y", "l": ["b", "a"]],
    "m": ["k": "v"], "t": "2026-01-01T00:00:00Z", "p": "90s", "i": 80, "k": [["k": "a"], ["k": "b", "v": 1]],
    "y": "QUI=",
]

private let declaration: CELDeclaration? = {
    let text: JSON = ["type": "string", "maxLength": 20]
    let names: JSON = ["type": "array", "items": text, "x-kubernetes-list-type": "set"]
    let item: JSON = ["type": "object", "properties": ["k": text, "v": ["type": "integer"]]]
    let schema: JSON = [
        "type": "object",
        "properties": [
            "a": ["type": "array", "items": ["type": "integer"], "maxItems": 10], "s": text, "n": ["type": "integer"],
            "d": ["type": "number"], "b": ["type": "boolean"],
            "o": ["type": "object", "properties": ["x": text, "l": names]],
            "m": ["type": "object", "additionalProperties": text], "t": ["type": "string", "format": "date-time"],
            "p": ["type": "string", "format": "duration"], "i": ["x-kubernetes-int-or-string": true],
            "k": [
                "type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            ], "y": ["type": "string", "format": "byte"],
        ],
    ]
    return RuleDeclarations.declaration(of: Schema(schema), isRoot: true)?.declaration
}()
