internal import Documents

/// `all`, `exists`, `map` and their kin.
extension CELEvaluator {
    mutating func comprehension(_ fold: CELExpression.Fold) throws(CELError) -> CELValue {
        let range = try value(fold.range)
        guard let items = CELScopes(range) else { throw Self.noOverload("fold", [range]) }
        let isPair = fold.variables.count == 2
        let check: UInt64 = fold.kind == .all ? 2 : fold.kind == .exists ? 3 : 0
        var gathered = CELGathered(fold.kind)
        var failure: CELError?
        for position in 0..<items.count {
            try spend()
            try charge(check)
            if gathered.isDecided { break }
            let first = items.first(position, isPair: isPair)
            variables.append((fold.variables[0], first))
            if isPair { variables.append((fold.variables[1], items.second(position))) }
            defer { variables.removeLast(isPair ? 2 : 1) }
            do {
                try step(fold, first, &gathered)
            } catch {
                // Of all and exists a later item may still decide; anything else ends here.
                guard error.code == .evaluation, fold.kind == .all || fold.kind == .exists else { throw error }
                failure = failure ?? error
            }
        }
        try charge(fold.kind == .existsOne ? 2 : 1)
        if let failure, !gathered.isDecided { throw failure }
        return gathered.result
    }

    private mutating func step(
        _ fold: CELExpression.Fold, _ item: CELValue, _ gathered: inout CELGathered
    ) throws(CELError) {
        switch fold.kind {
        case .all, .exists:
            try charge(1)
            guard let predicate = fold.predicate else { return }
            if try condition(predicate) == (fold.kind == .exists) { gathered.isDecided = true }
            return
        default: if let predicate = fold.predicate, try !condition(predicate) { return }
        }
        switch fold.kind {
        case .all, .exists: break
        case .existsOne:
            try charge(2)
            gathered.count += 1
        case .filter:
            try charge(3 + CELCost.listCreation)
            gathered.values.append(item)
        case .map:
            guard let transform = fold.transform else { return }
            gathered.values.append(try value(transform))
            try charge(transform.isLiteral ? 2 : 2 + CELCost.listCreation)
        case .transformMap:
            guard let transform = fold.transform else { return }
            let result = try value(transform)
            try charge(3)
            try gathered.insert(item, result)
        case .transformMapEntry:
            guard let transform = fold.transform else { return }
            guard let entries = try value(transform).entries else { throw CELError(.evaluation, "no such overload") }
            try charge(2)
            for entry in entries {
                try spend(gathered.entries.count / 4)
                try gathered.insert(entry.key, entry.value)
            }
        }
    }

    mutating func optionalMap(
        _ target: CELExpression, _ variable: String, _ body: CELExpression, isFlat: Bool
    ) throws(CELError) -> CELValue {
        let before = cost
        guard case .optional(let inner) = try value(target) else { throw CELError(.evaluation, "no such overload") }
        let again = cost - min(before, cost)
        try charge(1)
        guard let inner else {
            try charge(1)
            return .optional(nil)
        }
        // What it is made on is looked at once more for its value.
        try charge(again + 1)
        variables.append((variable, inner))
        defer { variables.removeLast() }
        let result = try value(body)
        if isFlat { return result }
        try charge(1)
        return .optional(result)
    }

    mutating func sorted(
        _ target: CELExpression, _ variable: String, _ key: CELExpression
    ) throws(CELError) -> CELValue {
        let items = try value(target)
        guard let elements = items.elements else { throw Self.noOverload("sortBy", [items]) }
        try charge(2)
        var keys: [CELValue] = []
        for element in elements {
            variables.append((variable, element))
            defer { variables.removeLast() }
            keys.append(try value(key))
            try charge(key.isLiteral ? 2 : 2 + CELCost.listCreation)
        }
        try charge(1)
        try charge(CELCost.selfComparison(keys))
        return .list(try CELLists.sorted(elements, by: keys))
    }
}

/// What the one or two variables of a macro stand for: items of a list, behind their indices; keys of a map, before
/// their values.
private enum CELScopes {
    case list([CELValue])
    case array([JSON], CELDeclaration?)
    case map([(key: CELValue, value: CELValue)])

    /// `nil` where nothing can be gone through.
    init?(_ range: CELValue) {
        switch range {
        case .list(let items): self = .list(items)
        case .array(let items, let declaration): self = .array(items, declaration?.element)
        default:
            guard let entries = range.entries else { return nil }
            self = .map(entries)
        }
    }

    var count: Int {
        switch self {
        case .list(let items): items.count
        case .array(let items, _): items.count
        case .map(let entries): entries.count
        }
    }

    func first(_ position: Int, isPair: Bool) -> CELValue {
        if case .map(let entries) = self { return entries[position].key }
        return isPair ? .integer(Int64(position)) : second(position)
    }

    func second(_ position: Int) -> CELValue {
        switch self {
        case .list(let items): items[position]
        case .array(let items, let element): CELValue(items[position], as: element)
        case .map(let entries): entries[position].value
        }
    }
}

/// What a macro has gathered so far.
struct CELGathered {
    private let kind: CELExpression.Fold.Kind
    /// Of `all` and `exists`: whether no further item can change the answer.
    var isDecided = false
    var count = 0
    var values: [CELValue] = []
    private(set) var entries: [(key: CELValue, value: CELValue)] = []

    init(_ kind: CELExpression.Fold.Kind) { self.kind = kind }

    mutating func insert(_ key: CELValue, _ value: CELValue) throws(CELError) {
        if kind == .transformMapEntry, entries.contains(where: { $0.key.equals(key) }) {
            throw CELError(.evaluation, "insert failed: key \(key.text ?? key.typeName) already exists")
        }
        entries.append((key, value))
    }

    var result: CELValue {
        switch kind {
        case .all: .bool(!isDecided)
        case .exists: .bool(isDecided)
        case .existsOne: .bool(count == 1)
        case .map, .filter: .list(values)
        case .transformMap, .transformMapEntry: .map(entries)
        }
    }
}
