import APIServer
import Admission
import Documents

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
