package import Documents

/// Which documents of a collection are meant.
package struct Selection: Sendable {
    package let labels: LabelSelector
    package let fields: FieldSelector

    package static let everything = Selection(labels: .everything, fields: .everything)

    package init(labels: LabelSelector, fields: FieldSelector) {
        self.labels = labels
        self.fields = fields
    }

    /// Reads selectors as queries carry them. Refuses a field the resource cannot be selected by.
    package init(labelSelector: String, fieldSelector: String, _ resource: ServedResource) throws(APIError) {
        labels = labelSelector.isEmpty ? .everything : try LabelSelector(parsing: labelSelector)
        let parsed = fieldSelector.isEmpty ? FieldSelector.everything : try FieldSelector(parsing: fieldSelector)
        for requirement in parsed.requirements {
            let path = requirement.path
            if path == "metadata.name" || (path == "metadata.namespace" && resource.isNamespaced) { continue }
            if resource.selectableFields.contains(Self.location(path, resource.groupResource)) { continue }
            throw .badRequest("field label not supported: \(path)")
        }
        fields = FieldSelector(
            parsed.requirements.map {
                FieldSelector.Requirement(
                    path: Self.location($0.path, resource.groupResource), isEqual: $0.isEqual, value: $0.value)
            })
    }

    /// Events can be selected by names that are not where the fields are.
    private static func location(_ path: String, _ resource: GroupResource) -> String {
        resource == WellKnown.events && path == "source" ? "source.component" : path
    }

    package var isEverything: Bool { labels.isEmpty && fields.isEmpty }

    package func matches(_ document: Document) -> Bool {
        if !labels.isEmpty, !labels.matches(document.labels) { return false }
        return fields.isEmpty
            || fields.matches { Self.text(document.json[path: $0.split(separator: ".").map(String.init)]) }
    }

    private static func text(_ value: JSON?) -> String {
        switch value {
        case nil, .null?: ""
        case .string(let text)?: text
        case .bool(let value)?: value ? "true" : "false"
        case let other?: other.text()
        }
    }

    /// The one name that can match; `nil` where there may be several.
    package var exactName: String? { fields.exactValue(of: "metadata.name") }
}
