internal import Documents

/// What is asked of literals once the types of an expression are right: times and patterns that can be read, and lists
/// and maps of one type.
enum CELLiteralRules {
    static func issues(of checked: CELChecked, root: String) -> [CELIssue] {
        var issues: [CELIssue] = []
        visit(checked.program.expression, checked, isExempt: false, root: root, &issues)
        return issues
    }

    private static func visit(
        _ node: CELExpression, _ checked: CELChecked, isExempt: Bool, root: String, _ issues: inout [CELIssue]
    ) {
        var isExempt = isExempt
        switch node.form {
        case .call(let name, let target, let arguments):
            // What is formatted may be of any type.
            if name == "format" { isExempt = true }
            if let literal = arguments.first, case .literal(let value) = literal.form,
                !isReadable(value, by: name, isMember: target != nil)
            {
                issues.append(CELIssue(offset: literal.offset, message: "invalid \(name) argument"))
            }
        case .list(let items) where !isExempt:
            let types = items.map { item in type(of: item.value, item.isOptional, checked) }
            mismatch(items.map(\.value), types, root, &issues, stopsAtFirst: true)
        case .map(let entries) where !isExempt:
            mismatch(entries.map(\.key), entries.map { checked.types[$0.key.id] }, root, &issues)
            let types = entries.map { entry in type(of: entry.value, entry.isOptional, checked) }
            mismatch(entries.map(\.value), types, root, &issues)
        default: break
        }
        for child in node.form.children { visit(child, checked, isExempt: isExempt, root: root, &issues) }
    }

    private static func type(of node: CELExpression, _ isOptional: Bool, _ checked: CELChecked) -> CELType {
        let type = checked.types[node.id]
        if isOptional, case .optional(let inner) = type { return inner }
        return type
    }

    private static func mismatch(
        _ nodes: [CELExpression], _ types: [CELType], _ root: String, _ issues: inout [CELIssue],
        stopsAtFirst: Bool = false
    ) {
        guard let first = types.first else { return }
        for (node, type) in zip(nodes, types) where !isEquivalent(first, type) {
            let message = "expected type '\(first.text(root: root))' but found '\(type.text(root: root))'"
            issues.append(CELIssue(offset: node.offset, message: message))
            if stopsAtFirst { return }
        }
    }

    private static func isEquivalent(_ left: CELType, _ right: CELType) -> Bool {
        switch (left, right) {
        case (.type, .type): true
        case (.list(let a), .list(let b)), (.optional(let a), .optional(let b)): isEquivalent(a, b)
        case (.map(let a, let c), .map(let b, let d)): isEquivalent(a, b) && isEquivalent(c, d)
        default: left == right
        }
    }

    private static func isReadable(_ value: CELValue, by name: String, isMember: Bool) -> Bool {
        switch (name, value) {
        case ("duration", .string(let text)) where !isMember: CELTime.duration(text) != nil
        case ("timestamp", .string(let text)) where !isMember: CELTime.timestamp(text) != nil
        case ("timestamp", .integer(let seconds)) where !isMember: CELTime.isInRange(seconds)
        case ("matches", .string(let pattern)): Pattern.isPattern(pattern)
        default: true
        }
    }
}
