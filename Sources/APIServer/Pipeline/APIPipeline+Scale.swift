internal import Admission
package import Documents
internal import Seams

/// The scale subresource: how many of something there are, in one shape for every kind.
extension APIPipeline {
    /// A `Scale` of autoscaling/v1 made of the document.
    package func scale(of document: Document, _ scale: ResourceDefinition.Scale) throws(APIError) -> Document {
        func value(_ path: String) -> JSON? { document.json[path: Self.names(path)] }
        guard let replicas = value(scale.specReplicasPath)?.integerValue else {
            throw Self.internalError("the spec replicas field \"\(scale.specReplicasPath)\" does not exist")
        }
        var status: JSONObject = ["replicas": value(scale.statusReplicasPath) ?? 0]
        if let path = scale.labelSelectorPath, let selector = value(path) {
            if let text = selector.stringValue {
                status["selector"] = .string(text)
            } else if let parsed = try? LabelSelector(json: selector) {  // a selector nobody can read is left out
                status["selector"] = .string(parsed.description)
            }
        }
        var metadata = JSONObject()
        for member in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if let value = document.json["metadata"]?[member] { metadata[member] = value }
        }
        return Document([
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": .object(metadata),
            "spec": ["replicas": .integer(replicas)], "status": .object(status),
        ])
    }

    /// Writes `spec.replicas` of a Scale into the document it was made of. The answer holds the document, not the Scale.
    package func changeScale(
        _ resource: ServedResource, _ key: ObjectKey, _ scale: ResourceDefinition.Scale, _ options: WriteRequest,
        _ transform: (_ scale: Document) throws(APIError) -> Document
    ) throws(APIError) -> WriteAnswer {
        try change(resource, key, options, subresource: "scale", isPatch: true) { old throws(APIError) in
            var current = old
            let path = Self.names(scale.specReplicasPath)
            if old.json[path: path] == nil { current.json = Self.setting(.integer(0), at: path[...], in: old.json) }
            let wanted = try transform(try self.scale(of: current, scale))
            if !wanted.name.isEmpty, wanted.name != key.name {
                throw .badRequest(
                    "the name of the object (\(wanted.name)) does not match the name on the URL (\(key.name))")
            }
            let version = wanted.resourceVersion
            if !version.isEmpty, version != old.resourceVersion { throw Self.modified(key) }
            let replicas = wanted.spec["replicas"] ?? 0
            var new = old
            new.json = Self.setting(replicas, at: path[...], in: old.json)
            guard let count = replicas.integerValue, count >= 0 else {
                throw self.refusedScale(resource, scale, old: old, new: new, replicas, options)
            }
            new.json = Self.setting(.integer(count), at: path[...], in: old.json)
            return new
        }
    }

    /// For kinds of users the schema speaks first, and the field is named as their definition names it.
    private func refusedScale(
        _ resource: ServedResource, _ scale: ResourceDefinition.Scale, old: Document, new: Document, _ replicas: JSON,
        _ options: WriteRequest
    ) -> APIError {
        var cause = APIError.Cause(
            reason: "FieldValueInvalid", message: "Invalid value: \(replicas.text()): should be a non-negative integer",
            field: "spec.replicas")
        if resource.definition.isBuiltIn {
            return .invalid(GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale"), old.name, [cause])
        }
        cause.field = scale.specReplicasPath
        do throws(APIError) {
            _ = try admit(resource, .update, old: old, new: new, subresource: "scale", options, isPatch: true)
            return .invalid(resource.kind, old.name, [cause])
        } catch {
            return error.reason == .invalid ? .invalid(resource.kind, old.name, error.causes + [cause]) : error
        }
    }

    /// `.spec.replicas` as member names.
    private static func names(_ path: String) -> [String] { path.split(separator: ".").map(String.init) }

    private static func setting(_ value: JSON, at path: ArraySlice<String>, in json: JSON) -> JSON {
        guard let first = path.first else { return value }
        var result = json
        result[first] = setting(value, at: path.dropFirst(), in: json[first] ?? .object(JSONObject()))
        return result
    }
}
