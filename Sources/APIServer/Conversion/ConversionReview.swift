internal import Documents

/// Documents of one kind on their way to another version, as a webhook is asked for them and answers. Pure. What is
/// wrong with an answer is said in upstream's words.
struct ConversionReview {
    let documents: [Document]
    /// What the webhook shall make of them, `example.com/v2`.
    let target: String
    /// What they are together in messages: `example.com/v1, Kind=Widget`, or the kind of their list.
    let subject: String
    /// Of the review itself: `v1` or `v1beta1`.
    let version: String
    let uid: String
    /// Whether they were wanted together, as a list.
    let isList: Bool

    var request: JSON {
        [
            "kind": "ConversionReview", "apiVersion": .string("apiextensions.k8s.io/\(version)"),
            "request": [
                "uid": .string(uid), "desiredAPIVersion": .string(target),
                "objects": .array(documents.map(\.json)),
            ],
        ]
    }

    /// The documents in the version that was asked for, each with the metadata it had.
    func converted(by answer: JSON) throws(APIError) -> [Document] {
        let response = answer["response"] ?? .null
        if version == "v1" {
            let found = Document(answer).groupVersionKind
            guard found == GroupVersionKind(group: "apiextensions.k8s.io", version: "v1", kind: "ConversionReview")
            else {
                throw failed(
                    "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got "
                        + "\(found.apiVersion), Kind=\(found.kind)")
            }
        }
        if response.objectValue == nil { throw failed("no response provided") }
        let answered = response["uid"]?.stringValue ?? ""
        if version == "v1", !answered.isSameBytes(as: uid) {
            throw failed("expected response.uid=\"\(uid)\", got \"\(answered)\"")
        }
        let status = response["result"]?["status"]?.stringValue ?? ""
        if status != "Success" {
            let message = response["result"]?["message"]?.stringValue ?? ""
            throw failed(message.isEmpty ? "response.result.status was '\(status)', not 'Success'" : message)
        }
        let objects = response["convertedObjects"]?.arrayValue ?? []
        guard objects.count == documents.count else {
            throw refused("returned \(objects.count) objects, expected \(documents.count)")
        }
        var result: [Document] = []
        for (index, object) in objects.enumerated() {
            result.append(try checked(Document(object), documents[index], number: index + 1))
        }
        return result
    }

    /// A converted document is still the one it was made from.
    private func checked(_ new: Document, _ old: Document, number: Int) throws(APIError) -> Document {
        // Upstream counts from one in lists, and a document alone is number 0.
        let place = isList ? "converted object at index \(number)" : "object at index 0"
        guard new.apiVersion.isSameBytes(as: target) else {
            throw refused(
                "returned invalid \(place): invalid groupVersion (expected \(target), received \(new.apiVersion))")
        }
        guard new.kind.isSameBytes(as: old.kind) else {
            throw refused("returned invalid \(place): invalid kind (expected \(old.kind), received \(new.kind))")
        }
        let object = isList ? place : "object"
        for (what, wanted, found) in [
            ("name", old.name, new.name), ("namespace", old.namespace, new.namespace), ("UID", old.uid, new.uid),
        ] where !wanted.isSameBytes(as: found) {
            throw refused("returned invalid \(object): must have the same \(what): \(wanted) != \(found)")
        }
        return try restoringMetadata(of: old, in: new, isList ? " in object at index \(number)" : "")
    }

    /// Of metadata, labels and annotations are the webhook's to change.
    private func restoringMetadata(of old: Document, in new: Document, _ place: String) throws(APIError) -> Document {
        guard let answered = new["metadata"]?.objectValue else {
            throw refused("returned invalid metadata\(place): missing metadata in converted object")
        }
        var metadata = old.metadata
        for field in ["labels", "annotations"] {
            guard let value = answered[field], !value.isNull else {
                metadata[field] = nil
                continue
            }
            guard let members = value.objectValue else {
                throw refused(
                    "returned invalid metadata\(place): invalid metadata.\(field) of type \(value.typeName) in converted object"
                )
            }
            for member in members.members where member.value.stringValue == nil {
                throw refused(
                    "returned invalid metadata\(place): metadata.\(field)[\(member.key)] must be a string, but is "
                        + "\(member.value.typeName) in converted object")
            }
            metadata[field] = value
        }
        var result = new
        result.metadata = metadata
        return result
    }

    /// The webhook could not be asked, or did not do it.
    func failed(_ why: String) -> APIError { refused("failed: \(why)") }

    private func refused(_ what: String) -> APIError {
        APIError(code: 500, reason: .unknown, message: "conversion webhook for \(subject) \(what)")
    }
}
