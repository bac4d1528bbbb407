/// An expression whose types were found out.
package struct CELChecked: Sendable {
    package let program: CELProgram
    /// By the numbers of nodes.
    let types: [CELType]
    /// The ways a call may turn out to be meant, by the numbers of nodes.
    let overloads: [[String]]

    /// What the expression is.
    package var type: CELType { types[program.expression.id] }
    /// How messages write that.
    package var typeText: String { type.text(root: "") }
}

/// The checker says everything that is wrong with an expression at once.
package struct CELIssues: Error, Equatable {
    package var issues: [CELIssue]

    /// As compilers show it.
    package func text(in rule: String) -> String { CELIssue.text(of: issues, in: rule) }
}

/// Finds out the types of an expression before there are values: what is not declared, and functions that do not take
/// what they are given. What is `dyn` is taken to be right.
package struct CELChecker {
    var variables: [(name: String, type: CELType)]
    /// Names of objects in messages begin here.
    private let root: String
    var inference = CELInference()
    private var types: [CELType]
    private var overloads: [[String]]
    private var issues: [CELIssue] = []

    private init(_ variables: [(name: String, type: CELType)], root: String, count: Int) {
        self.variables = variables
        self.root = root
        types = [CELType](repeating: .error, count: count)
        overloads = [[String]](repeating: [], count: count)
    }

    /// Checks `program` where `variables` are declared. In messages, objects are named after their place below `root`.
    package static func check(
        _ program: CELProgram, variables: [(name: String, type: CELType)], root: String = ""
    ) throws(CELIssues) -> CELChecked {
        var checker = CELChecker(variables, root: root, count: program.expression.id + 1)
        _ = checker.check(program.expression)
        checker.types = checker.types.map { checker.inference.resolved($0, isFinal: true) }
        let checked = CELChecked(program: program, types: checker.types, overloads: checker.overloads)
        if checker.issues.isEmpty { checker.issues = CELLiteralRules.issues(of: checked, root: root) }
        if !checker.issues.isEmpty { throw CELIssues(issues: checker.issues) }
        return checked
    }

    mutating func report(_ node: CELExpression, _ message: String) {
        issues.append(CELIssue(offset: node.offset, message: message))
    }

    func text(_ type: CELType, isFinal: Bool = true) -> String {
        inference.resolved(type, isFinal: isFinal).text(root: root)
    }

    mutating func mismatch(_ node: CELExpression, _ expected: CELType, _ found: CELType) {
        report(node, "expected type '\(text(expected))' but found '\(text(found))'")
    }

    // MARK: - Nodes

    mutating func check(_ node: CELExpression) -> CELType {
        let type = inference.resolved(found(node))
        types[node.id] = type
        return type
    }

    private mutating func found(_ node: CELExpression) -> CELType {
        switch node.form {
        case .literal(let value): return value.literalType
        case .name(let name): return nameType(node, name)
        case .member(let operand, let field, let isOptional):
            if isOptional { overloads[node.id] = ["select_optional_field"] }
            return member(node, operand, field, isOptional: isOptional)
        case .has(let operand, let field):
            _ = member(node, operand, field, isOptional: false)
            return .bool
        case .index(let operand, let key, let isOptional):
            return operation(node, isOptional ? "_[?_]" : "_[_]", [operand, key])
        case .call(let name, let target, let arguments): return call(node, name, target, arguments)
        case .list(let items): return list(items)
        case .map(let entries): return map(entries)
        case .not(let operand): return operation(node, "!_", [operand])
        case .negate(let operand): return operation(node, "-_", [operand])
        case .and(let left, let right): return logical(node, "logical_and", left, right)
        case .or(let left, let right): return logical(node, "logical_or", left, right)
        case .choice(let condition, let left, let right):
            return operation(node, "_?_:_", [condition, left, right])
        case .binary("in", let left, let right): return operation(node, "@in", [left, right])
        case .binary(let symbol, let left, let right): return operation(node, "_\(symbol)_", [left, right])
        case .fold(let fold): return comprehension(node, fold)
        case .optionalMap(let target, let variable, let body, let isFlat):
            return optionalMap(node, target, variable, body, isFlat: isFlat)
        case .sorted(let target, let variable, let key): return sorted(node, target, variable, key)
        }
    }

    private mutating func nameType(_ node: CELExpression, _ name: String) -> CELType {
        if let variable = variables.last(where: { $0.name == name }) { return variable.type }
        if let type = CELType.names[name] ?? CELType.qualifiedNames[name] { return .type(type) }
        report(node, "undeclared reference to '\(name)' (in container '')")
        return .error
    }

    private mutating func member(
        _ node: CELExpression, _ operand: CELExpression, _ field: String, isOptional: Bool
    ) -> CELType {
        var target = check(operand)
        var isOptional = isOptional
        if case .optional(let inner) = target {
            target = inner
            isOptional = true
        }
        var result = CELType.error
        switch target {
        case .map(_, let value): result = value
        case .object(let declaration):
            if let known = declaration.field(field) {
                result = known.declaration.type
            } else {
                report(node, "undefined field '\(field)'")
            }
        case .named: report(node, "undefined field '\(field)'")
        case .variable:
            _ = inference.accepts(.dyn, target)
            result = .dyn
        case .dyn, .error: result = .dyn
        default:
            report(node, "type '\(text(target))' does not support field selection")
            result = .dyn
        }
        return isOptional ? .optional(result) : result
    }

    private mutating func list(_ items: [CELExpression.Item]) -> CELType {
        var joined: CELType?
        for item in items { joined = join(joined, element(item.value, isOptional: item.isOptional)) }
        return .list(joined ?? inference.variable())
    }

    private mutating func map(_ entries: [CELExpression.Entry]) -> CELType {
        var keys: CELType?
        var values: CELType?
        for entry in entries {
            keys = join(keys, check(entry.key))
            values = join(values, element(entry.value, isOptional: entry.isOptional))
        }
        return .map(keys ?? inference.variable(), values ?? inference.variable())
    }

    private mutating func element(_ node: CELExpression, isOptional: Bool) -> CELType {
        let type = check(node)
        guard isOptional else { return type }
        if case .optional(let inner) = type { return inner }
        if !type.isDynOrError { mismatch(node, .optional(type), type) }
        return type
    }

    private mutating func join(_ previous: CELType?, _ type: CELType) -> CELType {
        guard let previous else { return type }
        return inference.accepts(previous, type) ? CELInference.mostGeneral(previous, type) : .dyn
    }

    // MARK: - Calls

    private mutating func logical(
        _ node: CELExpression, _ id: String, _ left: CELExpression, _ right: CELExpression
    ) -> CELType {
        overloads[node.id] = [id]
        for side in [left, right] {
            let type = check(side)
            if !inference.accepts(type, .bool) { mismatch(side, .bool, type) }
        }
        return .bool
    }

    private mutating func operation(_ node: CELExpression, _ name: String, _ arguments: [CELExpression]) -> CELType {
        let types = arguments.map { check($0) }
        return resolve(node, name, types, isMember: false)
    }

    private mutating func call(
        _ node: CELExpression, _ name: String, _ target: CELExpression?, _ arguments: [CELExpression]
    ) -> CELType {
        let given = arguments.map { check($0) }
        let receiver = target.map { check($0) }
        guard CELDeclarations.functions[name] != nil else {
            report(node, "undeclared reference to '\(name)' (in container '')")
            return .error
        }
        return resolve(node, name, (receiver.map { [$0] } ?? []) + given, isMember: receiver != nil)
    }

    /// The type of a call: that of the overloads that take what is given, where they agree.
    mutating func resolve(
        _ node: CELExpression, _ name: String, _ given: [CELType], isMember: Bool
    ) -> CELType {
        var result: CELType?
        var ids: [String] = []
        for overload in CELDeclarations.functions[name] ?? [] where overload.isMember == isMember {
            var known: [String: CELType] = [:]
            let parameters = overload.parameters.map { inference.instance($0, &known) }
            guard inference.accepts(given, parameters) else { continue }
            ids.append(overload.id)
            let instance = inference.instance(overload.result, &known)
            let type = inference.resolved(instance)
            guard let before = result else {
                result = type
                continue
            }
            if before != .dyn, before != type { result = .dyn }
        }
        overloads[node.id] = ids
        if let result { return result }
        let shown = given.map { text($0) }
        let signature =
            isMember
            ? "\(shown[0]).(\(shown.dropFirst().joined(separator: ", ")))" : "(\(shown.joined(separator: ", ")))"
        report(node, "found no matching overload for '\(name)' applied to '\(signature)'")
        return .error
    }
}

extension CELValue {
    /// The type of a literal.
    fileprivate var literalType: CELType {
        switch self {
        case .null: .null
        case .bool: .bool
        case .integer: .int
        case .unsigned: .uint
        case .double: .double
        case .string: .string
        case .bytes: .bytes
        default: .dyn
        }
    }
}
