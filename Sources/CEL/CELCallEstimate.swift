/// What one way of calling a function may cost, and how large the result may be. The figures are those of Kubernetes'
/// libraries, then those of cel-go.
struct CELCallEstimate {
    /// What is known of something a function is given.
    struct Operand {
        var type: CELType
        var size: CELRange
        /// Of one of its items, where it has some.
        var item: CELRange?
        var literal: CELValue?
    }

    let name: String
    let overload: String
    var target: Operand?
    var arguments: [Operand] = []

    init(name: String, overload: String) {
        self.name = name
        self.overload = overload
    }

    private typealias Estimate = (CELRange, CELRange?)

    private static let traversal = CELCost.traversal

    var estimate: (CELRange, CELRange?) { lists ?? kubernetes ?? standard }

    private func argument(_ position: Int) -> CELRange {
        arguments.indices.contains(position) ? arguments[position].size : .unknown
    }

    private func integer(_ position: Int, _ otherwise: UInt64) -> UInt64 {
        guard arguments.indices.contains(position), case .integer(let number)? = arguments[position].literal else {
            return otherwise
        }
        return UInt64(max(number, 0))
    }

    // MARK: - Lists and sets

    static func selfComparison(_ count: CELRange, of type: CELType) -> CELRange {
        let factor = [.string, .bytes, .dyn].contains(type) ? 2 + traversal : 2
        return count * count * factor + CELRange(1 + CELCost.listCreation)
    }

    /// A call that makes a list of `size`.
    private static func making(_ size: CELRange, _ factor: Double = 1) -> Estimate {
        (size * factor + CELRange(1 + CELCost.listCreation), size)
    }

    private var lists: (CELRange, CELRange?)? {
        switch overload {
        case "list_sets_contains_list", "list_sets_intersects_list": return (argument(0) * argument(1) + .one, nil)
        case "list_sets_equivalent_list": return (argument(0) * argument(1) * 2 + .one, nil)
        case "lists_range": return Self.making(CELRange(integer(0, .max)))
        default: break
        }
        guard let target else { return nil }
        switch overload {
        case "list_slice":
            let (start, end) = (integer(0, 0), integer(1, target.size.max))
            return Self.making(CELRange(end &- start))
        case "list_reverse": return Self.making(target.size)
        case "list_flatten": return Self.making(target.size)
        case "list_flatten_int": return Self.making(target.size, Double(integer(0, .max)))
        case "list_distinct": return (target.size * target.size * 2 + CELRange(11), target.size * target.size)
        default:
            guard name == "sort" else { return nil }
            let isText = overload == "list_string_sort" || overload == "list_bytes_sort"
            return (Self.selfComparison(target.size, of: isText ? .string : .int), target.size * target.size)
        }
    }

    // MARK: - Kubernetes

    private var kubernetes: (CELRange, CELRange?)? {
        let first = argument(0)
        switch name {
        case "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes": return target.map(search)
        case "url": return (first * Self.traversal, first)
        case "lowerAscii", "upperAscii", "substring", "trim": return target.map { ($0.size * Self.traversal, $0.size) }
        case "replace": return target.map { ($0.size * (2 * Self.traversal), replaced($0.size)) }
        case "split":
            return target.map { ($0.size * (2 * Self.traversal), CELRange(min: 0, max: integer(1, $0.size.max))) }
        case "join": return target.map(joined)
        case "find", "findAll":
            return target.map { (Self.matching($0.size, first), CELRange(min: 0, max: $0.size.max)) }
        case "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver":
            return (first * Self.traversal, nil)
        case "ip": return (overload == "cidr_ip" ? .one : first * Self.traversal, nil)
        case "ip.isCanonical": return (first * (2 * Self.traversal), nil)
        case "containsIP", "containsCIDR": return (containment, nil)
        case "validate": return (first * Self.traversal * (128 * CELCost.pattern), nil)
        case "_==_": return equality
        default: return Self.simple.contains(name) ? (.one, nil) : nil
        }
    }

