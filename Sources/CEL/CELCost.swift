internal import Documents

/// What evaluating costs, in the units of Kubernetes: one for reading a place or a simple call; what goes through texts
/// and lists by their size. The figures are those of cel-go's cost tracker and of Kubernetes' libraries, so that a rule
/// that fits the budget on one server fits it on another.
enum CELCost {
    static let listCreation: UInt64 = 10
    static let mapCreation: UInt64 = 30
    /// Of going through a character.
    static let traversal = 0.1
    /// Of a character of a pattern, for each unit of the text.
    static let pattern = 0.25

    static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (sum, overflow) = a.addingReportingOverflow(b)
        return overflow ? .max : sum
    }

    static func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        return overflow ? .max : product
    }

    /// Rounded up.
    static func scaled(_ size: UInt64, _ factor: Double) -> UInt64 {
        let value = (Double(size) * factor).rounded(.up)
        return value >= 0x1p64 ? .max : UInt64(value)
    }

    // MARK: - Operators

    static func binary(_ symbol: String, _ a: CELValue, _ b: CELValue) -> UInt64 {
        switch symbol {
        case "==" where a.isNamed: return 1
        case "==", "!=": return scaled(min(a.costSize, b.costSize), traversal)
        case "<", "<=", ">", ">=": return a.isText && b.isText ? scaled(min(a.costSize, b.costSize), traversal) : 1
        case "+": return a.isText && b.isText ? scaled(sum(a.costSize, b.costSize), traversal) : 1
        default: return 1
        }
    }

    // MARK: - Functions

    /// What a call costs, as far as its arguments tell.
    static func before(_ name: String, _ values: [CELValue]) -> UInt64 {
        guard let first = values.first else { return 1 }
        let size = first.costSize
        let other = values.count > 1 ? values[1].costSize : 0
        switch name {
        case "sets.contains", "sets.intersects": return sum(1, product(size, other))
        case "sets.equivalent": return sum(1, product(2, product(size, other)))
        case "lists.range": return sum(1 + listCreation, first.naturalNumber ?? 0)
        case "reverse" where first.elementCount != nil: return sum(1 + listCreation, size)
        case "flatten": return sum(1 + listCreation, product(size, values.count > 1 ? values[1].naturalNumber ?? 0 : 1))
        case "sort", "distinct": return selfComparison(first.elements ?? [])
        case "slice", "join": return 0
        case "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes": return first.traversalCost
        case "url", "lowerAscii", "upperAscii", "substring", "trim", "cidr", "isIP", "isCIDR", "quantity", "isQuantity",
            "semver", "isSemver", "format", "strings.quote":
            return scaled(size, traversal)
        case "ip", "string", "bytes": return first.isText && !isSame(name, first) ? scaled(size, traversal) : 1
        case "replace", "split", "ip.isCanonical": return scaled(size, 2 * traversal)
        case "find", "findAll", "matches": return matching(size, patternSize: other)
        case "contains": return product(scaled(size, traversal), scaled(other, traversal))
        case "startsWith", "endsWith": return scaled(min(size, other), traversal)
        case "containsIP", "containsCIDR":
            let parsing = values.count > 1 && values[1].isText ? scaled(other, traversal) : 0
            let masking = name == "containsCIDR" ? scaled(size, traversal) + 1 : 0
            return sum(scaled(2 * size, traversal) + masking, parsing)
        case "validate":
            guard case .format(let format) = first else { return 1 }
            return matching(other, patternSize: UInt64(format.patternSize))
        default: return 1
        }
    }

    /// What is added once the result is there.
    static func after(_ name: String, _ values: [CELValue], _ result: CELValue) -> UInt64 {
        switch name {
        case "slice": sum(1 + listCreation, result.costSize)
        case "join": scaled(result.costSize, 2 * traversal)
        default: 0
        }
    }

    /// A text converted to what it is.
    private static func isSame(_ name: String, _ value: CELValue) -> Bool {
        if case .string = value { return name == "string" }
        return name == "bytes"
    }

    /// One more than the text, so that a costly pattern costs something for an empty text.
    private static func matching(_ size: UInt64, patternSize: UInt64) -> UInt64 {
        product(scaled(sum(size, 1), traversal), scaled(patternSize, pattern))
    }

    /// Of a list whose items are compared with each other.
    static func selfComparison(_ items: [CELValue]) -> UInt64 {
        let factor = items.first?.isText == true ? 2 + traversal : 2
        let value = Double(items.count) * Double(items.count) * factor
        return sum(1 + listCreation, value >= 0x1p64 ? .max : UInt64(value))
    }

    // MARK: - Work that the cost does not tell

    /// Steps of a call whose work grows faster than its cost.
    static func steps(_ name: String, _ values: [CELValue], below limit: Int) -> Int {
        guard let first = values.first, let size = first.count else { return 0 }
        let other = values.count > 1 ? values[1].count ?? 1 : 1
        let (product, overflow) = size.multipliedReportingOverflow(by: max(other, 1))
        if overflow { return .max }
        switch name {
        case "contains", "indexOf", "lastIndexOf", "split", "replace", "startsWith", "endsWith": return product / 64
        case "matches", "find", "findAll":
            guard values.count > 1, case .string(let text) = values[1], let pattern = Pattern.compiled(text) else {
                return 0
            }
            let once = size.multipliedReportingOverflow(by: pattern.size)
            // Each part that is found may be looked for up to the end.
            let again = size.multipliedReportingOverflow(by: name == "findAll" ? size : 0)
            if once.overflow || again.overflow { return .max }
            return once.partialValue / 16 + again.partialValue / 8
        case "sets.contains", "sets.equivalent", "sets.intersects", "includes", "distinct":
            let extent = first.extent(below: limit)
            return product.multipliedReportingOverflow(by: 1 + extent / max(size, 1)).overflow ? .max : product + extent
        default: return 0
        }
    }
}

