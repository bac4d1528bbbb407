/// Estimates what evaluating an expression may cost at most, from what is declared of the sizes of values. Follows
/// cel-go's estimate to the letter, with what macros stand for there, as definitions are accepted or refused by it.
package struct CELEstimator {
    private struct Local {
        var name: String
        var path: [String]
        var size: CELRange?
        var entries: CELEntrySizes?
    }

    private let checked: CELChecked
    private let root: CELDeclaration
    private var locals: [Local] = []
    /// Where the value of a node is found: the variable, then members, `@items`, `@keys` and `@values`.
    private var paths: [Int: [String]] = [:]
    private var sizes: [Int: CELRange] = [:]
    private var entrySizes: [Int: CELEntrySizes] = [:]

    private init(_ checked: CELChecked, root: CELDeclaration) {
        self.checked = checked
        self.root = root
    }

    /// The most that evaluating may cost. `root` declares the values of all variables.
    package static func maximum(of checked: CELChecked, root: CELDeclaration) -> UInt64 {
        var estimator = CELEstimator(checked, root: root)
        return estimator.cost(checked.program.expression).max
    }

    // MARK: - Nodes

    private mutating func cost(_ node: CELExpression) -> CELRange {
        switch node.form {
        case .literal: return .zero
        case .name(let name):
            paths[node.id] = locals.last { $0.name == name }?.path ?? [name]
            return .one
        case .member(let operand, let field, false):
            let sum = cost(operand)
            paths[node.id] = path(operand) + [field]
            switch type(operand) {
            case .map, .object, .named: return sum + .one
            default: return sum
            }
        case .has(let operand, _): return cost(operand)
        case .list(let items): return list(node, items)
        case .map(let entries): return map(node, entries)
        case .fold(let fold): return comprehension(node, fold)
        case .optionalMap(let target, let variable, let body, let isFlat):
            return optionalMap(node, target, variable, body, isFlat: isFlat)
        case .sorted(let target, let variable, let key): return sorted(node, target, variable, key)
        case .call("dyn", nil, let arguments) where arguments.count == 1:
            let sum = cost(arguments[0])
            copySizes(node, arguments[0])
            return sum + .one
        case .call(let name, let target, let arguments): return call(node, name, target, arguments)
        case .member(let operand, _, true): return call(node, "_?._", nil, [operand])
        case .index(let operand, let key, let isOptional):
            return call(node, isOptional ? "_[?_]" : "_[_]", nil, [operand, key])
        case .not(let operand): return call(node, "!_", nil, [operand])
        case .negate(let operand): return call(node, "-_", nil, [operand])
        case .and(let left, let right): return call(node, "_&&_", nil, [left, right])
        case .or(let left, let right): return call(node, "_||_", nil, [left, right])
        case .choice(let condition, let left, let right): return call(node, "_?_:_", nil, [condition, left, right])
        case .binary("in", let left, let right): return call(node, "@in", nil, [left, right])
        case .binary(let symbol, let left, let right): return call(node, "_\(symbol)_", nil, [left, right])
        }
    }

    private mutating func list(_ node: CELExpression, _ items: [CELExpression.Item]) -> CELRange {
        var sum = CELRange.zero
        var size = CELRange(min: items.isEmpty ? 0 : .max, max: 0)
        for item in items {
            sum = sum + cost(item.value)
            size = size.union(sizeOrUnknown(item.value))
        }
        entrySizes[node.id] = CELEntrySizes(isList: true, key: .one, value: size)
        return sum + CELRange(CELCost.listCreation)
    }

    private mutating func map(_ node: CELExpression, _ entries: [CELExpression.Entry]) -> CELRange {
        var sum = CELRange.zero
        var keys = CELRange(min: entries.isEmpty ? 0 : .max, max: 0)
        var values = keys
        for entry in entries {
            sum = sum + cost(entry.key)
            sum = sum + cost(entry.value)
            keys = keys.union(sizeOrUnknown(entry.key))
            values = values.union(sizeOrUnknown(entry.value))
        }
        entrySizes[node.id] = CELEntrySizes(isList: false, key: keys, value: values)
        return sum + CELRange(CELCost.mapCreation)
    }

    // MARK: - Calls

    private mutating func call(
        _ node: CELExpression, _ name: String, _ target: CELExpression?, _ arguments: [CELExpression]
    ) -> CELRange {
        let costs = arguments.map { cost($0) }
        let overloads = checked.overloads[node.id]
        if overloads.isEmpty { return .zero }
        let sum = target.map { cost($0) } ?? .zero
        var most = CELRange(min: .max, max: 0)
        var result: CELRange?
        for overload in overloads {
            let (cost, made) = overloadCost(node, name, overload, target, arguments, costs)
            most = most.union(cost)
            if let made { result = result?.union(made) ?? made }
            if overload == "index_list" || overload == "index_map", let operand = arguments.first {
                result = entries(operand)?.value
                paths[node.id] = path(operand) + [overload == "index_list" ? "@items" : "@values"]
            }
            result = result ?? size(node)
        }
        if let result { sizes[node.id] = result }
        return sum + most
    }

    private mutating func overloadCost(
        _ node: CELExpression, _ name: String, _ overload: String, _ target: CELExpression?,
        _ arguments: [CELExpression], _ costs: [CELRange]
    ) -> (CELRange, CELRange?) {
        switch overload {
        case "logical_and", "logical_or":
            return (CELRange(min: costs[0].min, max: (costs[0] + costs[1]).max), nil)
        case "conditional":
            let size = sizeOrUnknown(arguments[1]).union(sizeOrUnknown(arguments[2]))
            if let left = entries(arguments[1]), let right = entries(arguments[2]) {
                entrySizes[node.id] = left.union(right)
            }
            return (costs[0] + costs[1].union(costs[2]), size)
        default: break
        }
        let sum = costs.reduce(.zero) { $0 + $1 }
        var call = CELCallEstimate(name: name, overload: overload)
        call.target = target.map { operand($0) }
        call.arguments = arguments.map { operand($0) }
        let (cost, size) = call.estimate
        if overload.hasPrefix("add_"), let left = entries(arguments[0]), let right = entries(arguments[1]),
            ["add_list", "add_string", "add_bytes"].contains(overload)
        {
            entrySizes[node.id] = left.union(right)
        }
        return (cost + sum, size)
    }

    /// What a call is told of something it is given.
    private mutating func operand(_ node: CELExpression) -> CELCallEstimate.Operand {
        let type = type(node)
        var item: CELRange?
        if !type.parameters.isEmpty {
            let path = path(node)
            item = path.isEmpty ? .unknown : declared(path + ["@items"]) ?? .unknown
        }
        var literal: CELValue?
        if case .literal(let value) = node.form { literal = value }
        return CELCallEstimate.Operand(type: type, size: sizeOrUnknown(node), item: item, literal: literal)
    }

    // MARK: - Macros

    private mutating func comprehension(_ node: CELExpression, _ fold: CELExpression.Fold) -> CELRange {
        var sum = cost(fold.range)
        let names = pushScope(fold)
        let gathersList = fold.kind == .map || fold.kind == .filter
        let start = CELEntrySizes(isList: gathersList, key: gathersList ? .one : .zero, value: .zero)
        let predicate = fold.predicate.map { cost($0) } ?? .zero
        var step: CELRange
        var stepEntries: CELEntrySizes?
        switch fold.kind {
        case .all, .exists:
            let check = CELRange(fold.kind == .all ? 2 : 3)
            step = check + CELRange(min: 1, max: (.one + predicate).max)
        case .existsOne: step = predicate + CELRange(min: 1, max: 2)
        case .filter:
            step = predicate + CELRange(min: 1, max: 3 + CELCost.listCreation)
            let item = locals.last { $0.name == fold.variables[0] }
            let size = item.flatMap { declared($0.path) ?? typeSize(itemType(fold)) ?? $0.size } ?? .unknown
            stepEntries = start.union(CELEntrySizes(isList: true, key: .one, value: size))
        case .map:
            let transform = fold.transform.map { cost($0) } ?? .zero
            step = transform + CELRange(2 + CELCost.listCreation)
            let size = fold.transform.map { sizeOrUnknown($0) } ?? .unknown
            stepEntries = start.union(CELEntrySizes(isList: true, key: .one, value: size))
            if fold.predicate != nil { step = predicate + step.union(.one) }
        case .transformMap, .transformMapEntry:
            step = (fold.transform.map { cost($0) } ?? .zero) + CELRange(fold.kind == .transformMap ? 3 : 2)
            if fold.predicate != nil { step = predicate + step.union(.one) }
        }
        locals.removeLast(names)
        switch fold.kind {
        case .all, .exists, .existsOne: break
        case .map, .filter: sum = sum + CELRange(CELCost.listCreation)
        case .transformMap, .transformMapEntry: sum = sum + CELRange(CELCost.mapCreation)
        }
        sum = sum + CELRange(fold.kind == .existsOne ? 2 : 1)
        let count = sizeOrUnknown(fold.range)
        switch fold.kind {
        case .all, .exists, .existsOne: sizes[node.id] = .one
        default:
            sizes[node.id] = count
            if let stepEntries { entrySizes[node.id] = stepEntries }
        }
        return sum + count * step
    }

    /// The type of what the first variable of a macro stands for.
    private func itemType(_ fold: CELExpression.Fold) -> CELType {
        switch type(fold.range) {
        case .list(let item): item
        case .map(let key, _): key
        default: .dyn
        }
    }

    private mutating func pushScope(_ fold: CELExpression.Fold) -> Int {
        let known = entries(fold.range)
        var isList = known?.isList ?? false
        if known == nil, case .list = type(fold.range) { isList = true }
        let path = path(fold.range)
        guard fold.variables.count == 2 else {
            locals.append(
                Local(
                    name: fold.variables.first ?? "", path: path + [isList ? "@items" : "@keys"],
                    size: isList ? known?.value : known?.key))
            return 1
        }
        locals.append(Local(name: fold.variables[0], path: path + [isList ? "@indices" : "@keys"], size: known?.key))
        locals.append(Local(name: fold.variables[1], path: path + [isList ? "@items" : "@values"], size: known?.value))
        return 2
    }

    private mutating func optionalMap(
        _ node: CELExpression, _ target: CELExpression, _ variable: String, _ body: CELExpression, isFlat: Bool
    ) -> CELRange {
        let given = cost(target) + .one
        var inner = CELType.dyn
        if case .optional(let type) = type(target) { inner = type }
        locals.append(Local(name: variable, path: [], size: typeSize(inner)))
        let mapped = CELRange(CELCost.listCreation) + given + cost(body) + (isFlat ? .zero : .one)
        let size = isFlat ? sizeOrUnknown(body) : typeSize(.optional(type(body))) ?? .unknown
        locals.removeLast()
        sizes[node.id] = size.union(typeSize(type(node)) ?? .unknown)
        return given + mapped.union(.one)
    }

    private mutating func sorted(
        _ node: CELExpression, _ target: CELExpression, _ variable: String, _ key: CELExpression
    ) -> CELRange {
        let given = cost(target) + CELRange(CELCost.listCreation)
        let fold = CELExpression.Fold(kind: .map, range: target, variables: [variable], predicate: nil, transform: key)
        let names = pushScope(fold)
        let step = cost(key) + CELRange(2 + CELCost.listCreation)
        locals.removeLast(names)
        let count = sizeOrUnknown(target)
        sizes[node.id] = count * count
        let comparing = CELCallEstimate.selfComparison(count, of: type(key))
        return given + CELRange(3 + CELCost.listCreation) + count * step + comparing
    }

    // MARK: - Types, places and sizes

    private func type(_ node: CELExpression) -> CELType { checked.types[node.id] }

    private func path(_ node: CELExpression) -> [String] {
        if case .name(let name) = node.form, let local = locals.last(where: { $0.name == name }) { return local.path }
        return paths[node.id] ?? []
    }

    private mutating func copySizes(_ node: CELExpression, _ other: CELExpression) {
        if let size = size(other) { sizes[node.id] = size }
        if let entries = entries(other) { entrySizes[node.id] = entries }
    }

    private mutating func sizeOrUnknown(_ node: CELExpression) -> CELRange { size(node) ?? .unknown }

    private mutating func size(_ node: CELExpression) -> CELRange? {
        if let known = sizes[node.id] { return known }
        switch node.form {
        case .literal(let value): return CELRange(value.count.map(UInt64.init) ?? 1)
        case .list(let items): return CELRange(UInt64(items.count))
        case .map(let entries): return CELRange(UInt64(entries.count))
        default: break
        }
        if let declared = declared(path(node)) {
            sizes[node.id] = declared
            return declared
        }
        if let size = typeSize(type(node)) { return size }
        if case .name(let name) = node.form { return locals.last { $0.name == name }?.size }
        return nil
    }

    private func typeSize(_ type: CELType) -> CELRange? { type.isScalar ? .one : nil }

    private func entries(_ node: CELExpression) -> CELEntrySizes? {
        if let known = entrySizes[node.id] { return known }
        if case .name(let name) = node.form { return locals.last { $0.name == name }?.entries }
        return nil
    }

    /// The size declared for the value at a place. Which variable the place is in does not matter.
    private func declared(_ path: [String]) -> CELRange? {
        if path.isEmpty { return nil }
        var place = root
        for step in path.dropFirst() {
            switch step {
            case "@items", "@values":
                guard let element = place.element else { return nil }
                place = element
            case "@keys":
                guard place.isMap else { return nil }
                return step == path.last ? .zero : nil
            default:
                guard let field = place.fields[step] else { return nil }
                place = field.declaration
            }
        }
        return CELRange(min: 0, max: place.maxElements)
    }
}
