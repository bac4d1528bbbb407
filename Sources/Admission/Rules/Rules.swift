package import Documents
import Synchronization

/// Runs the `x-kubernetes-validations` that the schema check has collected.
struct Rules {
    private(set) var errors: [FieldError] = []
    private var evaluator = RuleEvaluator(steps: AdmissionLimits.ruleSteps)

    mutating func run(_ pending: [SchemaValidation.PendingRules]) {
        for entry in pending {
            for rule in entry.schema.rules where errors.count < AdmissionLimits.errors { check(rule, entry) }
        }
    }

    private mutating func check(_ rule: Schema.Rule, _ entry: SchemaValidation.PendingRules) {
        guard case .success(let expression) = Self.parsed(rule.rule) else { return }
        let isTransition = expression.mentions("oldSelf")
        if isTransition ? entry.old == nil : entry.isUnchanged { return }
        var variables: [(name: String, value: RuleValue)] = [("self", RuleValue(entry.value))]
        if let old = entry.old { variables.append(("oldSelf", RuleValue(old))) }
        let result: RuleValue
        do {
            result = try evaluator.evaluate(expression, with: variables)
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
        of rule: Schema.Rule, _ entry: SchemaValidation.PendingRules, _ variables: [(name: String, value: RuleValue)]
    ) -> FieldError {
        var message = rule.message.isEmpty ? "failed rule: \(rule.rule)" : rule.message
        if !rule.messageExpression.isEmpty, case .success(let expression) = Self.parsed(rule.messageExpression),
            case .string(let text)? = try? evaluator.evaluate(expression, with: variables), !text.isEmpty
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

    private static let cache = Mutex<[String: Result<RuleExpression, RuleError>]>([:])

    /// The rule as a tree, kept for the next time.
    static func parsed(_ rule: String) -> Result<RuleExpression, RuleError> {
        if let known = cache.withLock({ $0[rule] }) { return known }
        let result = Result { () throws(RuleError) in try RuleParser.parse(rule) }
        cache.withLock { cache in
            if cache.count >= AdmissionLimits.cachedPrograms { cache.removeAll() }
            cache[rule] = result
        }
        return result
    }
}

/// The rule language by itself.
package enum RuleLanguage {
    /// What is wrong with the text of a rule; `nil` where it can be read.
    package static func problem(in rule: String) -> String? {
        if case .failure(let error) = Rules.parsed(rule) { error.message } else { nil }
    }

    /// The answer of `rule` about `value`: a scalar as text, the name of the type of anything else, or why there is no
    /// answer.
    package static func answer(_ rule: String, about value: JSON, steps: Int = AdmissionLimits.ruleSteps) -> String {
        var evaluator = RuleEvaluator(steps: steps)
        do {
            let result = try evaluator.evaluate(RuleParser.parse(rule), with: [("self", RuleValue(value))])
            return RuleFunctions.text(result) ?? result.typeName
        } catch {
            return error.message
        }
    }
}
