package import Documents

/// Decides whether `request.new` may be stored: see `DocumentAdmission`. Call sites read `Admission.admit(request)`.
package func admit(_ request: AdmissionRequest) throws(APIError) -> AdmissionResult {
    try DocumentAdmission.admit(request)
}

/// Decides whether a document may be stored, from the document and its old version alone. Pure: no clock, no other
/// document, no I/O; the same request always gets the same answer. A document is first brought into shape (unknown
/// members pruned, defaults added), then everything that is wrong with it is said at once.
package enum DocumentAdmission {
    /// The document as it is to be stored, or why it may not be. `BadRequest` where it cannot be read as its kind at
    /// all, `Invalid` with a cause for every wrong field otherwise.
    package static func admit(_ request: AdmissionRequest) throws(APIError) -> AdmissionResult {
        guard let version = request.definition.version(request.version) else {
            throw APIError.badRequest("\(request.definition.groupResource) has no version \(request.version)")
        }
        if request.operation == .delete { return AdmissionResult(document: request.new, warnings: []) }
        var request = request
        let kindProblem = problemOfKind(request)
        if kindProblem == nil {
            let shaped = try shape(request, schema: version.schema)
            request.new = shaped.document
            if request.definition.isBuiltIn {
                try checkTypes(request, schema: version.schema)
                BuiltInDefaults.apply(to: &request.new, definition: request.definition)
            }
            try validate(request, schema: version.schema, first: [])
            return AdmissionResult(document: request.new, warnings: shaped.warnings)
        }
        try validate(request, schema: version.schema, first: kindProblem.map { [$0] } ?? [])
        return AdmissionResult(document: request.new, warnings: [])
    }

    /// Prunes and defaults a document that was stored under an older schema, on the way out.
    package static func reshaped(_ document: Document, definition: ResourceDefinition, version: String) -> Document {
        guard let schema = definition.version(version)?.schema else { return document }
        var shaping = Shaping(dropsNulls: definition.isBuiltIn)
        return Document(shaping.document(document.json, schema: schema, metadata: MetadataSchema.schema))
    }

    private static func problemOfKind(_ request: AdmissionRequest) -> FieldError? {
        if request.new.kind.isSameBytes(as: request.definition.kind) { return nil }
        return .invalid("kind", .string(request.new.kind), "must be \(request.definition.kind)")
    }

    // MARK: - Shape

    private static func shape(_ request: AdmissionRequest, schema: Schema) throws(APIError) -> AdmissionResult {
        try checkMetadataTypes(request)
        var shaping = Shaping(dropsNulls: request.definition.isBuiltIn)
        let json = shaping.document(request.new.json, schema: schema, metadata: MetadataSchema.schema)
        var problems = request.duplicateFields.map { "duplicate field \"\($0)\"" }
        problems += shaping.sortedUnknownFields.map { "unknown field \"\($0)\"" }
        if request.fieldValidation == .strict, !problems.isEmpty {
            throw undecodable(request, "strict decoding error: \(problems.joined(separator: ", "))")
        }
        return AdmissionResult(document: Document(json), warnings: request.fieldValidation == .warn ? problems : [])
    }

    /// A document that cannot be read as its kind.
    private static func undecodable(_ request: AdmissionRequest, _ detail: String) -> APIError {
        let kind = request.definition.kind
        if request.isPatch {
            let value = JSON.string(request.new.json.text()).text()
            let cause = APIError.Cause(
                reason: FieldError.Reason.invalid.rawValue, message: "Invalid value: \(value): \(detail)",
                field: "patch")
            return .invalid(GroupVersionKind(group: "", version: "", kind: ""), "", [cause])
        }
        return .badRequest("\(kind) in version \"\(request.version)\" cannot be handled as a \(kind): \(detail)")
    }

    private static func checkMetadataTypes(_ request: AdmissionRequest) throws(APIError) {
        guard let metadata = request.new["metadata"], !metadata.isNull else { return }
        guard let problem = TypeCheck.problem(metadata, schema: MetadataSchema.schema, struct: "ObjectMeta.metadata")
        else { return }
        throw undecodable(request, problem)
    }

    /// Built-in kinds are decoded into types: a value of the wrong type makes the whole document unreadable.
    private static func checkTypes(_ request: AdmissionRequest, schema: Schema) throws(APIError) {
        for member in request.new.json.objectValue?.members ?? [] {
            guard let property = schema.properties[member.key] else { continue }
            let place = "\(request.definition.kind).\(member.key)"
            if let problem = TypeCheck.problem(member.value, schema: property, struct: place) {
                throw undecodable(request, problem)
            }
        }
    }

    // MARK: - Everything that is wrong

    private static func validate(_ request: AdmissionRequest, schema: Schema, first: [FieldError]) throws(APIError) {
        var metadata = MetadataValidation()
        metadata.validate(request)
        var validation = SchemaValidation()
        validation.document(request.new.json, old: request.old?.json, schema: schema)
        var errors = first + metadata.errors + validation.errors
        let semantic = SemanticRules.errors(of: request)
        if errors.contains(where: blocksRules) {
            if schema.containsRules {
                let detail = "some validation rules were not checked because the object was invalid; "
                errors.append(.invalid("<nil>", .null, detail + "correct the existing errors to complete validation"))
            }
        } else {
            var rules = Rules()
            rules.run(validation.pending)
            // Where a rule in CEL and a semantic rule speak of the same field, the latter says more.
            let better = Set(semantic.map(\.field))
            errors += rules.errors.filter { !better.contains($0.field) }
        }
        // What the schema has found wrong, a semantic rule need not say again in other words.
        let known = Set(errors.map(\.field))
        errors += semantic.filter { !known.contains($0.field) }
        if errors.isEmpty { return }
        let kind = GroupVersionKind(group: request.definition.group, version: request.version, kind: request.new.kind)
        throw .invalid(kind, request.new.name, errors.prefix(AdmissionLimits.errors).map(\.cause))
    }

    private static func blocksRules(_ error: FieldError) -> Bool {
        switch error.reason {
        case .notSupported, .required, .tooLong, .tooMany, .typeInvalid: true
        default: false
        }
    }
}