extension CELValue {
    /// Characters, bytes, items or members; one for what has no size.
    var costSize: UInt64 {
        switch self {
        case .optional(let inner): inner?.costSize ?? 1
        case .ip(let address): UInt64(address.bytes.count)
        case .cidr(let range): UInt64((range.prefix + 7) / 8)
        default: count.map(UInt64.init) ?? 1
        }
    }

    var isText: Bool {
        switch self {
        case .string, .bytes: true
        default: false
        }
    }

    /// Of a type that a library adds; comparing two costs one.
    fileprivate var isNamed: Bool {
        switch self {
        case .quantity, .ip, .cidr, .url, .semver, .format: true
        default: false
        }
    }

    fileprivate var naturalNumber: UInt64? {
        if case .integer(let number) = self, number > 0 { UInt64(number) } else { nil }
    }

    /// Of going through it with all that is in it.
    fileprivate var traversalCost: UInt64 {
        switch self {
        case .string(let text): return UInt64(Double(text.utf8.count) * CELCost.traversal)
        case .bytes(let bytes): return UInt64(Double(bytes.count) * CELCost.traversal)
        default: break
        }
        if let elements { return elements.reduce(0) { CELCost.sum($0, $1.traversalCost) } }
        guard let entries else { return 1 }
        return entries.reduce(0) { CELCost.sum($0, CELCost.sum($1.key.traversalCost, $1.value.traversalCost)) }
    }

    /// How much there is to go through when it is compared, at most `limit`.
    func extent(below limit: Int) -> Int {
        switch self {
        case .string(let text): return min(text.utf8.count / 64, limit)
        case .bytes(let bytes): return min(bytes.count / 64, limit)
        case .array(let items, _): return JSON.array(items).extent(below: limit)
        case .object(let object, _): return JSON.object(object).extent(below: limit)
        default: break
        }
        var extent = 0
        for part in elements ?? [] where extent < limit { extent += 1 + part.extent(below: limit - extent) }
        if elements != nil { return extent }
        for entry in entries ?? [] where extent < limit {
            extent += 2 + entry.key.extent(below: limit - extent) + entry.value.extent(below: limit - extent)
        }
        return extent
    }
}

extension JSON {
    fileprivate func extent(below limit: Int) -> Int {
        var extent = 0
        switch self {
        case .string(let text): return text.utf8.count / 64
        case .array(let items):
            for item in items where extent < limit { extent += 1 + item.extent(below: limit - extent) }
        case .object(let object):
            for member in object.members where extent < limit {
                extent += 1 + member.value.extent(below: limit - extent)
            }
        default: break
        }
        return extent
    }
}
