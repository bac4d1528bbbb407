import Documents

/// Brings a document into the shape of its schema: members the schema does not know go, `null` goes where it is not
/// allowed, defaults come. Values that need no change are not copied.
struct Shaping {
    /// Paths of the first members that went.
    private(set) var unknownFields: [String] = []
    private var path = FieldPath()
    private let dropsNulls: Bool

    /// `dropsNulls`: every `null` goes, as the typed decoding of built-in kinds has it.
    init(dropsNulls: Bool) { self.dropsNulls = dropsNulls }

    /// A whole document: `apiVersion`, `kind` and `metadata` are known whatever the schema says.
    mutating func document(_ json: JSON, schema: Schema, metadata: Schema) -> JSON {
        guard var object = json.objectValue else { return json }
        if let found = object["metadata"] {
            path.push(.member("metadata"))
            if found.isNull {
                object["metadata"] = nil
            } else if let shaped = value(found, schema: metadata) {
                object["metadata"] = shaped
            }
            path.pop()
        }
        return self.object(object, schema: schema, isRoot: true) ?? .object(object)
    }

    var sortedUnknownFields: [String] { unknownFields.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

    /// The value in shape; `nil` where it is already.
    private mutating func value(_ json: JSON, schema: Schema) -> JSON? {
        switch json {
        case .object(let object): self.object(object, schema: schema, isRoot: false)
        case .array(let items): array(items, schema: schema)
        default: nil
        }
    }

    private mutating func array(_ items: [JSON], schema: Schema) -> JSON? {
        guard let itemSchema = schema.items else { return nil }
        var changed: [JSON]?
        for index in items.indices {
            path.push(.index(index))
            if let shaped = value(items[index], schema: itemSchema) {
                if changed == nil { changed = items }
                changed?[index] = shaped
            } else if items[index].isNull, !itemSchema.nullable, let preset = itemSchema.defaultValue {
                if changed == nil { changed = items }
                changed?[index] = preset
            }
            path.pop()
        }
        return changed.map(JSON.array)
    }

    private mutating func object(_ object: JSONObject, schema: Schema, isRoot: Bool) -> JSON? {
        var result = object
        var isChanged = false
        var gone: [String] = []
        for member in object.members {
            if isRoot || schema.isEmbeddedResource, Self.isEnvelope(member.key) { continue }
            guard let memberSchema = schema.properties[member.key] ?? schema.additionalProperties else {
                if schema.preservesUnknownFields || schema.allowsAdditionalProperties || Self.isOpen(schema) {
                    continue
                }
                note(unknown: member.key)
                gone.append(member.key)
                continue
            }
            if member.value.isNull {
                let isFree = memberSchema.type == nil && memberSchema.preservesUnknownFields
                if memberSchema.nullable ? !dropsNulls : isFree { continue }
                gone.append(member.key)
                continue
            }
            path.push(.member(member.key))
            if let shaped = value(member.value, schema: memberSchema) {
                result[member.key] = shaped
                isChanged = true
            }
            path.pop()
        }
        result.removeAll(gone)
        isChanged = isChanged || !gone.isEmpty
        for name in schema.defaultedProperties where !result.contains(name) {
            guard let property = schema.properties[name], let preset = property.defaultValue else { continue }
            result[name] = value(preset, schema: property) ?? preset
            isChanged = true
        }
        return isChanged ? .object(result) : nil
    }

    private mutating func note(unknown name: String) {
        if unknownFields.count == AdmissionLimits.unknownFields { return }
        path.push(.member(name))
        unknownFields.append(path.dotted)
        path.pop()
    }

    /// What every document has, whatever its schema says.
    private static func isEnvelope(_ name: String) -> Bool {
        name == "apiVersion" || name == "kind" || name == "metadata"
    }

    /// A schema that says nothing about members knows them all: `{}` or an integer-or-string.
    private static func isOpen(_ schema: Schema) -> Bool {
        schema.type == nil && schema.properties.isEmpty && schema.additionalProperties == nil
    }
}
