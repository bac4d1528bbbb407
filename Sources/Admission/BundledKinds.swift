package import Documents

/// The CustomResourceDefinition documents that come with the binary, made ready to load. The built-in kinds share
/// shapes (`kinds/shapes.yaml`): where one of their schemas says `{$ref: PodTemplate}`, the shape of that name stands
/// in its place, with any members beside `$ref` added. Files of `crds/` hold no references, as a real API server
/// would not take them.
package enum BundledKinds {
    /// The documents of `files`, in order, with every reference resolved and the shapes themselves left out.
    /// `files` are the bundled files as parsed; a reference to a shape that does not exist throws.
    package static func documents(in files: [JSON]) throws(APIError) -> [Document] {
        var shapes = JSONObject()
        for file in files {
            for shape in file["shapes"]?.objectValue?.members ?? [] { shapes[shape.key] = shape.value }
        }
        var documents: [Document] = []
        for file in files where file["kind"]?.stringValue == "CustomResourceDefinition" {
            documents.append(Document(try resolved(file, shapes: shapes, depth: 0)))
        }
        return documents
    }

    private static func resolved(_ json: JSON, shapes: JSONObject, depth: Int) throws(APIError) -> JSON {
        if depth > DocumentLimits.nestingDepth {
            throw APIError.badRequest("bundled schemas refer to each other in a circle")
        }
        switch json {
        case .array(let items):
            var result: [JSON] = []
            for item in items { result.append(try resolved(item, shapes: shapes, depth: depth + 1)) }
            return .array(result)
        case .object(let object):
            var result = JSONObject()
            if let name = object["$ref"]?.stringValue {
                guard let shape = shapes[name] else { throw APIError.badRequest("no shape is called \"\(name)\"") }
                result = try resolved(shape, shapes: shapes, depth: depth + 1).objectValue ?? JSONObject()
            }
            for member in object.members where !member.key.isSameBytes(as: "$ref") {
                result[member.key] = try resolved(member.value, shapes: shapes, depth: depth + 1)
            }
            return .object(result)
        default: return json
        }
    }
}
