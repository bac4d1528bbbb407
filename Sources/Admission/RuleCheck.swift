import CEL
import Documents

/// Checks the rules of a schema when its definition is stored: that they can be read, that their types fit the schema,
/// and that they cannot cost too much. Says what a real API server says.
struct RuleCheck {
    private struct Place {
        var field: String
        /// How often a value of the schema may be there; `nil` where nothing limits it.
        var cardinality: UInt64? = 1
        /// The list whose items have no old selves, where the place is within one.
        var uncorrelatable: String?
        var depth = 0
    }

    private struct Expense {
        var field: String
        var cost: UInt64
    }

    private(set) var errors: [FieldError] = []
    private let preexisting: Set<String>
    private var total: UInt64 = 0
    private var expenses: [Expense] = []

    /// `old` is the same version as it is stored. Its rules stay, whatever is wrong with them.
    static func errors(of schema: Schema, old: Schema?, at field: String) -> [FieldError] {
        if let old, old.source == schema.source { return [] }
        var preexisting: Set<String> = []
        if let old { collect(old, field, &preexisting) }
        var check = RuleCheck(preexisting: preexisting)
        check.visit(schema, RuleDeclarations.declaration(of: schema, isRoot: true), isRoot: true, Place(field: field))
        check.judgeTotal(at: field)
        return check.errors
    }

    private init(preexisting: Set<String>) { self.preexisting = preexisting }

    private static func key(_ field: String, _ rule: Schema.Rule) -> String {
        "\(field)\u{0}\(rule.rule)\u{0}\(rule.messageExpression)"
    }

    private static func collect(_ schema: Schema, _ field: String, _ keys: inout Set<String>) {
        for rule in schema.rules { keys.insert(key(field, rule)) }
        guard schema.containsRules else { return }
        for (name, property) in schema.properties { collect(property, "\(field).properties[\(name)]", &keys) }
        if let items = schema.items { collect(items, "\(field).items", &keys) }
        if let values = schema.additionalProperties { collect(values, "\(field).additionalProperties", &keys) }
    }

    // MARK: - The walk

    private mutating func visit(
        _ schema: Schema, _ sized: RuleDeclarations.Sized?, isRoot: Bool = false, _ place: Place
    ) {
        guard schema.containsRules, place.depth <= DocumentLimits.nestingDepth,
            errors.count <= AdmissionLimits.errors
        else { return }
        var below = place
        below.depth += 1
        below.cardinality = place.cardinality.flatMap { count in
            limit(of: schema).map { count.multipliedReportingOverflow(by: $0).overflow ? .max : count * $0 }
        }
        if let values = schema.additionalProperties {
            below.field = "\(place.field).additionalProperties"
            visitBelow(values, below)
        }
        for (name, property) in schema.properties.sorted(by: { $0.key < $1.key }) {
            below.field = "\(place.field).properties[\(name)]"
            visitBelow(property, below)
        }
        if let items = schema.items {
            below.field = "\(place.field).items"
            if schema.listType != .map { below.uncorrelatable = place.field }
            visitBelow(items, below)
        }
        if !schema.rules.isEmpty { check(schema, sized, place) }
    }

    private mutating func visitBelow(_ schema: Schema, _ place: Place) {
        guard schema.containsRules else { return }
        let sized =
            schema.rules.isEmpty
            ? nil : RuleDeclarations.declaration(of: schema, isRoot: schema.isEmbeddedResource)
        visit(schema, sized, place)
    }

    /// How many values a value of the schema may hold; `nil` where nothing limits it.
    private func limit(of schema: Schema) -> UInt64? {
        switch schema.type {
        case .object where schema.allowsAdditionalProperties: schema.maxProperties.map { UInt64(max($0, 0)) }
        case .array: schema.maxItems.map { UInt64(max($0, 0)) }
        default: 1
        }
    }

    // MARK: - Rules

    private mutating func check(_ schema: Schema, _ sized: RuleDeclarations.Sized?, _ place: Place) {
        guard let sized else {
            let detail =
                "Internal error: internal error: failed to construct type information for x-kubernetes-validations "
                + "rules: unable to convert structural schema to CEL declarations"
            errors.append(FieldError(.internalError, "\(place.field).x-kubernetes-validations", detail))
            return
        }
        for (index, rule) in schema.rules.enumerated() {
            if preexisting.contains(Self.key(place.field, rule)) { continue }
            let field = "\(place.field).x-kubernetes-validations[\(index)]"
            errors += RuleForm.errors(of: rule, schema, at: field)
            check(rule, sized, place, field)
        }
    }

