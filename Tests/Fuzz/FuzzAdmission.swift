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

/// `[schema, object]` or `[schema, object, object]`: a definition with that schema, decided on by the rules for
/// definitions, and an object of it that is made, and then changed.
func fuzzDefinitions(_ input: UnsafeBufferPointer<UInt8>) {
    guard let parts = (try? JSONParser.parse(input))?.arrayValue, parts.count >= 2, let kind = definitionKind else {
        return
    }
    let names: JSON = ["plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"]
    let version: JSON = ["name": "v1", "served": true, "storage": true, "schema": ["openAPIV3Schema": parts[0]]]
    let document = Document([
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "things.example.com"],
        "spec": ["group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]],
    ])
    let request = AdmissionRequest(definition: kind, version: "v1", operation: .create, new: document)
    guard let accepted = try? admit(request).document,
        let definition = ResourceDefinition(customResourceDefinition: accepted)
    else { return }
    var old: Document?
    for object in parts[1...] {
        var members = object.objectValue ?? JSONObject()
        members["apiVersion"] = "example.com/v1"
        members["kind"] = "Thing"
        let new = AdmissionRequest(
            definition: definition, version: "v1", operation: old == nil ? .create : .update, old: old,
            new: Document(.object(members)))
        guard let shaped = try? admit(new).document else { continue }
        let again = DocumentAdmission.reshaped(shaped, definition: definition, version: "v1")
        check(again.json == shaped.json, "what was admitted is shaped again: \(shaped.json.text())")
        old = shaped
    }
}

/// The kind CustomResourceDefinition itself.
private let definitionKind: ResourceDefinition? = {
    let files = BundledFiles.all.compactMap { try? YAMLReader.document(in: $0.bytes, file: $0.name).json }
    let documents = (try? BundledKinds.documents(in: files)) ?? []
    return documents.compactMap(ResourceDefinition.init(customResourceDefinition:)).first {
        $0.kind == "CustomResourceDefinition"
    }
}()
