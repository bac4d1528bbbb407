/// How apply sees a part of a document: what its schema says about merging, or nothing (*deduced*: objects merge
/// member by member, lists are replaced as a whole).
package enum MergeType {
    case deduced
    case schema(Schema)
    /// The document itself, or an embedded one: `metadata` has the shape that every document's has.
    case root(Schema)

    /// What a value is to a merge. The value's own type decides first, so that a document that is older than its schema
    /// can still be walked.
    package enum Shape: Equatable {
        case scalar
        /// Every member is a field of its own.
        case map
        case atomicMap
        case atomicList
        /// A list whose elements are told apart by their value.
        case set
        /// A list whose elements are told apart by these members.
        case mapList(keys: [String])

        var isAtomic: Bool { self == .scalar || self == .atomicMap || self == .atomicList }
    }

    /// What `null` and a missing value take their shape from is the other side of a comparison, hence the optional.
    package func shape(of value: JSON) -> Shape? {
        switch value {
        case .null: return nil
        case .object: return schema?.isAtomicMap == true ? .atomicMap : .map
        case .array:
            guard let schema else { return .atomicList }
            switch schema.listType {
            case .atomic: return .atomicList
            case .set: return .set
            case .map: return schema.listMapKeys.isEmpty ? .atomicList : .mapList(keys: schema.listMapKeys)
            }
        default: return .scalar
        }
    }

    var schema: Schema? {
        switch self {
        case .deduced: nil
        case .schema(let schema), .root(let schema): schema
        }
    }

    private static func nested(_ schema: Schema) -> MergeType {
        if schema.isEmbeddedResource { return .root(schema) }
        let saysNothing = schema.type == nil && schema.properties.isEmpty && schema.items == nil
        return saysNothing && !schema.isIntOrString && schema.additionalProperties == nil ? .deduced : .schema(schema)
    }

    /// The type of a member, and whether the schema names it; `nil` where the schema does not allow it.
    func member(_ name: String) -> (type: MergeType, isNamed: Bool)? {
        guard let schema else { return (.deduced, false) }
        if case .root = self {
            switch name {
            case "apiVersion", "kind": return (.schema(Self.text), true)
            case "metadata": return (.schema(Self.objectMeta), true)
            default: break
            }
        }
        if let found = schema.properties[name] { return (Self.nested(found), true) }
        if let found = schema.additionalProperties { return (Self.nested(found), false) }
        if schema.allowsAdditionalProperties || schema.preservesUnknownFields || schema.properties.isEmpty {
            return (.deduced, false)
        }
        return nil
    }

    /// As `member`, for a document that is already stored: what its schema no longer names is deduced.
    func memberType(_ name: String) -> MergeType { member(name)?.type ?? .deduced }

    var element: MergeType { schema?.items.map(Self.nested) ?? .deduced }

    /// The path element of a list's element, or why it has none. Key fields that are missing take their default.
    func pathElement(of item: JSON, in shape: Shape) -> Result<PathElement, MergeError> {
        guard case .mapList(let keys) = shape else {
            switch item {
            case .object: return .failure(MergeError("associative list without keys has an element that's a map type"))
            case .array: return .failure(MergeError("not supported: associative list with lists as elements"))
            case .null:
                return .failure(MergeError("associative list without keys has an element that's an explicit null"))
            default: return .success(.value(item))
            }
        }
        if item.isNull { return .failure(MergeError("associative list with keys may not have a null element")) }
        guard let object = item.objectValue else {
            return .failure(MergeError("associative list with keys may not have non-map elements"))
        }
        var fields: [(name: String, value: JSON)] = []
        for key in keys {
            if let value = object[key] ?? schema?.items?.properties[key]?.defaultValue { fields.append((key, value)) }
        }
        if fields.isEmpty {
            let names = keys.map { "\"\($0)\"" }.joined(separator: " ")
            return .failure(
                MergeError(
                    "associative list with keys has an element that omits all key fields [\(names)] "
                        + "(and doesn't have default values for any key fields)"))
        }
        return .success(.key(fields))
    }

    /// The path elements of a stored list, where those that have none are left out.
    func pathElements(of items: [JSON], in shape: Shape) -> [(element: PathElement, value: JSON)] {
        items.compactMap { item in
            (try? pathElement(of: item, in: shape).get()).map { ($0, item) }
        }
    }

    private static let text = Schema(["type": "string"])

    /// `metadata` of every document, whatever its kind's schema says.
    private static let objectMeta = Schema([
        "type": "object",
        "properties": [
            "annotations": ["type": "object", "additionalProperties": ["type": "string"]],
            "labels": ["type": "object", "additionalProperties": ["type": "string"]],
            "creationTimestamp": ["type": "string"],
            "deletionTimestamp": ["type": "string"],
            "deletionGracePeriodSeconds": ["type": "integer"],
            "finalizers": ["type": "array", "x-kubernetes-list-type": "set", "items": ["type": "string"]],
            "generateName": ["type": "string"],
            "generation": ["type": "integer"],
            "managedFields": ["type": "array", "x-kubernetes-list-type": "atomic", "items": ["type": "object"]],
            "name": ["type": "string"],
            "namespace": ["type": "string"],
            "ownerReferences": [
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
                "items": [
                    "type": "object", "x-kubernetes-map-type": "atomic",
                    "properties": [
                        "apiVersion": ["type": "string"], "kind": ["type": "string"], "name": ["type": "string"],
                        "uid": ["type": "string"], "controller": ["type": "boolean"],
                        "blockOwnerDeletion": ["type": "boolean"],
                    ],
                ],
            ],
            "resourceVersion": ["type": "string"],
            "selfLink": ["type": "string"],
            "uid": ["type": "string"],
        ],
    ])
}

/// Why a configuration cannot be merged, and where.
struct MergeError: Error, Equatable, CustomStringConvertible {
    var path: FieldPath = []
    var message: String

    init(_ message: String, at path: FieldPath = []) {
        self.message = message
        self.path = path
    }

    var description: String { path.isEmpty ? message : "\(path.text): \(message)" }
}
