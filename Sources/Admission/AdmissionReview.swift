package import Documents

/// Answers `admission.k8s.io/v1` reviews: how an API server that is not ours asks whether a document may be stored.
/// What it stores then is what our own server would have stored. Pure.
package struct AdmissionReview: Sendable {
    /// Which webhook is asked: the one that may change the document, or the one that may only refuse it.
    package enum Phase: Sendable { case mutating, validating }

    private let definitions: [GroupResource: ResourceDefinition]

    /// A review of documents of `definitions`; of others it has no opinion and lets them in.
    package init(definitions: [ResourceDefinition]) {
        self.definitions = Dictionary(
            definitions.map { ($0.groupResource, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The review with its response, given one with a request. Throws `BadRequest` where it is no review.
    package func answer(_ review: JSON, _ phase: Phase) throws(APIError) -> JSON {
        let version = review["apiVersion"]?.stringValue ?? ""
        guard review["kind"]?.stringValue == "AdmissionReview", version == "admission.k8s.io/v1" else {
            throw APIError.badRequest(
                "expected an AdmissionReview of admission.k8s.io/v1, found \(review["kind"]?.text() ?? "nothing") of \"\(version)\""
            )
        }
        guard let request = review["request"], let uid = request["uid"]?.stringValue, !uid.isEmpty else {
            throw APIError.badRequest("expected a request with a uid in the AdmissionReview")
        }
        var response: JSON = ["uid": .string(uid), "allowed": true]
        do throws(APIError) {
            if let result = try decide(request) {
                if !result.warnings.isEmpty { response["warnings"] = .array(result.warnings.map(JSON.string)) }
                let patch = Self.patch(from: request["object"] ?? .null, to: result.document.json)
                if phase == .mutating, !patch.isEmpty {
                    response["patchType"] = "JSONPatch"
                    response["patch"] = .string(Base64.encode(JSON.array(patch).encoded))
                }
            }
        } catch {
            response["allowed"] = false
            response["status"] = error.status
        }
        return ["apiVersion": .string(version), "kind": "AdmissionReview", "response": response]
    }

    /// What admission makes of the document; `nil` where it is not asked about one of ours.
    private func decide(_ request: JSON) throws(APIError) -> AdmissionResult? {
        let resource = GroupResource(
            group: request["resource"]?["group"]?.stringValue ?? "",
            resource: request["resource"]?["resource"]?.stringValue ?? "")
        let subresource = request["subResource"]?.stringValue ?? ""
        guard let definition = definitions[resource], ["", "status"].contains(subresource),
            let operation = Self.operations[request["operation"]?.stringValue ?? ""], let object = request["object"],
            object.objectValue != nil
        else { return nil }
        let old = request["oldObject"].flatMap { $0.objectValue == nil ? nil : Document($0) }
        return try DocumentAdmission.admit(
            AdmissionRequest(
                definition: definition, version: request["resource"]?["version"]?.stringValue ?? "",
                operation: operation, old: old, new: Document(object),
                subresource: subresource.isEmpty ? nil : subresource,
                fieldValidation: .ignore))
    }

    private static let operations: [String: AdmissionRequest.Operation] = ["CREATE": .create, "UPDATE": .update]

    /// The members that differ, each replaced as a whole. Metadata is the API server's.
    private static func patch(from old: JSON, to new: JSON) -> [JSON] {
        (new.objectValue?.members ?? []).compactMap { member in
            let before = old[member.key]
            if member.key == "metadata" || before == member.value { return nil }
            return [
                "op": before == nil ? "add" : "replace",
                "path": .string("/\(member.key)"), "value": member.value,
            ]
        }
    }
}
