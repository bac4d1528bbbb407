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
        var resolver = Resolver(shapes: shapes)
        var documents: [Document] = []
        for file in files where file["kind"]?.stringValue == "CustomResourceDefinition" {
            documents.append(Document(try resolver.resolved(file, depth: 0)))
        }
        return documents
    }
}

/// Puts shapes in the place of references. A shape is resolved once, and its value shared by all who refer to it.
private struct Resolver {
    private let shapes: JSONObject
    private var known: [String: JSONObject] = [:]

    init(shapes: JSONObject) { self.shapes = shapes }

    mutating func resolved(_ json: JSON, depth: Int) throws(APIError) -> JSON {
        if depth > DocumentLimits.nestingDepth {
            throw APIError.badRequest("bundled schemas refer to each other in a circle")
        }
        switch json {
        case .array(let items):
            var result: [JSON] = []
            for item in items { result.append(try resolved(item, depth: depth + 1)) }
            return .array(result)
        case .object(let object):
            var result = JSONObject()
            if let name = object["$ref"]?.stringValue {
                result = try shape(name, depth: depth + 1)
            }
            for member in object.members where !member.key.isSameBytes(as: "$ref") {
                result[member.key] = try resolved(member.value, depth: depth + 1)
            }
            return .object(result)
        default: return json
        }
    }

    private mutating func shape(_ name: String, depth: Int) throws(APIError) -> JSONObject {
        if let shape = known[name] { return shape }
        guard let shape = shapes[name] else { throw APIError.badRequest("no shape is called \"\(name)\"") }
        let object = try resolved(shape, depth: depth).objectValue ?? JSONObject()
        known[name] = object
        return object
    }
}
