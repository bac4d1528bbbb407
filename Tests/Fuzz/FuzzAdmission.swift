import APIServer
import Admission
import CEL
import Documents

/// An expression on the first line, and what it is about as JSON behind it. It is evaluated to an end, within its steps.
func fuzzCEL(_ input: [UInt8]) {
    let line = input.firstIndex(of: UInt8(ascii: "\n")) ?? input.endIndex
    guard let program = try? CELProgram.compiled(String(decoding: input[..<line], as: UTF8.self)) else { return }
    let value = (try? JSONParser.parse(Array(input[line...]))) ?? ["name": "a", "list": [1, 2, 3], "map": ["k": "v"]]
    let variables = [(name: "self", value: CELValue(value)), (name: "oldSelf", value: CELValue(value))]
    let answers = (0..<2).map { _ in
        var evaluator = CELEvaluator(steps: 20_000)
        return (try? evaluator.evaluate(program, with: variables)).map { "\($0)" }
    }
    check(answers[0] == answers[1], "two evaluations differ")
}

/// A review as another API server sends it: answered, or refused as none.
func fuzzReview(_ input: [UInt8]) {
    guard let json = try? JSONParser.parse(input) else { return }
    for phase in [AdmissionReview.Phase.mutating, .validating] {
        guard let answer = try? review.answer(json, phase) else { continue }
        check(answer["response"]?["uid"] == json["request"]?["uid"], "an answer to another request")
        check(answer["response"]?["allowed"]?.boolValue != nil, "an answer without a decision")
    }
}

private let review: AdmissionReview = {
    let documents = BundledFiles.all.flatMap { file in
        ((try? YAMLReader.documents(in: file.bytes, file: file.name)) ?? []).map { Document($0.json) }
    }
    let own = documents.compactMap(ResourceDefinition.init(customResourceDefinition:)).filter {
        $0.group == "espalier.dev"
    }
    return AdmissionReview(definitions: own)
}()
