package import Documents
package import Seams

/// A column of the tables that `kubectl get` prints, with its path or its rule prepared.
package struct TableColumn: Sendable {
    enum Source: Sendable {
        case name
        case path(JSONPath)
        /// A rule of a built-in kind, named `espalier:…` in its definition.
        case computed(String)
        case missing
    }

    package let definition: ResourceDefinition.Column
    let source: Source
    /// The type the table names; `nil`: that of the definition.
    var shownType: String?

    /// `Name`, then the columns of the definition; where it has none, `Age`.
    package static func columns(of version: ResourceDefinition.Version, isBuiltIn: Bool = false) -> [TableColumn] {
        let name = ResourceDefinition.Column(
            name: "Name", type: "string", format: "name", description: nameDescription, jsonPath: "", priority: 0)
        // Events bring a column Name of their own, at the end.
        let hasOwnName = version.columns.contains { $0.name == "Name" }
        var columns = hasOwnName ? [] : [TableColumn(definition: name, source: .name)]
        for var column in version.columns {
            if column.description.isEmpty {
                column.description =
                    column.jsonPath == ageColumn.jsonPath
                    ? ageDescription
                    : isBuiltIn ? "" : "Custom resource definition column (in JSONPath format): \(column.jsonPath)"
            }
            // Built-in kinds send ages as texts and say so.
            let shown = isBuiltIn && column.type == "date" ? "string" : column.type
            columns.append(TableColumn(definition: column, source: source(column.jsonPath), shownType: shown))
        }
        if version.columns.isEmpty {
            columns.append(TableColumn(definition: ageColumn, source: source(ageColumn.jsonPath)))
        }
        return columns
    }

    private static func source(_ path: String) -> Source {
        if path.hasPrefix("espalier:") { return .computed(String(path.dropFirst("espalier:".count))) }
        let template = path.hasPrefix("{") ? path : "{\(path)}"
        // A column nobody can read stays empty.
        if let parsed = try? JSONPath(parsing: template) { return .path(parsed) }
        return .missing
    }

    package var json: JSON {
        [
            "name": .string(definition.name), "type": .string(shownType ?? definition.type),
            "format": .string(definition.format),
            "description": .string(definition.description), "priority": .integer(Int64(definition.priority)),
        ]
    }

    /// The cell of `document` in this column.
    package func cell(of document: Document, now: Instant) -> JSON {
        switch source {
        case .name: .string(document.name)
        case .missing: .null
        case .computed(let rule): ComputedCell.value(rule, document, now: now)
        case .path(let path): cell(path.values(in: document.json).first, now: now)
        }
    }

    private func cell(_ value: JSON?, now: Instant) -> JSON {
        guard let value, !value.isNull else { return .null }
        switch definition.type {
        case "date":
            guard let text = value.stringValue else { return .null }
            guard let instant = Instant(rfc3339: text) else { return "<unknown>" }
            return .string(HumanDuration.text(now - instant))
        case "integer":
            if let number = value.doubleValue, number.magnitude < 9e18 {
                return .integer(value.integerValue ?? Int64(number))
            }
            return .null
        case "number": return value.doubleValue == nil ? .null : value
        case "boolean": return value.boolValue.map(JSON.bool) ?? .null
        default: return .string(value.stringValue ?? value.text())
        }
    }

    private static let ageColumn = ResourceDefinition.Column(
        name: "Age", type: "date", format: "", description: ageDescription, jsonPath: ".metadata.creationTimestamp",
        priority: 0)

    private static let nameDescription = """
        Name must be unique within a namespace. Is required when creating resources, although some resources may allow a \
        client to request the generation of an appropriate name automatically. Name is primarily intended for creation \
        idempotence and configuration definition. Cannot be updated. More info: \
        https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names
        """
    private static let ageDescription = """
        CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed \
        to be set in happens-before order across separate operations. Clients may not set this value. It is represented in \
        RFC3339 form and is in UTC.

        Populated by the system. Read-only. Null for lists. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata
        """
}

/// A `Table` of meta.k8s.io: what the server shows of documents in columns.
package struct Table {
    /// What stands in a row beside its cells.
    package enum IncludedObject: String { case metadata = "Metadata", object = "Object", none = "None" }

    private let resource: ServedResource
    private let version: String
    private let included: IncludedObject
    private let now: Instant

    package init(_ resource: ServedResource, version: String, included: IncludedObject, now: Instant) {
        self.resource = resource
        self.version = version
        self.included = included
        self.now = now
    }

    package static func included(_ text: String) throws(APIError) -> IncludedObject {
        if text.isEmpty { return .metadata }
        guard let value = IncludedObject(rawValue: text) else {
            throw .badRequest(
                "Unable to convert to Table as requested: includeObject: Invalid value: \"\(text)\": must be "
                    + "'Metadata', 'Object', 'None', or empty")
        }
        return value
    }

    /// `columns` is false in the events of a watch after the first.
    package func json(_ documents: [Document], metadata: JSON, columns: Bool = true) -> JSON {
        let definitions: JSON = columns ? .array(resource.columns.map(\.json)) : .null
        return [
            "kind": "Table", "apiVersion": .string("meta.k8s.io/\(version)"), "metadata": metadata,
            "columnDefinitions": definitions, "rows": .array(documents.map(row)),
        ]
    }

    private func row(_ document: Document) -> JSON {
        let cells = resource.columns.map { $0.cell(of: document, now: now) }
        let object: JSON =
            switch included {
            case .none: .null
            case .object: document.json
            case .metadata: PartialMetadata.json(document, version: version)
            }
        return ["cells": .array(cells), "object": object]
    }
}

/// A document reduced to its metadata.
package enum PartialMetadata {
    package static func json(_ document: Document, version: String) -> JSON {
        [
            "kind": "PartialObjectMetadata", "apiVersion": .string("meta.k8s.io/\(version)"),
            "metadata": document.json["metadata"] ?? [:],
        ]
    }
}
