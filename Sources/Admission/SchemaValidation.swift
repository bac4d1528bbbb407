import Documents

/// Checks a value against a structural schema and says everything that is wrong, as a real API server words it.
/// What is equal to the old value at the same place is not judged again: a schema may become stricter than what is
/// stored, and a document must stay editable. Rules in CEL are collected on the way and run by `Rules` afterwards.
struct SchemaValidation {
    /// Rules of one schema, and the value they are about.
    struct PendingRules {
        var schema: Schema
        var value: JSON
        var old: JSON?
        var isUnchanged: Bool
        /// Whether it is the whole document.
        var isRoot: Bool
        var field: String
    }

    private(set) var errors: [FieldError] = []
    private(set) var pending: [PendingRules] = []
    private var path = FieldPath()

    /// A whole document. Its `apiVersion`, `kind` and `metadata` are checked elsewhere.
    mutating func document(_ json: JSON, old: JSON?, schema: Schema) {
        value(json, old: old, schema: schema, isRoot: true)
    }

    private mutating func value(_ json: JSON, old: JSON?, schema: Schema, isRoot: Bool = false) {
        if errors.count >= AdmissionLimits.errors { return }
        let isUnchanged = old.map { $0 == json } ?? false
        if isUnchanged, !schema.containsRules { return }
        if !isUnchanged, !checkType(json, schema: schema) { return }
        switch json {
        case .object(let object): members(object, old: old, schema: schema, isRoot: isRoot, isUnchanged: isUnchanged)
        case .array(let items): elements(items, old: old, schema: schema, isUnchanged: isUnchanged)
        default: break
        }
        if !isUnchanged {
            checkScalar(json, schema: schema)
            if !schema.enumeration.isEmpty, !schema.enumeration.contains(json), !(json.isNull && schema.nullable) {
                errors.append(.notSupported(path.dotted, json, schema.enumeration))
            }
            checkComposition(json, schema: schema)
        }
        if !schema.rules.isEmpty, !json.isNull {
            let field = path.text
            pending.append(
                PendingRules(
                    schema: schema, value: json, old: old, isUnchanged: isUnchanged, isRoot: isRoot, field: field))
        }
    }

    // MARK: - Types

    /// False where the value is of another type, so that no more can be said about it.
    private mutating func checkType(_ json: JSON, schema: Schema) -> Bool {
        if json.isNull, schema.nullable || (schema.type == nil && !schema.isIntOrString) { return true }
        if schema.isIntOrString {
            switch json {
            case .integer, .string: return true
            case .number(let number) where schema.pattern != nil || number == number.rounded(): return true
            default:
                errors.append(.typeInvalid(path.dotted, json.typeName, "integer,string"))
                return false
            }
        }
        guard let type = schema.type else { return true }
        switch (type, json) {
        case (.object, .object), (.array, .array), (.string, .string), (.boolean, .bool), (.number, .integer),
            (.number, .number), (.integer, .integer):
            return true
        case (.integer, .number(let number)) where number == number.rounded(): return true
        case (.integer, .number):
            errors.append(.typeInvalid(path.dotted, json.typeName, type.rawValue))
            checkIntegerFormat(json, schema: schema)
            return false
        default:
            errors.append(.typeInvalid(path.dotted, json.typeName, type.rawValue))
            if !schema.enumeration.isEmpty { errors.append(.notSupported(path.dotted, json, schema.enumeration)) }
            return false
        }
    }

    private mutating func checkIntegerFormat(_ json: JSON, schema: Schema) {
        let isInside =
            switch (schema.format, json) {
            case ("int32", .integer(let value)): Int32(exactly: value) != nil
            case (_, .integer): true
            default: false
            }
        if isInside { return }
        let format = schema.format.map { "with format \($0)" } ?? "(default format)"
        let detail = "Checked value must be of type integer \(format) in \(path.dotted)"
        errors.append(FieldError(.invalid, "<nil>", "Invalid value: \"\": \(detail)"))
    }

    // MARK: - Objects and arrays

    private mutating func members(_ object: JSONObject, old: JSON?, schema: Schema, isRoot: Bool, isUnchanged: Bool) {
        if !isUnchanged {
            for name in schema.required where !object.contains(name) {
                path.push(.member(name))
                errors.append(.required(path.dotted))
                path.pop()
            }
            if let limit = schema.maxProperties, object.count > limit {
                errors.append(.tooMany(path.dotted, object.count, limit))
            }
            if let limit = schema.minProperties, object.count < limit {
                invalid(.integer(Int64(object.count)), "should have at least \(limit) properties")
            }
            if schema.isEmbeddedResource { checkEmbedded(object) }
        }
        for member in object.members {
            if isRoot, ["apiVersion", "kind", "metadata"].contains(member.key) { continue }
            let property = schema.properties[member.key]
            guard let memberSchema = property ?? schema.additionalProperties else { continue }
            path.push(property == nil ? .key(member.key) : .member(member.key))
            value(member.value, old: old?[member.key], schema: memberSchema)
            path.pop()
        }
    }

    private mutating func checkEmbedded(_ object: JSONObject) {
        for name in ["apiVersion", "kind"] where object[name]?.stringValue?.isEmpty ?? true {
            path.push(.member(name))
            errors.append(.required(path.dotted, "must not be empty"))
            path.pop()
        }
    }

