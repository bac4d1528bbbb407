internal import CEL
import Documents

/// Runs the `x-kubernetes-validations` that the schema check has collected.
struct Rules {
    private(set) var errors: [FieldError] = []
    private var evaluator = CELEvaluator(steps: AdmissionLimits.ruleSteps)

    mutating func run(_ pending: [SchemaValidation.PendingRules]) {
        for entry in pending {
            for rule in entry.schema.rules where errors.count < AdmissionLimits.errors { check(rule, entry) }
        }
    }

    private mutating func check(_ rule: Schema.Rule, _ entry: SchemaValidation.PendingRules) {
        guard let program = try? CELProgram.compiled(rule.rule) else { return }  // refused with its definition
        let isTransition = program.mentions("oldSelf")
        if isTransition ? entry.old == nil : entry.isUnchanged { return }
        var variables: [(name: String, value: CELValue)] = [("self", CELValue(entry.value))]
        if let old = entry.old { variables.append(("oldSelf", CELValue(old))) }
        let result: CELValue
        do {
            result = try evaluator.evaluate(program, with: variables)
        } catch {
            if error.code == .unsupported { return }
            let said = rule.message.isEmpty ? rule.rule : rule.message
            let detail = "\(error.message) evaluating rule: \(said)"
            let type = entry.schema.type?.rawValue ?? entry.value.typeName
            return errors.append(.invalid(entry.field, .string(type), detail))
        }
        if case .bool(true) = result { return }
        errors.append(failure(of: rule, entry, variables))
    }

    private mutating func failure(
        of rule: Schema.Rule, _ entry: SchemaValidation.PendingRules, _ variables: [(name: String, value: CELValue)]
    ) -> FieldError {
        var message = rule.message.isEmpty ? "failed rule: \(rule.rule)" : rule.message
        if !rule.messageExpression.isEmpty, let program = try? CELProgram.compiled(rule.messageExpression),
            case .string(let text)? = try? evaluator.evaluate(program, with: variables), !text.isEmpty
        {
            message = text
        }
        var field = entry.field
        if !rule.fieldPath.isEmpty {
            let below = rule.fieldPath.hasPrefix(".") ? String(rule.fieldPath.dropFirst()) : rule.fieldPath
            field = field == "<nil>" ? below : field + (below.hasPrefix("[") ? "" : ".") + below
        }
        switch rule.reason {
        case "FieldValueRequired": return .required(field, message)
        case "FieldValueForbidden": return .forbidden(field, message)
        case "FieldValueDuplicate": return .duplicate(field, entry.value)
        default:
            if rule.fieldPath.isEmpty, entry.value.objectValue == nil, entry.value.arrayValue == nil {
                return .invalid(field, entry.value, message)
            }
            return FieldError(.invalid, field, "Invalid value: \(message)")
        }
    }
}
