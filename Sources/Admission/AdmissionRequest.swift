package import Documents

/// What is asked of admission: may `old` become `new`, and what exactly is then stored?
package struct AdmissionRequest: Sendable {
    package enum Operation: Sendable { case create, update, delete }

    /// What becomes of members that the schema does not know: the request fails, or they are dropped with a warning,
    /// or dropped silently.
    package enum FieldValidation: Sendable { case strict, warn, ignore }

    package var definition: ResourceDefinition
    /// The API version the document is written in.
    package var version: String
    package var operation: Operation
    /// The stored document, for updates and deletions.
    package var old: Document?
    package var new: Document
    /// `status`, `scale` and the like; `nil` for the document itself.
    package var subresource: String?
    package var fieldValidation: FieldValidation
    /// Paths of members that were written twice, as the parser found them.
    package var duplicateFields: [String]
    /// Whether `new` is a stored document with a patch applied, which words decoding errors differently.
    package var isPatch: Bool

    package init(
        definition: ResourceDefinition, version: String, operation: Operation, old: Document? = nil, new: Document,
        subresource: String? = nil, fieldValidation: FieldValidation = .warn, duplicateFields: [String] = [],
        isPatch: Bool = false
    ) {
        self.definition = definition
        self.version = version
        self.operation = operation
        self.old = old
        self.new = new
        self.subresource = subresource
        self.fieldValidation = fieldValidation
        self.duplicateFields = duplicateFields
        self.isPatch = isPatch
    }
}

/// What admission made of a document it lets in.
package struct AdmissionResult: Sendable {
    /// Pruned and defaulted.
    package var document: Document
    /// For `Warning` headers.
    package var warnings: [String]

    package init(document: Document, warnings: [String]) {
        self.document = document
        self.warnings = warnings
    }
}