    private mutating func elements(_ items: [JSON], old: JSON?, schema: Schema, isUnchanged: Bool) {
        if !isUnchanged {
            if let limit = schema.maxItems, items.count > limit {
                errors.append(.tooMany(path.dotted, items.count, limit))
                return
            }
            if let limit = schema.minItems, items.count < limit {
                invalid(.integer(Int64(items.count)), "should have at least \(limit) items")
            }
        }
        let previous = ListIndex(old?.arrayValue ?? [], schema: schema)
        if let itemSchema = schema.items {
            for index in items.indices {
                path.push(.index(index))
                value(items[index], old: previous.counterpart(of: items[index]), schema: itemSchema)
                path.pop()
            }
        }
        if !isUnchanged { checkUniqueness(items, schema: schema) }
    }

    private mutating func checkUniqueness(_ items: [JSON], schema: Schema) {
        if schema.listType == .atomic, !schema.uniqueItems { return }
        var seen = Set<JSON>(minimumCapacity: items.count)
        for index in items.indices {
            let key = ListIndex.key(of: items[index], schema: schema)
            if seen.insert(key).inserted { continue }
            path.push(.index(index))
            errors.append(.duplicate(path.dotted, key))
            path.pop()
        }
    }

    // MARK: - Scalars

    private mutating func checkScalar(_ json: JSON, schema: Schema) {
        switch json {
        case .integer, .number:
            if schema.type == .integer, schema.format == "int32" { checkIntegerFormat(json, schema: schema) }
            checkRange(json, schema: schema)
        case .string(let text): checkText(text, json, schema: schema)
        default: break
        }
    }

    private mutating func checkRange(_ json: JSON, schema: Schema) {
        guard let number = json.doubleValue else { return }
        if let limit = schema.maximum, schema.exclusiveMaximum ? number >= limit : number > limit {
            invalid(json, "should be less than \(schema.exclusiveMaximum ? "" : "or equal to ")\(Self.text(limit))")
        }
        if let limit = schema.minimum, schema.exclusiveMinimum ? number <= limit : number < limit {
            invalid(json, "should be greater than \(schema.exclusiveMinimum ? "" : "or equal to ")\(Self.text(limit))")
        }
        if let factor = schema.multipleOf, factor != 0, number.remainder(dividingBy: factor) != 0 {
            invalid(json, "should be a multiple of \(Self.text(factor))")
        }
    }

    private mutating func checkText(_ text: String, _ json: JSON, schema: Schema) {
        if let limit = schema.maxLength, text.utf8.count > limit, text.unicodeScalars.count > limit {
            errors.append(.tooLong(path.dotted, limit))
        }
        if let limit = schema.minLength, text.utf8.count < limit || text.unicodeScalars.count < limit {
            invalid(json, "should be at least \(limit) chars long")
        }
        if let pattern = schema.pattern, let program = Pattern.compiled(pattern), !program.matches(text) {
            invalid(json, "should match '\(pattern)'")
        }
        if let format = schema.format, !Formats.accepts(text, format: format) {
            let detail = "\(path.dotted) in body must be of type \(format): \(FieldError.text(json))"
            errors.append(FieldError(.typeInvalid, path.dotted, "Invalid value: \(FieldError.text(json)): \(detail)"))
        }
    }

    private mutating func invalid(_ value: JSON, _ detail: String) {
        errors.append(.invalid(path.dotted, value, "\(path.dotted) in body \(detail)"))
    }

    /// 100 rather than 100.0.
    private static func text(_ number: Double) -> String { Int64(exactly: number).map { "\($0)" } ?? "\(number)" }

    // MARK: - allOf, anyOf, oneOf, not

    private mutating func checkComposition(_ json: JSON, schema: Schema) {
        if schema.allOf.isEmpty, schema.anyOf.isEmpty, schema.oneOf.isEmpty, schema.not == nil { return }
        let place = "\"\(path.dotted)\""
        for part in schema.allOf { errors += Self.problems(json, schema: part, at: path) }
        if !schema.anyOf.isEmpty, !schema.anyOf.contains(where: { Self.accepts(json, $0) }) {
            composition("\(place) must validate at least one schema (anyOf)")
        }
        if !schema.oneOf.isEmpty {
            let count = schema.oneOf.filter { Self.accepts(json, $0) }.count
            let found = count == 0 ? "Found none valid" : "Found \(count) valid alternatives"
            if count != 1 { composition("\(place) must validate one and only one schema (oneOf). \(found)") }
        }
        if let part = schema.not, Self.accepts(json, part) {
            composition("\(place) must not validate the schema (not)")
        }
    }

    private mutating func composition(_ detail: String) {
        errors.append(FieldError(.invalid, "<nil>", "Invalid value: \"\": \(detail)"))
    }

    private static func accepts(_ json: JSON, _ schema: Schema) -> Bool {
        problems(json, schema: schema, at: FieldPath()).isEmpty
    }

    private static func problems(_ json: JSON, schema: Schema, at path: FieldPath) -> [FieldError] {
        var validation = SchemaValidation()
        validation.path = path
        validation.value(json, old: nil, schema: schema)
        return validation.errors
    }
}

/// Finds the old item a new item of a list stands for: by its map keys, or as the equal item of a set.
/// Items of an atomic list stand for none, unless the whole list is unchanged.
private struct ListIndex {
    private var items: [JSON: JSON] = [:]
    private let schema: Schema

    init(_ old: [JSON], schema: Schema) {
        self.schema = schema
        if schema.listType == .atomic { return }
        for item in old { items[Self.key(of: item, schema: schema)] = item }
    }

    func counterpart(of item: JSON) -> JSON? {
        if items.isEmpty { return nil }
        return items[Self.key(of: item, schema: schema)]
    }

    /// The map keys of an item as an object; the item itself in a set.
    static func key(of item: JSON, schema: Schema) -> JSON {
        guard schema.listType == .map, let object = item.objectValue else { return item }
        var key = JSONObject()
        for name in schema.listMapKeys { if let value = object[name] { key[name] = value } }
        return .object(key)
    }
}