    private static let simple: Set<String> = [
        "masked", "prefixLength", "family", "isUnspecified", "isLoopback", "isLinkLocalMulticast", "isLinkLocalUnicast",
        "isGlobalUnicast", "format.named", "sign", "asInteger", "isInteger", "asApproximateFloat", "isGreaterThan",
        "isLessThan", "compareTo", "add", "sub", "major", "minor", "patch", "getScheme", "getHostname", "getHost",
        "getPort", "getEscapedPath", "getQuery",
    ]

    /// One for each item, and what it takes to go through it.
    private func search(_ target: Operand) -> Estimate {
        guard let item = target.item, let type = target.type.parameters.first else {
            return (name == "includes" ? target.size : target.size * Self.traversal, nil)
        }
        let each = type == .string || type == .bytes ? .one + item * Self.traversal : .one
        return (target.size * each, nil)
    }

    private static func matching(_ size: CELRange, _ pattern: CELRange) -> CELRange {
        (size + .one) * traversal * (pattern * CELCost.pattern)
    }

    /// The size of a text in which one text stands for another.
    private func replaced(_ size: CELRange) -> CELRange {
        let (old, new) = (argument(0), argument(1))
        var count = CELRange.zero
        var kept = CELRange.zero
        func divided(_ size: UInt64, _ part: UInt64) -> UInt64 { CELCost.scaled(1, Double(size) / Double(part)) }
        if old.min == 0 {
            count.max = CELCost.sum(size.max, 1)
            kept.max = size.max
        } else if new.max <= old.min {
            kept.max = size.max
        } else {
            count.max = divided(size.max, old.min)
        }
        if old.max == 0 {
            count.min = CELCost.sum(size.min, 1)
            kept.min = size.min
        } else if old.max <= new.min {
            kept.min = size.min
        } else {
            count.min = divided(size.min, old.max)
        }
        return count * new + kept
    }

    private func joined(_ target: Operand) -> Estimate {
        var size = target.item.map { target.size * $0 } ?? .zero
        if !arguments.isEmpty {
            let separators = CELRange(
                min: target.size.min - min(target.size.min, 1), max: target.size.max - min(target.size.max, 1))
            size = size + argument(0) * separators
        }
        return (size * Self.traversal, size)
    }

    private var containment: CELRange {
        let address = CELRange(min: 4, max: 16)
        var cost = (address + address) * Self.traversal
        if name == "containsCIDR" { cost = cost + address * Self.traversal + .one }
        if overload.hasSuffix("_string") { cost = cost + argument(0) * Self.traversal }
        return cost
    }

    /// Of two values of a type that a library adds.
    private var equality: (CELRange, CELRange?)? {
        guard arguments.count == 2, arguments[0].type == arguments[1].type else { return nil }
        switch arguments[0].type {
        case .ip, .cidr, .quantity, .semver: return (.one, nil)
        case .format: return (CELRange(min: 1, max: 64) * Self.traversal, nil)
        case .url: return (CELRange(min: 1, max: max(1, arguments[1].size.max)) * Self.traversal, nil)
        default: return nil
        }
    }

    // MARK: - The standard

    private var standard: (CELRange, CELRange?) {
        let (first, second) = (argument(0), argument(1))
        switch overload {
        case "string_format": return ((target?.size ?? .unknown) * Self.traversal, nil)
        case "string_to_bytes":
            return (first * Self.traversal, CELRange(min: first.min, max: CELCost.product(first.max, 4)))
        case "bytes_to_string": return (first * Self.traversal, CELRange(min: first.min / 4, max: first.max))
        case "strings_quote":
            let most = CELCost.sum(CELCost.product(first.max, 2), 2)
            return (first * Self.traversal, CELRange(min: CELCost.sum(first.min, 2), max: most))
        case "starts_with_string", "ends_with_string": return (first * Self.traversal, nil)
        case "in_list": return (second, nil)
        case "matches_string": return (Self.matching(target?.size ?? .unknown, first), nil)
        case "contains_string":
            return ((target?.size ?? .unknown) * Self.traversal * (first * Self.traversal), nil)
        case "add_list": return (.one, first + second)
        case "add_string", "add_bytes": return ((first + second) * Self.traversal, first + second)
        case "order_string_string", "order_bytes_bytes", "equals", "not_equals":
            let most = min(first.max, second.max)
            return (CELRange(min: most > 0 ? 1 : 0, max: most) * Self.traversal, nil)
        default: return (.one, nil)
        }
    }
}
