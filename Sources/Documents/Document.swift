/// One Kubernetes object: JSON with `apiVersion`, `kind` and `metadata`. A view that reads and changes well-known
/// fields; everything else is reached through `json`. Reading a field of the wrong type gives `nil` or empty, never an
/// error: admission has checked the types of what is stored.
package struct Document: Sendable, Equatable {
    package var json: JSON

    package init(_ json: JSON) { self.json = json }

    package subscript(key: String) -> JSON? {
        get { json[key] }
        set { json[key] = newValue }
    }

    package var apiVersion: String { json["apiVersion"]?.stringValue ?? "" }
    package var kind: String { json["kind"]?.stringValue ?? "" }

    package var groupVersionKind: GroupVersionKind {
        let (group, version) = GroupVersionKind.split(apiVersion: apiVersion)
        return GroupVersionKind(group: group, version: version, kind: kind)
    }

    package var name: String { metadataText("name") }
    package var namespace: String { metadataText("namespace") }
    package var uid: String { metadataText("uid") }
    /// Decimal digits, or empty for a document that was never stored.
    package var resourceVersion: String { metadataText("resourceVersion") }
    package var generation: Int64 { json["metadata"]?["generation"]?.integerValue ?? 0 }
    /// RFC 3339 in seconds, or empty.
    package var creationTimestamp: String { metadataText("creationTimestamp") }
    /// RFC 3339 in seconds; `nil` unless deletion was asked for.
    package var deletionTimestamp: String? { json["metadata"]?["deletionTimestamp"]?.stringValue }
    package var isBeingDeleted: Bool { deletionTimestamp != nil }
    package var finalizers: [String] { json["metadata"]?["finalizers"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
    package var labels: [String: String] { strings("labels") }
    package var annotations: [String: String] { strings("annotations") }

    package var ownerReferences: [OwnerReference] {
        json["metadata"]?["ownerReferences"]?.arrayValue?.compactMap(OwnerReference.init) ?? []
    }

    /// The owner that controls this document, of which there is at most one.
    package var controller: OwnerReference? { ownerReferences.first { $0.isController } }

    package var metadata: JSONObject {
        get { json["metadata"]?.objectValue ?? JSONObject() }
        set { json["metadata"] = .object(newValue) }
    }
    package var spec: JSON { json["spec"] ?? .null }
    package var status: JSON { json["status"] ?? .null }

    private func metadataText(_ key: String) -> String { json["metadata"]?[key]?.stringValue ?? "" }

    private func strings(_ key: String) -> [String: String] {
        var result: [String: String] = [:]
        for member in json["metadata"]?[key]?.objectValue?.members ?? [] {
            if let text = member.value.stringValue { result[member.key] = text }
        }
        return result
    }
}

/// An entry of `metadata.ownerReferences`: the document goes when its owner has gone.
package struct OwnerReference: Sendable, Hashable {
    package var apiVersion: String
    package var kind: String
    package var name: String
    package var uid: String
    package var isController: Bool
    package var blocksOwnerDeletion: Bool

    package init(
        apiVersion: String, kind: String, name: String, uid: String, isController: Bool, blocksOwnerDeletion: Bool
    ) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.uid = uid
        self.isController = isController
        self.blocksOwnerDeletion = blocksOwnerDeletion
    }

    /// A reference that makes `owner` the controller, and holds its foreground deletion until the dependent has gone.
    package init(controller owner: Document) {
        self.init(
            apiVersion: owner.apiVersion, kind: owner.kind, name: owner.name, uid: owner.uid, isController: true,
            blocksOwnerDeletion: true)
    }

    package init?(_ json: JSON) {
        guard let apiVersion = json["apiVersion"]?.stringValue, let kind = json["kind"]?.stringValue,
            let name = json["name"]?.stringValue, let uid = json["uid"]?.stringValue
        else { return nil }
        self.init(
            apiVersion: apiVersion, kind: kind, name: name, uid: uid,
            isController: json["controller"]?.boolValue ?? false,
            blocksOwnerDeletion: json["blockOwnerDeletion"]?.boolValue ?? false)
    }

    package var json: JSON {
        var object: JSONObject = [
            "apiVersion": .string(apiVersion), "kind": .string(kind), "name": .string(name), "uid": .string(uid),
        ]
        if isController { object["controller"] = true }
        if blocksOwnerDeletion { object["blockOwnerDeletion"] = true }
        return .object(object)
    }
}
