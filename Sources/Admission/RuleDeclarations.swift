package import CEL
package import Documents

/// What rules may know of the values of a schema: their types, and how large they may be. Maps structural schemas as
/// Kubernetes maps them, so that the same rules are right and the same rules cost too much.
package struct RuleDeclarations {
    /// A declaration, and the bytes its smallest value takes in a document.
    package struct Sized: Sendable {
        package var declaration: CELDeclaration
        package var leastBytes: Int64
    }

    /// What is known of a schema; the schema is kept, so that no other takes its place in memory.
    struct Known: Sendable {
        var schema: Schema
        var sized: Sized?
    }

    private static let requestBytes = AdmissionLimits.estimatedRequestBytes

    /// What schemas with rules were found to be. What is there is not made again; places in messages are then not
    /// those of the tree it is used in, so only what runs rules shares.
    private(set) var known: [ObjectIdentifier: Known] = [:]
    private let shares: Bool

    init(sharing known: [ObjectIdentifier: Known]? = nil) {
        self.known = known ?? [:]
        shares = known != nil
    }

    /// `nil` where rules may not look at values of `schema`, as their type is not known. At the root of a resource, and
    /// of an embedded one, `apiVersion`, `kind`, `metadata.name` and `metadata.generateName` are there in any case.
    package static func declaration(of schema: Schema, isRoot: Bool) -> Sized? {
        var declarations = RuleDeclarations()
        return declarations.declaration(of: schema, isRoot: isRoot, at: "")
    }

    mutating func declaration(of schema: Schema, isRoot: Bool, at path: String) -> Sized? {
        guard shares, !schema.rules.isEmpty else { return found(schema, isRoot: isRoot, path) }
        if let known = known[ObjectIdentifier(schema)] { return known.sized }
        let sized = found(schema, isRoot: isRoot, path)
        known[ObjectIdentifier(schema)] = Known(schema: schema, sized: sized)
        return sized
    }

    private mutating func found(_ schema: Schema, isRoot: Bool, _ path: String) -> Sized? {
        if schema.isIntOrString {
            let most = schema.maxLength.map { min(max(0, Int64($0)), .max / 4) * 4 } ?? Self.requestBytes - 2
            return Sized(declaration: .scalar(.dyn, maxElements: UInt64(most), at: path), leastBytes: 1)
        }
        switch schema.type {
        case .array: return list(schema, path)
        case .object: return object(schema, isRoot: isRoot, path)
        case .string: return Self.text(schema, path)
        case .boolean: return Sized(declaration: .scalar(.bool, at: path), leastBytes: 4)
        case .number: return Sized(declaration: .scalar(.double, at: path), leastBytes: 1)
        case .integer: return Sized(declaration: .scalar(.int, at: path), leastBytes: 1)
        case nil: return nil
        }
    }

    private mutating func list(_ schema: Schema, _ path: String) -> Sized? {
        guard let items = schema.items,
            let item = declaration(of: items, isRoot: items.isEmbeddedResource, at: "\(path).@idx")
        else { return nil }
        let kind: CELDeclaration.ListKind =
            switch schema.listType {
            case .atomic: .atomic
            case .set: .set
            case .map: .map(schema.listMapKeys)
            }
        let most = schema.maxItems.map { UInt64(max($0, 0)) } ?? UInt64((Self.requestBytes - 2) / (item.leastBytes + 1))
        return Sized(
            declaration: .list(of: item.declaration, kind: kind, maxElements: most, at: path), leastBytes: 2)
    }

    private mutating func object(_ schema: Schema, isRoot: Bool, _ path: String) -> Sized? {
        if let values = schema.additionalProperties {
            guard let value = declaration(of: values, isRoot: values.isEmbeddedResource, at: "\(path).@elem") else {
                return nil
            }
            let most = schema.maxProperties.map { UInt64(max($0, 0)) }
            let estimated = UInt64((Self.requestBytes - 2) / (value.leastBytes + 6))
            return Sized(
                declaration: .map(of: value.declaration, maxElements: most ?? estimated, at: path), leastBytes: 2)
        }
        var fields: [String: CELDeclaration.Field] = [:]
        var leastBytes: Int64 = 2
        for (name, property) in schema.properties {
            let escaped = RuleNames.escaped(name)
            guard
                let member = declaration(
                    of: property, isRoot: property.isEmbeddedResource, at: "\(path).\(escaped ?? name)")
            else { continue }
            if let escaped { fields[escaped] = CELDeclaration.Field(property: name, declaration: member.declaration) }
            if schema.required.contains(name), property.defaultValue == nil {
                leastBytes += Int64(name.utf8.count) + member.leastBytes + 4
            }
        }
        if isRoot { Self.addMetadata(to: &fields, schema, path) }
        return Sized(declaration: .object(fields, at: path), leastBytes: leastBytes)
    }

    private static func addMetadata(to fields: inout [String: CELDeclaration.Field], _ schema: Schema, _ path: String) {
        let metadata = schema.properties["metadata"]
        let names = ["name", "generateName"]
        let isComplete =
            schema.properties["kind"]?.type == .string && schema.properties["apiVersion"]?.type == .string
            && metadata?.type == .object && names.allSatisfy { metadata?.properties[$0]?.type == .string }
        if isComplete { return }
        func field(_ name: String, _ declaration: CELDeclaration) -> CELDeclaration.Field {
            CELDeclaration.Field(property: name, declaration: declaration)
        }
        for name in ["kind", "apiVersion"] {
            fields[name] = field(
                name, .scalar(.string, maxElements: UInt64(requestBytes - 2), at: "\(path).\(name)"))
        }
        var members: [String: CELDeclaration.Field] = [:]
        for (name, limit) in [("name", 253), ("generateName", 252)] {
            let length = min(max(metadata?.properties[name]?.maxLength ?? limit, 0), limit)
            members[name] = field(
                name, .scalar(.string, maxElements: UInt64(length) * 4, at: "\(path).metadata.\(name)"))
        }
        fields["metadata"] = field("metadata", .object(members, at: "\(path).metadata"))
    }

    private static func text(_ schema: Schema, _ path: String) -> Sized {
        let length = schema.maxLength.map { min(max(0, Int64($0)), .max / 4) }
        func sized(_ type: CELType, _ most: Int64, _ leastBytes: Int64) -> Sized {
            Sized(declaration: .scalar(type, maxElements: UInt64(most), at: path), leastBytes: leastBytes)
        }
        switch schema.format {
        case "byte": return sized(.bytes, length ?? requestBytes - 2, 2)
        case "duration": return sized(.duration, 32, 3)
        case "date": return sized(.timestamp, 12, 12)
        case "date-time": return sized(.timestamp, 32, 21)
        default: break
        }
        // A character takes up to four bytes.
        if let length { return sized(.string, length * 4, 2) }
        let longest = schema.enumeration.compactMap { $0.stringValue?.utf8.count }.max()
        if !schema.enumeration.isEmpty { return sized(.string, Int64(longest ?? 0), 2) }
        return sized(.string, requestBytes - 2, 2)
    }
}

/// How rules call the members of objects whose names are no names of the language: `a-b` is `a__dash__b`.
enum RuleNames {
    private static let words: Set<String> = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return",
    ]

    /// `nil` where rules cannot name the member at all.
    static func escaped(_ name: String) -> String? {
        guard let first = name.utf8.first, !(48...57).contains(first) else { return nil }
        if words.contains(name) { return "__\(name)__" }
        var result = ""
        var rest = name[...]
        while let character = rest.first {
            if rest.hasPrefix("__") {
                result += "__underscores__"
                rest = rest.dropFirst(2)
                continue
            }
            switch character {
            case ".": result += "__dot__"
            case "-": result += "__dash__"
            case "/": result += "__slash__"
            case _ where character == "_" || character.isASCII && (character.isLetter || character.isNumber):
                result.append(character)
            default: return nil
            }
            rest = rest.dropFirst()
        }
        return result
    }
}