    private mutating func check(
        _ rule: Schema.Rule, _ sized: RuleDeclarations.Sized, _ place: Place, _ field: String
    ) {
        let own = sized.declaration
        let oldSelf = rule.optionalOldSelf == true ? CELType.optional(own.type) : own.type
        let variables = [("self", own.type), ("oldSelf", oldSelf)]
        let checked: CELChecked
        switch Self.compile(rule.rule, variables, own) {
        case .success(let result): checked = result
        case .failure(let problem):
            invalid("\(field).rule", rule, "compilation failed: \(problem.text)")
            // What cannot be read does not use the old value either.
            return checkOldSelf(rule, usesOldSelf: false, place, field)
        }
        guard checked.type == .bool else {
            invalid("\(field).rule", rule, "cel expression must evaluate to a bool")
            return checkOldSelf(rule, usesOldSelf: false, place, field)
        }
        let most = CELEstimator.maximum(of: checked, root: own)
        let unlimited = UInt64(AdmissionLimits.estimatedRequestBytes / (sized.leastBytes + 1))
        let (cost, overflow) = most.multipliedReportingOverflow(by: place.cardinality ?? unlimited)
        judge(overflow ? .max : cost, "estimated rule cost", "\(field).rule")
        checkMessage(rule, variables, own, field)
        checkOldSelf(rule, usesOldSelf: checked.program.mentions("oldSelf"), place, field)
    }

    private mutating func checkMessage(
        _ rule: Schema.Rule, _ variables: [(String, CELType)], _ own: CELDeclaration, _ field: String
    ) {
        if rule.messageExpression.isEmpty { return }
        let field = "\(field).messageExpression"
        switch Self.compile(rule.messageExpression, variables, own) {
        case .success(let checked):
            guard checked.type == .string else {
                return invalid(field, rule, "messageExpression must evaluate to a string")
            }
            judge(CELEstimator.maximum(of: checked, root: own), "estimated messageExpression cost", field)
        case .failure(let problem): invalid(field, rule, "messageExpression compilation failed: \(problem.text)")
        }
    }

    private mutating func checkOldSelf(_ rule: Schema.Rule, usesOldSelf: Bool, _ place: Place, _ field: String) {
        if usesOldSelf {
            guard let list = place.uncorrelatable else { return }
            let detail = "oldSelf cannot be used on the uncorrelatable portion of the schema within \(list)"
            errors.append(.invalid("\(field).rule", .string(rule.rule), detail))
        } else if let value = rule.optionalOldSelf {
            let detail = "may not be set if oldSelf is not used in rule"
            errors.append(.invalid("\(field).optionalOldSelf", .bool(value), detail))
        }
    }

    private struct Problem: Error { var text: String }

    private static func compile(
        _ text: String, _ variables: [(String, CELType)], _ own: CELDeclaration
    ) -> Result<CELChecked, Problem> {
        let program: CELProgram
        do { program = try CELProgram.compiled(text) } catch {
            return .failure(Problem(text: error.text(in: text)))
        }
        do {
            let variables = variables.map { (name: $0.0, type: $0.1) }
            return .success(try CELChecker.check(program, variables: variables, root: own.path))
        } catch {
            return .failure(Problem(text: error.text(in: text)))
        }
    }

    /// Shows the whole rule, as Go shows it.
    private mutating func invalid(_ field: String, _ rule: Schema.Rule, _ detail: String) {
        let shown: JSON = [
            "Rule": .string(rule.rule), "Message": .string(rule.message),
            "MessageExpression": .string(rule.messageExpression),
            "Reason": rule.reason.isEmpty ? .null : .string(rule.reason), "FieldPath": .string(rule.fieldPath),
            "OptionalOldSelf": rule.optionalOldSelf.map(JSON.bool) ?? .null,
        ]
        let text = shown.text().map { ["<": "\\u003c", ">": "\\u003e", "&": "\\u0026"][$0] ?? String($0) }.joined()
        errors.append(FieldError(.invalid, field, "Invalid value: \(text): \(detail)"))
    }

    // MARK: - Costs

    private mutating func judge(_ cost: UInt64, _ name: String, _ field: String) {
        let limit = AdmissionLimits.estimatedRuleCost
        if cost > limit { errors.append(.forbidden(field, Self.excess(name, cost, limit))) }
        let (sum, overflow) = total.addingReportingOverflow(cost)
        total = overflow ? .max : sum
        if cost < AdmissionLimits.estimatedDefinitionCost / 100 { return }
        expenses.append(Expense(field: field, cost: cost))
        expenses.sort { $0.cost > $1.cost }
        expenses = Array(expenses.prefix(4))
    }

    private mutating func judgeTotal(at field: String) {
        let limit = AdmissionLimits.estimatedDefinitionCost
        if total <= limit { return }
        for expense in expenses {
            let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            errors.append(.forbidden(expense.field, detail))
        }
        let name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        errors.append(.forbidden(field, Self.excess(name, total, limit)))
    }

    private static func excess(_ name: String, _ cost: UInt64, _ limit: UInt64) -> String {
        let factor = Double(cost) / Double(limit)
        let shown = factor > 100 ? "more than 100x" : "\(fixed(factor, factor < 1.5 ? 6 : 1))x"
        return "\(name) exceeds budget by factor of \(shown) (try simplifying the rule, or adding maxItems, "
            + "maxProperties, and maxLength where arrays, maps, and strings are declared)"
    }

    /// A number below a thousand with so many digits behind the point.
    private static func fixed(_ value: Double, _ digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded(.toNearestOrEven))
        let fraction = String(scaled % scale)
        return "\(scaled / scale).\(String(repeating: "0", count: max(0, digits - fraction.count)))\(fraction)"
    }
}
