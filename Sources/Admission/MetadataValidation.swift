import Documents

/// Checks `metadata`: the same for every kind.
struct MetadataValidation {
    private(set) var errors: [FieldError] = []

    mutating func validate(_ request: AdmissionRequest) {
        let document = request.new
        let metadata = document.metadata
        checkName(document, request: request)
        checkNamespace(document, request: request)
        checkLabels(metadata["labels"]?.objectValue)
        checkAnnotations(metadata["annotations"]?.objectValue)
        checkOwners(metadata["ownerReferences"]?.arrayValue ?? [])
        checkFinalizers(metadata["finalizers"]?.arrayValue ?? [])
        if request.operation == .update, let old = request.old { checkUpdate(document, from: old) }
    }

    private mutating func checkName(_ document: Document, request: AdmissionRequest) {
        if document.name.isEmpty {
            let detail = "name or generateName is required"
            if document.metadata["generateName"]?.stringValue?.isEmpty ?? true {
                errors.append(.required("metadata.name", detail))
            }
            return
        }
        if let old = request.old, old.name.isSameBytes(as: document.name) { return }
        if let problem = Self.nameProblem(document.name, definition: request.definition) {
            errors.append(.invalid("metadata.name", .string(document.name), problem))
        }
    }

    static func nameProblem(_ name: String, definition: ResourceDefinition) -> String? {
        switch (definition.group, definition.plural) {
        case ("", "namespaces"): NameRules.labelProblem(name)
        case ("", "services"): NameRules.serviceNameProblem(name)
        case ("rbac.authorization.k8s.io", _): NameRules.pathSegmentProblem(name)
        default: NameRules.subdomainProblem(name)
        }
    }

    private mutating func checkNamespace(_ document: Document, request: AdmissionRequest) {
        let namespace = document.namespace
        if request.definition.isNamespaced {
            if namespace.isEmpty {
                errors.append(.required("metadata.namespace"))
            } else if request.operation == .create, let problem = NameRules.labelProblem(namespace) {
                errors.append(.invalid("metadata.namespace", .string(namespace), problem))
            }
        } else if !namespace.isEmpty {
            errors.append(.forbidden("metadata.namespace", "not allowed on this type"))
        }
    }

    private mutating func checkLabels(_ labels: JSONObject?) {
        for member in labels?.members ?? [] {
            for problem in NameRules.qualifiedNameProblems(member.key) {
                errors.append(.invalid("metadata.labels", .string(member.key), problem))
            }
            for problem in NameRules.labelValueProblems(member.value.stringValue ?? "") {
                errors.append(.invalid("metadata.labels", member.value, problem))
            }
        }
    }

    private mutating func checkAnnotations(_ annotations: JSONObject?) {
        var size = 0
        for member in annotations?.members ?? [] {
            size += member.key.utf8.count + (member.value.stringValue?.utf8.count ?? 0)
            for problem in NameRules.qualifiedNameProblems(member.key.lowercased()) {
                errors.append(.invalid("metadata.annotations", .string(member.key), problem))
            }
        }
        if size > AdmissionLimits.annotationBytes {
            errors.append(.tooLong("metadata.annotations", AdmissionLimits.annotationBytes))
        }
    }

    private mutating func checkOwners(_ owners: [JSON]) {
        var controllers = 0
        for owner in owners {
            if owner["apiVersion"]?.stringValue?.isEmpty ?? true {
                errors.append(.invalid("metadata.ownerReferences.apiVersion", .string(""), "version must not be empty"))
            }
            for name in ["kind", "name", "uid"] where owner[name]?.stringValue?.isEmpty ?? true {
                errors.append(.invalid("metadata.ownerReferences.\(name)", .string(""), "must not be empty"))
            }
            if owner["controller"]?.boolValue == true { controllers += 1 }
        }
        if controllers > 1 {
            let detail =
                "Only one reference can have Controller set to true. Found \"true\" in \(controllers) references"
            errors.append(.invalid("metadata.ownerReferences", .array(owners), detail))
        }
    }

    private mutating func checkFinalizers(_ finalizers: [JSON]) {
        var hasForeground = false
        var hasOrphan = false
        for finalizer in finalizers {
            let name = finalizer.stringValue ?? ""
            hasForeground = hasForeground || name == "foregroundDeletion"
            hasOrphan = hasOrphan || name == "orphan"
            for problem in NameRules.qualifiedNameProblems(name) {
                errors.append(.invalid("metadata.finalizers", finalizer, problem))
            }
        }
        if hasForeground, hasOrphan {
            let detail = "finalizers \"orphan\" and \"foregroundDeletion\" cannot be both set"
            errors.append(.invalid("metadata.finalizers", .array(finalizers), detail))
        }
    }

    private mutating func checkUpdate(_ document: Document, from old: Document) {
        for name in ["name", "namespace", "uid", "creationTimestamp"] {
            guard let before = old.metadata[name], let after = document.metadata[name], after != before else {
                continue
            }
            errors.append(.immutable("metadata.\(name)", after))
        }
        guard old.isBeingDeleted else { return }
        let added = document.finalizers.filter { !old.finalizers.contains($0) }
        if !added.isEmpty {
            let list = added.map { FieldError.text(.string($0)) }.joined(separator: ", ")
            let detail =
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{\(list)}"
            errors.append(.forbidden("metadata.finalizers", detail))
        }
    }
}
