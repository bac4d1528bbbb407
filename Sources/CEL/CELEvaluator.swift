internal import Documents

/// Walks an expression and answers it. Counts its steps, so that no expression and no document can keep the server busy.
package struct CELEvaluator {
    /// Steps left for all that this evaluates.
    package private(set) var stepsLeft: Int
    private var variables: [(name: String, value: CELValue)] = []

    package init(steps: Int) { stepsLeft = steps }

    /// The answer of `program`. A later variable of the same name hides an earlier one.
    package mutating func evaluate(
        _ program: CELProgram, with variables: [(name: String, value: CELValue)]
    ) throws(CELError) -> CELValue {
        self.variables = variables
        return try value(program.expression)
    }

    /// Takes steps; `size` of them where a whole value is gone through.
    mutating func spend(_ size: Int = 1) throws(CELError) {
        stepsLeft -= size
        if stepsLeft < 0 { throw CELError(.exhausted, "the rules of the document took too many steps") }
    }

    private mutating func value(_ expression: CELExpression) throws(CELError) -> CELValue {
        try spend()
        switch expression {
        case .literal(let value): return value
        case .name(let name): return try variable(name)
        case .member(let operand, let field, let isOptional):
            return try member(of: value(operand), .string(field), isOptional: isOptional)
        case .has(let operand, let field):
            let target = try value(operand)
            guard target.keys != nil else { throw Self.noOverload("has", [target]) }
            return .bool(target.member(.string(field)) != nil)
        case .index(let operand, let key, let isOptional):
            return try index(value(operand), value(key), isOptional: isOptional)
        case .call(let name, let target, let arguments): return try call(name, target, arguments)
        case .list(let items):
            var values: [CELValue] = []
            for item in items { values.append(try value(item)) }
            return .list(values)
        case .map(let entries):
            var values: [(key: CELValue, value: CELValue)] = []
            for entry in entries { values.append((try value(entry.0), try value(entry.1))) }
            return .map(values)
        case .not(let operand): return .bool(try !condition(operand))
        case .negate(let operand): return try negated(value(operand))
        case .and(let left, let right): return try logical(left, right, decisive: false)
        case .or(let left, let right): return try logical(left, right, decisive: true)
        case .choice(let condition, let left, let right):
            return try self.condition(condition) ? value(left) : value(right)
        case .binary(let symbol, let left, let right): return try binary(symbol, value(left), value(right))
        case .comprehension(let kind, let range, let variable, let predicate, let transform):
            return try comprehension(kind, value(range), variable, predicate, transform)
        }
    }

    private func variable(_ name: String) throws(CELError) -> CELValue {
        if let found = variables.last(where: { $0.name == name }) { return found.value }
        let types = [
            "int": "int", "uint": "uint", "double": "double", "bool": "bool", "string": "string", "bytes": "bytes",
            "list": "list",
            "map": "map", "null_type": "null_type", "type": "type",
        ]
        if let type = types[name] { return .type(type) }
        throw CELError(.unsupported, "undeclared reference to '\(name)'")
    }

    private mutating func condition(_ expression: CELExpression) throws(CELError) -> Bool {
        guard case .bool(let holds) = try value(expression) else { throw CELError(.evaluation, "no such overload") }
        return holds
    }

    static func noOverload(_ name: String, _ values: [CELValue]) -> CELError {
        CELError(.evaluation, "no such overload: \(name)(\(values.map(\.typeName).joined(separator: ", ")))")
    }

    // MARK: - Looking into values

    private mutating func member(of target: CELValue, _ key: CELValue, isOptional: Bool) throws(CELError)
        -> CELValue
    {
        if case .optional(let inner) = target {
            guard let inner else { return .optional(nil) }
            return .optional(inner.member(key))
        }
        guard target.keys != nil else { throw CELError(.evaluation, "no such overload") }
        let found = target.member(key)
        if isOptional { return .optional(found) }
        if let found { return found }
        if case .string(let name) = key { throw CELError(.evaluation, "no such key: \(name)") }
        throw CELError(.evaluation, "no such key: \(key.text ?? key.typeName)")
    }

    private mutating func index(_ target: CELValue, _ key: CELValue, isOptional: Bool) throws(CELError) -> CELValue {
        if case .optional(let inner) = target {
            guard let inner else { return .optional(nil) }
            return try index(inner, key, isOptional: true)
        }
        let position: Int? =
            switch key {
            case .integer(let number): Int(exactly: number)
            case .unsigned(let number): Int(exactly: number)
            default: nil
            }
        switch target {
        case .array(let items):
            guard let position else { throw Self.noOverload("_[_]", [target, key]) }
            if items.indices.contains(position) {
                return isOptional ? .optional(CELValue(items[position])) : CELValue(items[position])
            }
        case .list(let items):
            guard let position else { throw Self.noOverload("_[_]", [target, key]) }
            if items.indices.contains(position) { return isOptional ? .optional(items[position]) : items[position] }
        default: return try member(of: target, key, isOptional: isOptional)
        }
        if isOptional { return .optional(nil) }
        throw CELError(.evaluation, "index out of bounds: \(position ?? 0)")
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
            if let other = try? condition(right), other == decisive { return .bool(decisive) }
            throw error
        }
        return .bool(try condition(right))
    }

    private func negated(_ value: CELValue) throws(CELError) -> CELValue {
        switch value {
        case .integer(let number):
            if number == .min { throw CELError(.evaluation, "integer overflow") }
            return .integer(-number)
        case .double(let number): return .double(-number)
        case .duration(let duration): return .duration(.zero - duration)
        default: throw Self.noOverload("-_", [value])
        }
    }

    private mutating func binary(_ symbol: String, _ left: CELValue, _ right: CELValue) throws(CELError) -> CELValue {
        try spend(min(left.count ?? 0, right.count ?? 0) / 8)
        switch symbol {
        case "==": return .bool(left.equals(right))
        case "!=": return .bool(!left.equals(right))
        case "in": return .bool(try contains(right, left))
        case "<", "<=", ">", ">=":
            guard let order = left.order(right) else { throw Self.noOverload("_\(symbol)_", [left, right]) }
            return .bool(
                symbol == "<" ? order < 0 : symbol == "<=" ? order <= 0 : symbol == ">" ? order > 0 : order >= 0)
        default: return try CELArithmetic.result(symbol, left, right)
        }
    }

    private mutating func contains(_ container: CELValue, _ item: CELValue) throws(CELError) -> Bool {
        if container.keys != nil { return container.member(item) != nil }
        guard let elements = container.elements else { throw Self.noOverload("@in", [item, container]) }
        try spend(elements.count)
        return elements.contains { $0.equals(item) }
    }

    // MARK: - all, exists, exists_one, map, filter

    private mutating func comprehension(
        _ kind: CELExpression.Comprehension, _ range: CELValue, _ variable: String, _ predicate: CELExpression?,
        _ transform: CELExpression?
    ) throws(CELError) -> CELValue {
        guard let items = range.elements ?? range.keys else { throw Self.noOverload("fold", [range]) }
        var matches = 0
        var kept: [CELValue] = []
        var failure: CELError?
        for item in items {
            try spend()
            variables.append((variable, item))
            defer { variables.removeLast() }
            do {
                guard try isKept(predicate) else {
                    if kind == .all { return .bool(false) }
                    continue
                }
                if kind == .exists { return .bool(true) }
                matches += 1
                if kind == .filter { kept.append(item) }
                if kind == .map, let transform { kept.append(try value(transform)) }
            } catch {
                // Of all and exists a later item may still decide; anything else ends here.
                guard error.code == .evaluation, kind == .all || kind == .exists else { throw error }
                failure = error
            }
        }
        if let failure { throw failure }
        switch kind {
        case .all: return .bool(true)
        case .exists: return .bool(false)
        case .existsOne: return .bool(matches == 1)
        case .map, .filter: return .list(kept)
        }
    }

    private mutating func isKept(_ predicate: CELExpression?) throws(CELError) -> Bool {
        guard let predicate else { return true }
        return try condition(predicate)
    }

    // MARK: - Functions

    private mutating func call(
        _ name: String, _ target: CELExpression?, _ arguments: [CELExpression]
    ) throws(CELError) -> CELValue {
        if let target, let known = try optionalCall(name, target, arguments) { return known }
        var values: [CELValue] = []
        let library = libraryName(target)
        if let target, library == nil { values.append(try value(target)) }
        for argument in arguments { values.append(try value(argument)) }
        for value in values { try spend((value.count ?? 0) / 8) }
        if let library {
            for value in values.dropFirst() { try spend((value.count ?? 0) * (values[0].count ?? 0)) }
            if let result = try CELKubernetes.call(library, name, values) { return result }
            throw CELError(.unsupported, "undeclared reference to '\(library).\(name)'")
        }
        return try CELFunctions.call(name, isMethod: target != nil, values)
    }

    /// The library that a call is made on, where no variable has its name.
    private func libraryName(_ target: CELExpression?) -> String? {
        guard case .name(let name)? = target, ["sets", "ip"].contains(name) else { return nil }
        return variables.contains { $0.name == name } ? nil : name
    }

    /// The calls on optional values, whose arguments are read only where they are needed.
    private mutating func optionalCall(
        _ name: String, _ target: CELExpression, _ arguments: [CELExpression]
    ) throws(CELError) -> CELValue? {
        if case .name("optional") = target {
            switch (name, arguments.count) {
            case ("none", 0): return .optional(nil)
            case ("of", 1): return .optional(try value(arguments[0]))
            default: return nil
            }
        }
        guard ["hasValue", "value", "orValue", "or"].contains(name), case .optional(let inner) = try value(target)
        else { return nil }
        switch (name, arguments.count) {
        case ("hasValue", 0): return .bool(inner != nil)
        case ("value", 0):
            guard let inner else { throw CELError(.evaluation, "optional.none() dereference") }
            return inner
        case ("orValue", 1):
            if let inner { return inner }
            return try value(arguments[0])
        case ("or", 1):
            if let inner { return .optional(inner) }
            return try value(arguments[0])
        default: return nil
        }
    }
}
