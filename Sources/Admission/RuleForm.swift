import Documents

/// What is asked of a rule apart from its expressions: messages on one line, a known reason, a path that is there.
enum RuleForm {
    static func errors(of rule: Schema.Rule, _ schema: Schema, at field: String) -> [FieldError] {
        var errors: [FieldError] = []
        let message = trimmed(rule.message)
        if !rule.message.isEmpty, message.isEmpty {
            errors.append(.invalid("\(field).message", .string(rule.message), "must be non-empty if specified"))
        } else if hasLineBreaks(message) {
            errors.append(.invalid("\(field).message", .string(rule.message), "must not contain line breaks"))
        } else if hasLineBreaks(trimmed(rule.rule)), message.isEmpty {
            errors.append(.required("\(field).message", "message must be specified if rule contains line breaks"))
        }
        if !rule.messageExpression.isEmpty, trimmed(rule.messageExpression).isEmpty {
            let detail = "messageExpression must be non-empty if specified"
            errors.append(.required("\(field).messageExpression", detail))
        }
        let reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"]
        if !rule.reason.isEmpty, !reasons.contains(rule.reason) {
            errors.append(.notSupported("\(field).reason", .string(rule.reason), reasons.map(JSON.string)))
        }
        if rule.fieldPath.isEmpty { return errors }
        if trimmed(rule.fieldPath).isEmpty {
            errors.append(.invalid("\(field).fieldPath", .string(rule.fieldPath), "must be non-empty if specified"))
        }
        if hasLineBreaks(rule.fieldPath) {
            errors.append(.invalid("\(field).fieldPath", .string(rule.fieldPath), "must not contain line breaks"))
        }
        if !isPath(rule.fieldPath, in: schema) {
            errors.append(.invalid("\(field).fieldPath", .string(rule.fieldPath), "must be a valid path"))
        }
        return errors
    }

    /// Without white space around it.
    static func trimmed(_ text: String) -> String {
        let isSpace = { (character: Character) in character.isWhitespace }
        return String(text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }

    private static func hasLineBreaks(_ text: String) -> Bool { text.utf8.contains { $0 == 10 || $0 == 13 } }

    /// Whether `.a.b['c']` leads to a member that the schema names.
    private static func isPath(_ path: String, in schema: Schema) -> Bool {
        var schema = schema
        var rest = path[...]
        while let first = rest.popFirst() {
            let name: String
            if first == "." {
                name = String(rest.prefix { !".[]".contains($0) })
                rest = rest.dropFirst(name.count)
            } else if first == "[", rest.popFirst() == "'" {
                guard let quoted = quoted(&rest), rest.popFirst() == "]" else { return false }
                name = quoted
            } else {
                return false
            }
            let isNamed = !schema.properties.isEmpty
            guard let next = isNamed ? schema.properties[name] : schema.additionalProperties else { return false }
            schema = next
        }
        return true
    }

    /// What stands before the next quote, with what is escaped.
    private static func quoted(_ rest: inout Substring) -> String? {
        let escapes: [Character: Character] = [
            "a": "\u{07}", "b": "\u{08}", "f": "\u{0C}", "n": "\n", "r": "\r", "t": "\t", "v": "\u{0B}", "'": "'",
            "\\": "\\",
        ]
        var text = ""
        while let character = rest.popFirst() {
            if character == "'" { return text }
            if character != "\\" {
                text.append(character)
                continue
            }
            guard let escape = rest.popFirst(), let meant = escapes[escape] else { return nil }
            text.append(meant)
        }
        return nil
    }
}
