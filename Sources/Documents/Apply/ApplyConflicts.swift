/// Fields that an apply would change and that other managers own.
struct ApplyConflicts: Error {
    private var conflicts: [(owner: ManagedFields.Identity, path: FieldPath)] = []

    var isEmpty: Bool { conflicts.isEmpty }

    mutating func append(_ owner: ManagedFields.Identity, _ fields: FieldSet) {
        conflicts += fields.paths.map { (owner, $0) }
    }

    /// The conflicts whose fields are not in `allowed`.
    func removing(_ allowed: FieldSet) -> ApplyConflicts {
        var left = self
        left.conflicts.removeAll { allowed.contains($0.path) }
        return left
    }

    /// 409 in the words of Kubernetes, with a cause for each field.
    var apiError: APIError {
        let sorted = conflicts.enumerated().sorted {
            let (left, right) = ($0.element.owner.text, $1.element.owner.text)
            return left == right ? $0.offset < $1.offset : left < right
        }.map(\.element)
        let message: String
        if sorted.count == 1, let only = sorted.first {
            message = "Apply failed with 1 conflict: conflict with \(only.owner.text): \(only.path.text)"
        } else {
            var lines: [String] = []
            var owner = ""
            for conflict in sorted {
                if conflict.owner.text != owner {
                    owner = conflict.owner.text
                    lines.append("conflicts with \(owner):")
                }
                lines.append("- \(conflict.path.text)")
            }
            message = "Apply failed with \(sorted.count) conflicts: \(lines.joined(separator: "\n"))"
        }
        return APIError(
            code: 409, reason: .conflict, message: message,
            causes: sorted.map {
                APIError.Cause(
                    reason: "FieldManagerConflict", message: "conflict with \($0.owner.text)", field: $0.path.text)
            })
    }
}

extension ManagedFields.Identity {
    /// As messages name an owner.
    var text: String {
        var text = "\"\(manager)\""
        if !subresource.isEmpty { text += " with subresource \"\(subresource)\"" }
        if operation == .update { text += " using \(apiVersion)" }
        return text
    }
}
