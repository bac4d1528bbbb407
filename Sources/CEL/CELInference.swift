/// What is found out about the variables in types while an expression is checked.
struct CELInference {
    private var bindings: [Int: CELType] = [:]
    private var count = 0

    mutating func variable() -> CELType {
        count += 1
        return .variable(count)
    }

    /// The type with what is known put in; what is not known becomes `dyn` where `isFinal`.
    func resolved(_ type: CELType, isFinal: Bool = false) -> CELType {
        if case .variable(let number) = type {
            if let bound = bindings[number] { return resolved(bound, isFinal: isFinal) }
            return isFinal ? .dyn : type
        }
        return type.mapped { resolved($0, isFinal: isFinal) }
    }

    /// The declared type with fresh variables for its parameters.
    mutating func instance(_ type: CELType, _ known: inout [String: CELType]) -> CELType {
        switch type {
        case .parameter(let name):
            if let variable = known[name] { return variable }
            let fresh = variable()
            known[name] = fresh
            return fresh
        case .list(let item): return .list(instance(item, &known))
        case .optional(let item): return .optional(instance(item, &known))
        case .type(let item): return .type(instance(item, &known))
        case .map(let key, let value):
            let key = instance(key, &known)
            return .map(key, instance(value, &known))
        default: return type
        }
    }

    /// Whether a value of `found` may stand where `expected` is wanted. What that says about variables is kept, where
    /// it is so.
    mutating func accepts(_ expected: [CELType], _ found: [CELType]) -> Bool {
        let before = bindings
        if expected.count == found.count, zip(expected, found).allSatisfy({ unify($0, $1) }) { return true }
        bindings = before
        return false
    }

    mutating func accepts(_ expected: CELType, _ found: CELType) -> Bool { accepts([expected], [found]) }

    private mutating func unify(_ left: CELType, _ right: CELType) -> Bool {
        if case .variable(let number) = right {
            switch bind(left, to: number) {
            case .some(let isBound): return isBound
            case nil: break
            }
        }
        if case .variable(let number) = left { return bind(right, to: number) ?? false }
        if left.isDynOrError || right.isDynOrError { return true }
        if left == .null { return right.takesNull }
        if right == .null { return left.takesNull }
        switch (left, right) {
        case (.type, .type): return true
        case (.list(let a), .list(let b)), (.optional(let a), .optional(let b)): return unify(a, b)
        case (.map(let a, let c), .map(let b, let d)): return unify(a, b) && unify(c, d)
        default: return left == right
        }
    }

    /// Whether the variable may stand for the type; `nil` where nothing is known of it and it would be within itself.
    private mutating func bind(_ type: CELType, to number: Int) -> Bool? {
        if type == .variable(number) { return true }
        if let known = bindings[number] {
            if type == known { return true }
            guard unify(type, known) else { return false }
            let general = Self.isMoreGeneral(type, known) ? type : known
            if !occurs(number, in: general) { bindings[number] = general }
            return true
        }
        if occurs(number, in: type) { return nil }
        bindings[number] = type
        return true
    }

    private func occurs(_ number: Int, in type: CELType) -> Bool {
        if case .variable(let other) = type {
            return other == number || bindings[other].map { occurs(number, in: $0) } ?? false
        }
        return type.parameters.contains { occurs(number, in: $0) }
    }

    /// The one of two types that takes the values of both.
    static func mostGeneral(_ left: CELType, _ right: CELType) -> CELType {
        isMoreGeneral(left, right) ? left : right
    }

    private static func isMoreGeneral(_ left: CELType, _ right: CELType) -> Bool {
        if case .variable = left { return true }
        if left == .dyn { return true }
        if case .variable = right { return false }
        if right == .dyn { return false }
        switch (left, right) {
        case (.list(let a), .list(let b)), (.optional(let a), .optional(let b)): return isMoreGeneral(a, b)
        case (.map(let a, let c), .map(let b, let d)): return isMoreGeneral(a, b) && isMoreGeneral(c, d)
        case (.type, .type): return true
        default: return left == right
        }
    }
}
