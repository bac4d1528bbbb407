package import Documents

/// OpenAPI v2 with the kinds of users, for clients that ask for these here: `kubectl explain --output=plaintext-openapiv2`.
/// It has no paths; everything else is in v3.
package struct OpenAPIVersion2: Sendable {
    package let catalogue: ResourceCatalogue

    package init(catalogue: ResourceCatalogue) { self.catalogue = catalogue }

    package var document: JSON {
        [
            "swagger": "2.0", "info": ["title": "Kubernetes", "version": "v1.32.0"], "paths": [:],
            "definitions": .object(definitions),
        ]
    }

    private var definitions: JSONObject {
        var result = JSONObject()
        let version3 = OpenAPI(catalogue: catalogue)
        for name in version3.documentNames {
            let isCustom = catalogue.definitions.contains { !$0.isBuiltIn && name.hasPrefix("apis/\($0.group)/") }
            guard isCustom, let document = version3.document(name) else { continue }
            for schema in document["components"]?["schemas"]?.objectValue?.members ?? [] {
                result[schema.key] = Self.reduced(schema.value)
            }
        }
        result.sort()
        return result
    }

    /// A schema of v3 without what v2 has no words for.
    private static func reduced(_ schema: JSON) -> JSON {
        schema.mappingSchemas { node in
            // A reference with a description is a list of one in v3.
            if let reference = node["allOf"]?.arrayValue?.first?["$ref"] { node["$ref"] = reference }
            if let reference = node["$ref"]?.stringValue {
                node["$ref"] = .string(reference.replacing("#/components/schemas/", with: "#/definitions/"))
            }
            let isAnything =
                node["nullable"]?.boolValue == true
                || node["x-kubernetes-preserve-unknown-fields"]?.boolValue == true
            if isAnything || node["x-kubernetes-int-or-string"]?.boolValue == true { node["type"] = nil }
            if isAnything { for member in ["items", "properties"] { node[member] = nil } }
            for member in ["allOf", "anyOf", "oneOf", "not", "default", "nullable"] { node[member] = nil }
        }
    }

    // MARK: Protobuf

    /// The document as a `Document` of gnostic's `OpenAPIv2.proto`: what kubectl reads.
    package static func protobuf(_ document: JSON) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.text(1, document["swagger"])
        writer.message(2) { info in
            info.text(1, document["info"]?["title"])
            info.text(2, document["info"]?["version"])
        }
        writer.message(8) { _ in }
        writer.message(9) { $0.schemas(document["definitions"]) }
        return writer.bytes
    }
}

/// Writes protobuf, as much of it as an OpenAPI document needs.
private struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func text(_ field: UInt64, _ json: JSON?) {
        guard let text = json?.stringValue else { return }
        chunk(field, Array(text.utf8))
    }

    mutating func message(_ field: UInt64, _ body: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        body(&inner)
        chunk(field, inner.bytes)
    }

    /// `NamedSchema { name = 1, value = 2 }`, once for each member.
    mutating func schemas(_ json: JSON?) {
        for member in json?.objectValue?.members ?? [] {
            message(1) { named in
                named.text(1, .string(member.key))
                named.message(2) { $0.schema(member.value) }
            }
        }
    }

    /// `Schema`: the fields that clients look at; of the limits on values they show none.
    private mutating func schema(_ json: JSON) {
        text(1, json["$ref"])
        text(2, json["format"])
        text(4, json["description"])
        for name in json["required"]?.arrayValue ?? [] { text(19, name) }
        for value in json["enum"]?.arrayValue ?? [] { message(20) { $0.text(2, .string(value.text())) } }
        if let properties = json["additionalProperties"], properties.objectValue != nil {
            message(21) { item in item.message(1) { $0.schema(properties) } }
        }
        if let type = json["type"] { message(22) { $0.text(1, type) } }
        if let items = json["items"] { message(23) { item in item.message(1) { $0.schema(items) } } }
        if let properties = json["properties"] { message(25) { $0.schemas(properties) } }
        for member in json.objectValue?.members ?? [] where member.key.hasPrefix("x-kubernetes-") {
            message(31) { added in
                added.text(1, .string(member.key))
                added.message(2) { $0.text(2, .string(member.value.text())) }  // JSON is YAML
            }
        }
    }

    private mutating func chunk(_ field: UInt64, _ content: [UInt8]) {
        variable(field << 3 | 2)
        variable(UInt64(content.count))
        bytes += content
    }

    private mutating func variable(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

extension JSON {
    /// The schema after `change` was made to it and to every schema inside it, inner ones first.
    func mappingSchemas(_ change: (inout JSON) -> Void) -> JSON {
        guard var object = objectValue else { return self }
        for member in ["items", "additionalProperties"] {
            if let inner = object[member] { object[member] = inner.mappingSchemas(change) }
        }
        if let properties = object["properties"]?.objectValue {
            object["properties"] = .object(
                JSONObject(properties.members.map { ($0.key, $0.value.mappingSchemas(change)) }))
        }
        var result = JSON.object(object)
        change(&result)
        return result
    }
}
