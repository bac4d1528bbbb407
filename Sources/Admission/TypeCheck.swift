import Documents

/// Whether a value can be decoded into the type a schema stands for, worded as Go's decoder words it.
enum TypeCheck {
    static func problem(_ json: JSON, schema: Schema, struct place: String) -> String? {
        if json.isNull { return nil }
        switch json {
        case .object(let object):
            if let type = schema.type, type != .object { return mismatch(json, schema, place) }
            for member in object.members {
                guard let memberSchema = schema.properties[member.key] ?? schema.additionalProperties else { continue }
                let isNamed = schema.properties[member.key] != nil
                let below = isNamed ? "\(place).\(member.key)" : place
                if let found = problem(member.value, schema: memberSchema, struct: below) { return found }
            }
            return nil
        case .array(let items):
            if schema.isIntOrString || schema.type.map({ $0 != .array }) ?? false {
                return mismatch(json, schema, place)
            }
            guard let itemSchema = schema.items else { return nil }
            for item in items { if let found = problem(item, schema: itemSchema, struct: place) { return found } }
            return nil
        case .string(let text) where schema.type == .string && schema.format == "byte":
            return Formats.base64Problem(text).map { "illegal base64 data at input byte \($0)" }
        default: return fits(json, schema) ? nil : mismatch(json, schema, place)
        }
    }

    private static func fits(_ json: JSON, _ schema: Schema) -> Bool {
        if schema.isIntOrString {
            if case .bool = json { return false }
            return true
        }
        guard let type = schema.type else { return true }
        switch (type, json) {
        case (.string, .string), (.boolean, .bool), (.number, .number), (.number, .integer): return true
        case (.integer, .integer(let value)): return schema.format != "int32" || Int32(exactly: value) != nil
        default: return false
        }
    }

    private static func mismatch(_ json: JSON, _ schema: Schema, _ place: String) -> String {
        let found =
            switch json {
            case .integer, .number: "number"
            case .bool: "bool"
            default: json.typeName
            }
        if case .integer(let value) = json, schema.type == .integer {
            return "json: cannot unmarshal number \(value) into Go struct field \(place) of type \(goType(schema))"
        }
        return "json: cannot unmarshal \(found) into Go struct field \(place) of type \(goType(schema))"
    }

    private static func goType(_ schema: Schema) -> String {
        switch schema.type {
        case .string: "string"
        case .boolean: "bool"
        case .integer: schema.format == "int64" ? "int64" : "int32"
        case .number: "float64"
        case .array: "[]\(schema.items.map(goType) ?? "any")"
        case .object: schema.additionalProperties.map { "map[string]\(goType($0))" } ?? "struct"
        case nil: "intstr.IntOrString"
        }
    }
}
