internal import Synchronization

/// An expression that was read and can be evaluated. Immutable.
package struct CELProgram: Sendable {
    let expression: CELExpression
    /// The expression with what does not depend on values worked out.
    let plan: CELExpression

    private static let known = Mutex<[String: Result<CELProgram, CELError>]>([:])

    /// The program of `text`, kept for the next time. Throws where the text is no expression.
    package static func compiled(_ text: String) throws(CELError) -> CELProgram {
        if let result = known.withLock({ $0[text] }) { return try result.get() }
        let result = Result { () throws(CELError) in
            let expression = try CELParser.parse(text)
            return CELProgram(expression: expression, plan: CELFolding.folded(expression))
        }
        known.withLock { known in
            if known.count >= CELLimits.cachedPrograms { known.removeAll() }
            known[text] = result
        }
        return try result.get()
    }

    /// Whether the variable `name` is used anywhere in it.
    package func mentions(_ name: String) -> Bool { expression.mentions(name) }
}

/// Works out lists and maps of literals and conversions of literals, so that it is done once. They then cost nothing.
enum CELFolding {
    private static let conversions: Set<String> = [
        "bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint",
    ]

    static func folded(_ node: CELExpression) -> CELExpression {
        let form: CELExpression.Form
        switch node.form {
        case .literal, .name: return node
        case .member(let operand, let field, let isOptional):
            form = .member(folded(operand), field, isOptional: isOptional)
        case .has(let operand, let field): form = .has(folded(operand), field)
        case .index(let a, let b, let isOptional): form = .index(folded(a), folded(b), isOptional: isOptional)
        case .call(let name, let target, let arguments): form = call(name, target.map(folded), arguments.map(folded))
        case .list(let items): form = list(items)
        case .map(let entries): form = map(entries)
        case .not(let operand): form = .not(folded(operand))
        case .negate(let operand): form = .negate(folded(operand))
        case .and(let a, let b): form = .and(folded(a), folded(b))
        case .or(let a, let b): form = .or(folded(a), folded(b))
        case .choice(let a, let b, let c): form = .choice(folded(a), folded(b), folded(c))
        case .binary(let symbol, let a, let b): form = .binary(symbol, folded(a), folded(b))
        case .fold(var fold):
            fold.range = folded(fold.range)
            fold.predicate = fold.predicate.map(folded)
            fold.transform = fold.transform.map(folded)
            form = .fold(fold)
        case .optionalMap(let target, let variable, let body, let isFlat):
            form = .optionalMap(folded(target), variable: variable, body: folded(body), isFlat: isFlat)
        case .sorted(let target, let variable, let key):
            form = .sorted(folded(target), variable: variable, key: folded(key))
        }
        return CELExpression(id: node.id, offset: node.offset, form)
    }

    private static func value(_ node: CELExpression) -> CELValue? {
        if case .literal(let value) = node.form { value } else { nil }
    }

    private static func call(
        _ name: String, _ target: CELExpression?, _ arguments: [CELExpression]
    ) -> CELExpression.Form {
        if target == nil, arguments.count == 1, conversions.contains(name), let value = value(arguments[0]),
            let result = try? CELFunctions.call(name, isMethod: false, [value])
        {
            return .literal(result)
        }
        return .call(name, target: target, arguments: arguments)
    }

    private static func list(_ items: [CELExpression.Item]) -> CELExpression.Form {
        let items = items.map { CELExpression.Item(value: folded($0.value), isOptional: $0.isOptional) }
        let values = items.compactMap { $0.isOptional ? nil : value($0.value) }
        return values.count == items.count ? .literal(.list(values)) : .list(items)
    }

    private static func map(_ entries: [CELExpression.Entry]) -> CELExpression.Form {
        let entries = entries.map {
            CELExpression.Entry(key: folded($0.key), value: folded($0.value), isOptional: $0.isOptional)
        }
        var values: [(key: CELValue, value: CELValue)] = []
        for entry in entries {
            guard !entry.isOptional, let key = value(entry.key), let value = value(entry.value) else {
                return .map(entries)
            }
            values.append((key, value))
        }
        return .literal(.map(values))
    }
}
