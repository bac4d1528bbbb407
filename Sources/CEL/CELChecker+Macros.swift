/// `all`, `exists`, `map` and their kin: what they stand for decides which types fit.
extension CELChecker {
    mutating func comprehension(_ node: CELExpression, _ fold: CELExpression.Fold) -> CELType {
        let range = check(fold.range)
        var scope: [CELType]
        let isPair = fold.variables.count == 2
        switch range {
        case .list(let item): scope = isPair ? [.int, item] : [item]
        case .map(let key, let value): scope = isPair ? [key, value] : [key]
        case .dyn, .error, .variable:
            _ = inference.accepts(.dyn, range)
            scope = isPair ? [.dyn, .dyn] : [.dyn]
        default:
            let detail = "cannot be range of a comprehension (must be list, map, or dynamic)"
            report(fold.range, "expression of type '\(text(range))' \(detail)")
            scope = isPair ? [.error, .error] : [.error]
        }
        for (name, type) in zip(fold.variables, scope) { variables.append((name, type)) }
        defer { variables.removeLast(scope.count) }
        switch fold.kind {
        case .all, .exists:
            guard let predicate = fold.predicate else { return .bool }
            let type = check(predicate)
            if !inference.accepts(type, .bool) { mismatch(predicate, .bool, type) }
            return .bool
        case .existsOne:
            filter(node, fold.predicate, .int)
            return .bool
        case .filter:
            let result = CELType.list(scope[0])
            filter(node, fold.predicate, result)
            return result
        case .map:
            let item = inference.variable()
            let predicate = fold.predicate.map { check($0) }
            if let transform = fold.transform { _ = inference.accepts(item, check(transform)) }
            filter(node, predicate, .list(item))
            return .list(item)
        case .transformMap, .transformMapEntry:
            let predicate = fold.predicate.map { check($0) }
            let result = CELType.map(inference.variable(), inference.variable())
            entry(node, fold, scope[0], result)
            filter(node, predicate, result)
            return result
        }
    }

    /// Checks what `transformMap` puts into its result.
    private mutating func entry(
        _ node: CELExpression, _ fold: CELExpression.Fold, _ key: CELType, _ result: CELType
    ) {
        guard let transform = fold.transform else { return }
        let value = check(transform)
        let found = fold.kind == .transformMap ? CELType.map(key, value) : value
        if inference.accepts(result, found) { return }
        let given = fold.kind == .transformMap ? [result, key, value] : [result, value]
        let signature = given.map { text($0) }.joined(separator: ", ")
        report(node, "found no matching overload for 'cel.@mapInsert' applied to '(\(signature))'")
    }

    private mutating func filter(_ node: CELExpression, _ predicate: CELExpression?, _ result: CELType) {
        filter(node, predicate.map { check($0) }, result)
    }

    /// A predicate that chooses between what was gathered and what was gathered with one more.
    private mutating func filter(_ node: CELExpression, _ predicate: CELType?, _ result: CELType) {
        guard let predicate, !inference.accepts(predicate, .bool) else { return }
        let signature = [predicate, result, result].map { text($0) }.joined(separator: ", ")
        report(node, "found no matching overload for '_?_:_' applied to '(\(signature))'")
    }

    mutating func optionalMap(
        _ node: CELExpression, _ target: CELExpression, _ variable: String, _ body: CELExpression, isFlat: Bool
    ) -> CELType {
        let given = check(target)
        let inner = inference.variable()
        if !inference.accepts([given], [.optional(inner)]) {
            report(node, "found no matching overload for 'hasValue' applied to '\(text(given)).()'")
        }
        variables.append((variable, inference.resolved(inner)))
        defer { variables.removeLast() }
        let result = check(body)
        if !isFlat { return .optional(result) }
        let none = CELType.optional(inference.variable())
        if inference.accepts(result, none) { return inference.resolved(result) }
        let signature = [.bool, result, none].map { text($0) }.joined(separator: ", ")
        report(node, "found no matching overload for '_?_:_' applied to '(\(signature))'")
        return .error
    }

    mutating func sorted(
        _ node: CELExpression, _ target: CELExpression, _ variable: String, _ key: CELExpression
    ) -> CELType {
        let given = check(target)
        let item: CELType
        switch given {
        case .list(let inner): item = inner
        case .map(let inner, _): item = inner
        default:
            _ = inference.accepts(.dyn, given)
            item = .dyn
        }
        variables.append((variable, item))
        let keys = CELType.list(check(key))
        variables.removeLast()
        return resolve(node, "@sortByAssociatedKeys", [given, keys], isMember: true)
    }
}
