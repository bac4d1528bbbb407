internal import CEL
import Documents
internal import Synchronization

/// Runs the `x-kubernetes-validations` that the schema check has collected, as long as they cost less than they may.
struct Rules {
    private(set) var errors: [FieldError] = []
    private var evaluator = CELEvaluator(steps: AdmissionLimits.ruleSteps, callLimit: AdmissionLimits.ruleCallCost)
    private var budget = AdmissionLimits.ruleCost
    private var isOver = false

    mutating func run(_ pending: [SchemaValidation.PendingRules]) {
        for entry in pending {
            if budget == 0 { return exhausted(entry, Self.outOfBudget) }
            let declaration = RuleValues.declaration(of: entry.schema, isRoot: entry.isRoot)
            var variables: [(name: String, value: CELValue)] = [("self", CELValue(entry.value, as: declaration))]
            if let old = entry.old { variables.append(("oldSelf", CELValue(old, as: declaration))) }
            for rule in entry.schema.rules where errors.count < AdmissionLimits.errors {
                check(rule, entry, variables)
                if isOver { return }
            }
        }
    }

    private static let outOfBudget =
        "validation failed due to running out of cost budget, no further validation rules will be run"

    /// The end of all rules.
    private mutating func exhausted(_ entry: SchemaValidation.PendingRules, _ detail: String) {
        errors.append(.invalid(entry.field, .string(Self.type(of: entry)), detail))
        isOver = true
    }

    private static func type(of entry: SchemaValidation.PendingRules) -> String {
        entry.schema.type?.rawValue ?? entry.value.typeName
    }

    private mutating func check(
        _ rule: Schema.Rule, _ entry: SchemaValidation.PendingRules, _ variables: [(name: String, value: CELValue)]
    ) {
        guard let program = try? CELProgram.compiled(rule.rule) else { return }  // refused with its definition
        let isTransition = program.mentions("oldSelf")
        let isOptional = rule.optionalOldSelf == true
        if isTransition ? entry.old == nil && !isOptional : entry.isUnchanged { return }
        var variables = variables
        if isOptional {
            let old = variables.count > 1 ? variables.removeLast().value : nil
            variables.append(("oldSelf", .optional(old)))
        }
        let said = RuleForm.trimmed(rule.message.isEmpty ? rule.rule : rule.message)
        let result: Result<CELValue, CELError> = evaluate(program, variables)
        guard spend() else { return exhausted(entry, Self.outOfBudget) }
        switch result {
        case .success(.bool(true)): break
        case .success: fail(rule, entry, variables)
        case .failure(let error):
            switch error.code {
            case .unsupported: return
            case .exhausted:
                let ending = "no further validation rules will be run due to call cost exceeds limit for rule"
                exhausted(entry, "'\(error.message)': \(ending): \(said)")
            default:
                let isMismatch = error.message.hasPrefix("no such overload")
                let detail =
                    isMismatch
                    ? "'\(error.message)': call arguments did not match a supported operator, function or macro "
                        + "signature for rule: \(said)" : "\(error.message) evaluating rule: \(said)"
                errors.append(.invalid(entry.field, .string(Self.type(of: entry)), detail))
            }
        }
    }

    private mutating func evaluate(
        _ program: CELProgram, _ variables: [(name: String, value: CELValue)]
    ) -> Result<CELValue, CELError> {
        do { return .success(try evaluator.evaluate(program, with: variables)) } catch { return .failure(error) }
    }

    /// Takes what the last evaluation has cost from the budget; false where that is not enough.
    private mutating func spend() -> Bool {
        guard evaluator.cost <= budget else {
            budget = 0
            return false
        }
        budget -= evaluator.cost
        return true
    }

    private mutating func fail(
        _ rule: Schema.Rule, _ entry: SchemaValidation.PendingRules, _ variables: [(name: String, value: CELValue)]
    ) {
        var field = entry.field
        if !rule.fieldPath.isEmpty {
            let below = rule.fieldPath.hasPrefix(".") ? String(rule.fieldPath.dropFirst()) : rule.fieldPath
            field = field == "<nil>" ? below : field + (below.hasPrefix("[") ? "" : ".") + below
        }
        var message =
            rule.message.isEmpty ? "failed rule: \(RuleForm.trimmed(rule.rule))" : RuleForm.trimmed(rule.message)
        if let worked = self.message(of: rule, variables) { message = worked }
        if isOver {
            errors.append(.invalid(field, .string(Self.type(of: entry)), message))
            return
        }
        switch rule.reason {
        case "FieldValueRequired": errors.append(.required(field, message))
        case "FieldValueForbidden": errors.append(.forbidden(field, message))
        case "FieldValueDuplicate": errors.append(.duplicate(field, entry.value))
        default:
            let isShown = rule.fieldPath.isEmpty && entry.value.objectValue == nil && entry.value.arrayValue == nil
            errors.append(
                isShown
                    ? .invalid(field, entry.value, message) : FieldError(.invalid, field, "Invalid value: \(message)"))
        }
    }

    /// The message that a rule works out; `nil` where there is none that may be shown. What went wrong for good where
    /// the budget is gone.
    private mutating func message(
        of rule: Schema.Rule, _ variables: [(name: String, value: CELValue)]
    ) -> String? {
        guard !rule.messageExpression.isEmpty, let program = try? CELProgram.compiled(rule.messageExpression) else {
            return nil
        }
        let result = evaluate(program, variables)
        guard spend() else {
            isOver = true
            return "messageExpression evaluation failed due to running out of cost budget, "
                + "no further validation rules will be run"
        }
        switch result {
        case .success(.string(let text)):
            let text = RuleForm.trimmed(text)
            let isShown =
                !text.isEmpty && text.utf8.count <= AdmissionLimits.ruleMessageBytes && !text.utf8.contains(10)
            return isShown ? text : nil
        case .failure(let error) where error.code == .exhausted:
            isOver = true
            return "no further validation rules will be run due to call cost exceeds limit for messageExpression: "
                + JSON.string(rule.messageExpression).text()
        default: return nil
        }
    }
}

/// What is declared of the values that rules are about, kept for the next document.
enum RuleValues {
    private static let known = Mutex<[ObjectIdentifier: RuleDeclarations.Known]>([:])

    static func declaration(of schema: Schema, isRoot: Bool) -> CELDeclaration? {
        known.withLock { known in
            if let found = known[ObjectIdentifier(schema)] { return found.sized?.declaration }
            if known.count >= AdmissionLimits.cachedDeclarations { known.removeAll() }
            var declarations = RuleDeclarations(sharing: known)
            known = [:]
            let sized = declarations.declaration(of: schema, isRoot: isRoot || schema.isEmbeddedResource, at: "")
            known = declarations.known
            return sized?.declaration
        }
    }
}
