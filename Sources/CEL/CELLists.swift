internal import Documents

/// Functions on lists.
enum CELLists {
    /// `nil` where no function of that name takes these values.
    static func call(_ name: String, _ list: CELValue, _ rest: [CELValue]) throws(CELError) -> CELValue? {
        if name == "includes", rest.count == 1 { return try includes(list, rest[0]) }
        guard let items = list.elements else { return nil }
        switch (name, rest.count) {
        case ("sum", 0):
            guard var total = items.first else { return .integer(0) }
            for item in items.dropFirst() { total = try CELArithmetic.result("+", total, item) }
            return total
        case ("min", 0), ("max", 0):
            guard var best = items.first else { throw CELError(.evaluation, "\(name) called on empty list") }
            for item in items.dropFirst() {
                guard let order = item.order(best) else { throw CELEvaluator.noOverload(name, [item, best]) }
                if name == "min" ? order < 0 : order > 0 { best = item }
            }
            return best
        case ("isSorted", 0):
            for (left, right) in zip(items, items.dropFirst()) {
                guard let order = left.order(right) else { throw CELEvaluator.noOverload(name, [left, right]) }
                if order > 0 { return .bool(false) }
            }
            return .bool(true)
        case ("indexOf", 1): return .integer(Int64(items.firstIndex { $0.equals(rest[0]) } ?? -1))
        case ("lastIndexOf", 1): return .integer(Int64(items.lastIndex { $0.equals(rest[0]) } ?? -1))
        case ("join", 0), ("join", 1): return try joined(items, rest.first)
        case ("slice", 2): return try slice(items, rest[0], rest[1])
        case ("flatten", 0): return .list(try flattened(items, depth: 1))
        case ("flatten", 1):
            guard case .integer(let depth) = rest[0] else { return nil }
            return .list(try flattened(items, depth: depth))
        case ("sort", 0): return .list(try sorted(items, by: items))
        case ("reverse", 0): return .list(items.reversed())
        case ("distinct", 0):
            var kept: [CELValue] = []
            for item in items where !kept.contains(where: { $0.equals(item) }) { kept.append(item) }
            return .list(kept)
        case ("first", 0): return .optional(items.first)
        case ("last", 0): return .optional(items.last)
        case ("unwrapOpt", 0), ("optional.unwrap", 0): return try unwrapped(items)
        default: return nil
        }
    }

    private static func includes(_ list: CELValue, _ item: CELValue) throws(CELError) -> CELValue {
        guard let items = list.elements else { throw CELEvaluator.noOverload("includes", [list, item]) }
        return .bool(items.contains { $0.equals(item) })
    }

    private static func joined(_ items: [CELValue], _ separator: CELValue?) throws(CELError) -> CELValue {
        var between = ""
        if case .string(let text)? = separator { between = text }
        var parts: [String] = []
        for item in items {
            guard case .string(let text) = item else { throw CELEvaluator.noOverload("join", [.list(items)]) }
            parts.append(text)
        }
        return .string(parts.joined(separator: between))
    }

    private static func slice(_ items: [CELValue], _ start: CELValue, _ end: CELValue) throws(CELError) -> CELValue {
        guard case .integer(let start) = start, case .integer(let end) = end else {
            throw CELEvaluator.noOverload("slice", [.list(items), start, end])
        }
        let call = "cannot slice(\(start), \(end))"
        if start < 0 || end < 0 { throw CELError(.evaluation, "\(call), negative indexes not supported") }
        if start > end {
            throw CELError(.evaluation, "\(call), start index must be less than or equal to end index")
        }
        if end > items.count { throw CELError(.evaluation, "\(call), list is length \(items.count)") }
        return .list(Array(items[Int(start)..<Int(end)]))
    }

    private static func flattened(_ items: [CELValue], depth: Int64) throws(CELError) -> [CELValue] {
        if depth < 0 { throw CELError(.evaluation, "level must be non-negative") }
        var flat: [CELValue] = []
        for item in items {
            if depth > 0, let inner = item.elements {
                flat += try flattened(inner, depth: depth - 1)
            } else {
                flat.append(item)
            }
        }
        return flat
    }

    private static func unwrapped(_ items: [CELValue]) throws(CELError) -> CELValue {
        var values: [CELValue] = []
        for item in items {
            guard case .optional(let inner) = item else {
                throw CELError(.evaluation, "value \(item.text ?? item.typeName) is not optional")
            }
            if let inner { values.append(inner) }
        }
        return .list(values)
    }

    /// The items in the order of their keys.
    static func sorted(_ items: [CELValue], by keys: [CELValue]) throws(CELError) -> [CELValue] {
        guard let first = keys.first else { return items }
        if first.order(first) == nil { throw CELError(.evaluation, "list elements must be comparable") }
        if keys.contains(where: { $0.typeName != first.typeName }) {
            throw CELError(.evaluation, "list elements must have the same type")
        }
        return keys.indices.sorted { (keys[$0].order(keys[$1]) ?? 0, $0) < (0, $1) }.map { items[$0] }
    }

    /// Two lists whose items are told apart: what both have is there once, as the second has it.
    static func merged(_ left: [CELValue], _ right: [CELValue], _ kind: CELDeclaration.ListKind) -> [CELValue] {
        var merged = left
        for item in right {
            if let known = merged.firstIndex(where: { isSame($0, item, kind) }) {
                merged[known] = item
            } else {
                merged.append(item)
            }
        }
        return merged
    }

    private static func isSame(_ left: CELValue, _ right: CELValue, _ kind: CELDeclaration.ListKind) -> Bool {
        guard case .map(let keys) = kind else { return left.equals(right) }
        return keys.allSatisfy { key in
            guard case .object(let a, _) = left, case .object(let b, _) = right else { return left.equals(right) }
            return a[key] == b[key]
        }
    }
}
