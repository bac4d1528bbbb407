/// A rule as a tree.
indirect enum CELExpression: Sendable {
    enum Comprehension: Sendable { case all, exists, existsOne, map, filter }

    case literal(CELValue)
    case name(String)
    /// `operand.field`; `isOptional` for `operand.?field`.
    case member(CELExpression, String, isOptional: Bool)
    /// `has(operand.field)`.
    case has(CELExpression, String)
    case index(CELExpression, CELExpression, isOptional: Bool)
    case call(String, target: CELExpression?, arguments: [CELExpression])
    case list([CELExpression])
    case map([(CELExpression, CELExpression)])
    case not(CELExpression)
    case negate(CELExpression)
    case and(CELExpression, CELExpression)
    case or(CELExpression, CELExpression)
    case choice(CELExpression, CELExpression, CELExpression)
    case binary(String, CELExpression, CELExpression)
    /// `range.all(variable, predicate)` and its kin. `transform` is the last argument of `map`.
    case comprehension(
        Comprehension, range: CELExpression, variable: String, predicate: CELExpression?, transform: CELExpression?)

    /// Whether `name` stands free anywhere in the expression.
    func mentions(_ name: String) -> Bool {
        switch self {
        case .literal: false
        case .name(let other): other == name
        case .member(let operand, _, _), .has(let operand, _), .not(let operand), .negate(let operand):
            operand.mentions(name)
        case .index(let a, let b, _), .and(let a, let b), .or(let a, let b), .binary(_, let a, let b):
            a.mentions(name) || b.mentions(name)
        case .call(_, let target, let arguments):
            target?.mentions(name) == true || arguments.contains { $0.mentions(name) }
        case .list(let items): items.contains { $0.mentions(name) }
        case .map(let entries): entries.contains { $0.0.mentions(name) || $0.1.mentions(name) }
        case .choice(let a, let b, let c): a.mentions(name) || b.mentions(name) || c.mentions(name)
        case .comprehension(_, let range, let variable, let predicate, let transform):
            range.mentions(name)
                || variable != name && (predicate?.mentions(name) == true || transform?.mentions(name) == true)
        }
    }
}
