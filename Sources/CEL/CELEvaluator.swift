internal import Documents

/// Walks an expression and answers it. Counts what that costs as Kubernetes counts it, and the steps it takes, so that
/// no expression and no document can keep the server busy.
package struct CELEvaluator {
    /// What Kubernetes' cost does not see, such as the depth of what is compared, is bounded by steps: those left for
    /// all that this evaluates.
    package private(set) var stepsLeft: Int
    /// What the last evaluation has cost, also where it failed.
    package private(set) var cost: UInt64 = 0
    private let callLimit: UInt64
    var variables: [(name: String, value: CELValue)] = []

    package static let costExceeded = "operation cancelled: actual cost limit exceeded"

    /// An evaluation that costs more than `callLimit` ends.
    package init(steps: Int, callLimit: UInt64 = .max) {
        stepsLeft = steps
        self.callLimit = callLimit
    }

    /// The answer of `program`. A later variable of the same name hides an earlier one.
    package mutating func evaluate(
        _ program: CELProgram, with variables: [(name: String, value: CELValue)]
    ) throws(CELError) -> CELValue {
        self.variables = variables
        cost = 0
        return try value(program.plan)
    }

    /// Takes steps; `size` of them where a whole value is gone through.
    mutating func spend(_ size: Int = 1) throws(CELError) {
        stepsLeft = size > stepsLeft ? -1 : stepsLeft - size
        if stepsLeft < 0 { throw CELError(.exhausted, Self.costExceeded) }
    }

    mutating func charge(_ amount: UInt64) throws(CELError) {
        cost = CELCost.sum(cost, amount)
        if cost > callLimit { throw CELError(.exhausted, Self.costExceeded) }
    }

    mutating func value(_ node: CELExpression) throws(CELError) -> CELValue {
        try spend()
        switch node.form {
        case .literal(let value): return value
        case .name(let name): return try variable(name)
        case .member(let operand, let field, let isOptional):
            let target = try value(operand)
            if !operand.isPlace { try charge(1) }
            return try place(in: target, .string(field), isOptional: isOptional, isField: true)
        case .has(let operand, let field): return try has(operand, field)
        case .index(let operand, let key, let isOptional): return try index(operand, key, isOptional: isOptional)
        case .call(let name, let target, let arguments): return try call(name, target, arguments)
        case .list(let items): return try list(items)
        case .map(let entries): return try map(entries)
        case .not(let operand):
            let holds = try condition(operand)
            try charge(1)
            return .bool(!holds)
        case .negate(let operand):
            let value = try value(operand)
            try charge(1)
            return try CELArithmetic.negated(value)
        case .and(let left, let right): return try logical(left, right, decisive: false)
        case .or(let left, let right): return try logical(left, right, decisive: true)
        case .choice(let condition, let left, let right):
            return try self.condition(condition) ? branch(left) : branch(right)
        case .binary(let symbol, let left, let right): return try binary(symbol, left, right)
        case .fold(let fold): return try comprehension(fold)
        case .optionalMap(let target, let variable, let body, let isFlat):
            return try optionalMap(target, variable, body, isFlat: isFlat)
        case .sorted(let target, let variable, let key): return try sorted(target, variable, key)
        }
    }

    private mutating func variable(_ name: String) throws(CELError) -> CELValue {
        if let found = variables.last(where: { $0.name == name }) {
            try charge(1)
            return found.value
        }
        if CELType.names[name] != nil || CELType.qualifiedNames[name] != nil { return .type(name) }
        throw CELError(.unsupported, "undeclared reference to '\(name)'")
    }

    mutating func condition(_ node: CELExpression) throws(CELError) -> Bool {
        guard case .bool(let holds) = try value(node) else { throw CELError(.evaluation, "no such overload") }
        return holds
    }

    /// One side of a choice. What it reads a place from costs nothing there.
    private mutating func branch(_ node: CELExpression) throws(CELError) -> CELValue {
        let before = cost
        let result = try value(node)
        switch node.form {
        case .name, .member, .index: if cost > before { cost -= 1 }
        default: break
        }
        return result
    }

    static func noOverload(_ name: String, _ values: [CELValue]) -> CELError {
        CELError(.evaluation, "no such overload: \(name)(\(values.map(\.typeName).joined(separator: ", ")))")
    }

    // MARK: - Looking into values

    private mutating func has(_ operand: CELExpression, _ field: String) throws(CELError) -> CELValue {
        let target = try value(operand)
        if !operand.isPlace { try charge(1) }
        if case .optional(let inner) = target { return .bool(inner?.member(.string(field), isField: true) != nil) }
        guard target.isContainer else { throw Self.noOverload("has", [target]) }
        return .bool(target.member(.string(field), isField: true) != nil)
    }

    private mutating func index(
        _ operand: CELExpression, _ key: CELExpression, isOptional: Bool
    ) throws(CELError) -> CELValue {
        let target = try value(operand)
        if !operand.isPlace { try charge(1) }
        let before = cost
        let key = try (value(key), key.isPlace)
        // A place as the key pays for itself, and for what it finds.
        if key.1, cost > before { cost -= 1 }
        return try place(in: target, key.0, isOptional: isOptional, isField: false)
    }

    /// What is found under a key, or at a position.
    private mutating func place(
        in target: CELValue, _ key: CELValue, isOptional: Bool, isField: Bool
    ) throws(CELError) -> CELValue {
        if case .optional(let inner) = target {
            guard let inner else { return .optional(nil) }
            return try place(in: inner, key, isOptional: true, isField: isField)
        }
        if case .map(let entries) = target { try spend(entries.count / 4) }
        let found = target.member(key, isField: isField)
        if found != nil || !isOptional { try charge(1) }
        if let found { return isOptional ? .optional(found) : found }
        guard target.isContainer || !isField && target.elementCount != nil else {
            throw CELError(.evaluation, "no such overload")
        }
        if isOptional { return .optional(nil) }
        if target.elementCount == nil { throw CELError(.evaluation, "no such key: \(key.text ?? key.typeName)") }
        guard let position = key.text, key.number != nil else { throw Self.noOverload("_[_]", [target, key]) }
        throw CELError(.evaluation, "index out of bounds: \(position)")
    }

    // MARK: - Building values

    private mutating func list(_ items: [CELExpression.Item]) throws(CELError) -> CELValue {
        var values: [CELValue] = []
        for item in items {
            let value = try value(item.value)
            guard item.isOptional else {
                values.append(value)
                continue
            }
            guard case .optional(let inner) = value else {
                throw CELError(.evaluation, "cannot initialize optional list element from non-optional value")
            }
            if let inner { values.append(inner) }
        }
        try charge(CELCost.listCreation)
        return .list(values)
    }

    private mutating func map(_ entries: [CELExpression.Entry]) throws(CELError) -> CELValue {
        var values: [(key: CELValue, value: CELValue)] = []
        for entry in entries {
            let key = try value(entry.key)
            let value = try value(entry.value)
            guard entry.isOptional else {
                values.append((key, value))
                continue
            }
            guard case .optional(let inner) = value else {
                let name = key.text ?? key.typeName
                throw CELError(.evaluation, "cannot initialize optional entry '\(name)' from non-optional value")
            }
            if let inner { values.append((key, inner)) }
        }
        try charge(CELCost.mapCreation)
        return .map(values)
    }

    // MARK: - Operators

    /// `&&` and `||`: an error on one side does not matter where the other side decides.
    private mutating func logical(
        _ left: CELExpression, _ right: CELExpression, decisive: Bool
    ) throws(CELError) -> CELValue {
        do {
            if try condition(left) == decisive { return .bool(decisive) }
        } catch {
            if error.code != .evaluation { throw error }
            let other: Bool
            do { other = try condition(right) } catch let second {
                throw second.code == .evaluation ? error : second
            }
            if other == decisive { return .bool(decisive) }
            throw error
        }
        return .bool(try condition(right))
    }

    private mutating func binary(
        _ symbol: String, _ left: CELExpression, _ right: CELExpression
    ) throws(CELError) -> CELValue {
        let a: CELValue
        do { a = try value(left) } catch {
            // Both sides are looked at, and the operation is paid for.
            if error.code != .evaluation { throw error }
            do { _ = try value(right) } catch let second { if second.code != .evaluation { throw second } }
            try charge(1)
            throw error
        }
        let b: CELValue
        do { b = try value(right) } catch {
            if error.code == .evaluation { try charge(1) }
            throw error
        }
        if case .integer(let x) = a, case .integer(let y) = b {
            try charge(1)
            if let known = CELArithmetic.comparison(symbol, x, y) { return .bool(known) }
            return try CELArithmetic.result(symbol, a, b)
        }
        if symbol == "in" { return .bool(try contains(b, a, isLiteral: right.isLiteral)) }
        try charge(CELCost.binary(symbol, a, b))
        try spend((a.count ?? 0) / 8 + (b.count ?? 0) / 8)
        if symbol == "+", case .array(_, let declaration?) = a, declaration.listKind != .atomic {
            try spend(CELCost.steps("distinct", [a, b], below: stepsLeft))
        }
        switch symbol {
        case "==", "!=":
            try spend(min(a.extent(below: stepsLeft), b.extent(below: stepsLeft)))
            return .bool(a.equals(b) == (symbol == "=="))
        case "<", "<=", ">", ">=":
            guard let order = a.order(b) else { throw Self.noOverload("_\(symbol)_", [a, b]) }
            return .bool(
                symbol == "<" ? order < 0 : symbol == "<=" ? order <= 0 : symbol == ">" ? order > 0 : order >= 0)
        default: return try CELArithmetic.result(symbol, a, b)
        }
    }

    private mutating func contains(
        _ container: CELValue, _ item: CELValue, isLiteral: Bool
    ) throws(CELError) -> Bool {
        if container.isContainer {
            try charge(1)
            return container.member(item, isField: false) != nil
        }
        guard let elements = container.elements else { throw Self.noOverload("@in", [item, container]) }
        // A list that is written down becomes a set before anything is evaluated.
        if !isLiteral || elements.contains(where: { $0.isCompound }) { try charge(UInt64(elements.count)) }
        try spend(elements.count * (1 + item.extent(below: stepsLeft)))
        return elements.contains { $0.equals(item) }
    }

    // MARK: - Functions

    private mutating func call(
        _ name: String, _ target: CELExpression?, _ arguments: [CELExpression]
    ) throws(CELError) -> CELValue {
        var values: [CELValue] = []
        if let target {
            let receiver = try value(target)
            if arguments.count == 1, let known = try alternative(name, receiver, arguments[0]) { return known }
            values.append(receiver)
        }
        for argument in arguments { values.append(try value(argument)) }
        if name == "size", values.count == 1, let count = values[0].count {
            try charge(1)
            return .integer(Int64(count))
        }
        for value in values { try spend((value.count ?? 0) / 8) }
        try charge(CELCost.before(name, values))
        try spend(CELCost.steps(name, values, below: stepsLeft))
        let result = try CELFunctions.call(name, isMethod: target != nil, values)
        try charge(CELCost.after(name, values, result))
        return result
    }

    /// `or` and `orValue` of an optional, whose argument is read only where it is needed.
    private mutating func alternative(
        _ name: String, _ receiver: CELValue, _ argument: CELExpression
    ) throws(CELError) -> CELValue? {
        guard case .optional(let inner) = receiver, name == "or" || name == "orValue" else { return nil }
        guard let inner else { return try value(argument) }
        return name == "or" ? .optional(inner) : inner
    }
}

extension CELExpression {
    var isLiteral: Bool { if case .literal = form { true } else { false } }
}
