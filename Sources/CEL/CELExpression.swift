/// A node of a rule. The nodes of one rule are numbered from zero, so that what is found out about them fits an array.
struct CELExpression: Sendable {
    struct Item: Sendable {
        var value: CELExpression
        /// `[?item]`: an optional, left out where it is none.
        var isOptional: Bool
    }

    struct Entry: Sendable {
        var key: CELExpression
        var value: CELExpression
        /// `{?key: value}`: the value is an optional, left out where it is none.
        var isOptional: Bool
    }

    /// `range.all(variable, predicate)` and its kin.
    struct Fold: Sendable {
        enum Kind: Sendable { case all, exists, existsOne, map, filter, transformMap, transformMapEntry }

        var kind: Kind
        var range: CELExpression
        /// One, or two: the key or the index, then the value.
        var variables: [String]
        var predicate: CELExpression?
        /// What `map` and its kin make of each item.
        var transform: CELExpression?
    }

    indirect enum Form: Sendable {
        case literal(CELValue)
        /// A variable, or a type such as `int` or `google.protobuf.Duration`.
        case name(String)
        /// `operand.field`; `isOptional` for `operand.?field`.
        case member(CELExpression, String, isOptional: Bool)
        /// `has(operand.field)`.
        case has(CELExpression, String)
        case index(CELExpression, CELExpression, isOptional: Bool)
        case call(String, target: CELExpression?, arguments: [CELExpression])
        case list([Item])
        case map([Entry])
        case not(CELExpression)
        case negate(CELExpression)
        case and(CELExpression, CELExpression)
        case or(CELExpression, CELExpression)
        case choice(CELExpression, CELExpression, CELExpression)
        /// One of `+ - * / % == != < <= > >= in`.
        case binary(String, CELExpression, CELExpression)
        case fold(Fold)
        /// `target.optMap(variable, body)`; `isFlat` for `optFlatMap`.
        case optionalMap(CELExpression, variable: String, body: CELExpression, isFlat: Bool)
        /// `target.sortBy(variable, key)`.
        case sorted(CELExpression, variable: String, key: CELExpression)
    }

    let id: Int
    /// Where its operator or its word begins, in bytes of the rule.
    let offset: Int
    /// Nodes on the longest way down, itself among them.
    let height: Int
    let form: Form

    init(id: Int, offset: Int, _ form: Form) {
        self.id = id
        self.offset = offset
        self.form = form
        height = 1 + (form.children.map(\.height).max() ?? 0)
    }

    /// Whether `name` stands free anywhere in the expression.
    func mentions(_ name: String) -> Bool {
        switch form {
        case .name(let other): other == name
        case .fold(let fold):
            fold.range.mentions(name)
                || !fold.variables.contains(name)
                    && (fold.predicate?.mentions(name) == true || fold.transform?.mentions(name) == true)
        case .optionalMap(let target, let variable, let body, _), .sorted(let target, let variable, let body):
            target.mentions(name) || variable != name && body.mentions(name)
        default: form.children.contains { $0.mentions(name) }
        }
    }

    /// Whether it names a place in a value, rather than computing one.
    var isPlace: Bool {
        switch form {
        case .name, .member, .index, .has, .choice: true
        default: false
        }
    }

    /// The dotted name it is, such as `a.b.c`.
    var qualifiedName: String? {
        switch form {
        case .name(let name): name
        case .member(let operand, let field, false): operand.qualifiedName.map { "\($0).\(field)" }
        default: nil
        }
    }
}

extension CELExpression.Form {
    /// The nodes right below, in the order they are written.
    var children: [CELExpression] {
        switch self {
        case .literal, .name: []
        case .member(let operand, _, _), .has(let operand, _), .not(let operand), .negate(let operand): [operand]
        case .index(let a, let b, _), .and(let a, let b), .or(let a, let b), .binary(_, let a, let b): [a, b]
        case .call(_, let target, let arguments): (target.map { [$0] } ?? []) + arguments
        case .list(let items): items.map(\.value)
        case .map(let entries): entries.flatMap { [$0.key, $0.value] }
        case .choice(let a, let b, let c): [a, b, c]
        case .fold(let fold): [fold.range] + [fold.predicate, fold.transform].compactMap { $0 }
        case .optionalMap(let target, _, let body, _), .sorted(let target, _, let body): [target, body]
        }
    }
}
