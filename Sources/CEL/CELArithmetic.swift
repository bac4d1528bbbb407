/// `+ - * / %` of the rule language. Overflow and division by zero are errors, never traps.
enum CELArithmetic {
    static func negated(_ value: CELValue) throws(CELError) -> CELValue {
        switch value {
        case .integer(let number):
            if number == .min { throw CELError(.evaluation, "integer overflow") }
            return .integer(-number)
        case .double(let number): return .double(-number)
        case .duration(let duration): return .duration(.zero - duration)
        default: throw CELEvaluator.noOverload("-_", [value])
        }
    }

    static func result(_ symbol: String, _ left: CELValue, _ right: CELValue) throws(CELError) -> CELValue {
        switch (left, right) {
        case (.integer(let a), .integer(let b)): return .integer(try whole(symbol, a, b))
        case (.unsigned(let a), .unsigned(let b)): return .unsigned(try whole(symbol, a, b))
        case (.string(let a), .string(let b)) where symbol == "+": return .string(a + b)
        case (.bytes(let a), .bytes(let b)) where symbol == "+": return .bytes(a + b)
        case (.duration(let a), .duration(let b)) where symbol == "+": return .duration(a + b)
        case (.duration(let a), .duration(let b)) where symbol == "-": return .duration(a - b)
        case (.duration(let span), .timestamp(let seconds, let nanoseconds)) where symbol == "+":
            return try moved(seconds, nanoseconds, by: span)
        case (.timestamp(let seconds, let nanoseconds), .duration(let span)) where symbol == "+" || symbol == "-":
            return try moved(seconds, nanoseconds, by: symbol == "+" ? span : .zero - span)
        case (.timestamp(let a, let c), .timestamp(let b, let d)) where symbol == "-":
            return .duration(.seconds(a) - .seconds(b) + .nanoseconds(Int64(c) - Int64(d)))
        default: break
        }
        if symbol == "+", let a = left.elements, let b = right.elements {
            if case .array(_, let declaration?) = left, declaration.listKind != .atomic {
                return .list(CELLists.merged(a, b, declaration.listKind))
            }
            return .list(a + b)
        }
        guard let a = left.number, let b = right.number else {
            throw CELEvaluator.noOverload("_\(symbol)_", [left, right])
        }
        switch symbol {
        case "+": return .double(a + b)
        case "-": return .double(a - b)
        case "*": return .double(a * b)
        case "/": return .double(a / b)
        default: throw CELEvaluator.noOverload("_\(symbol)_", [left, right])
        }
    }

    /// `nil` where the symbol compares nothing.
    static func comparison(_ symbol: String, _ a: Int64, _ b: Int64) -> Bool? {
        switch symbol {
        case "==": a == b
        case "!=": a != b
        case "<": a < b
        case "<=": a <= b
        case ">": a > b
        case ">=": a >= b
        default: nil
        }
    }

    private static func whole<Number: FixedWidthInteger>(
        _ symbol: String, _ a: Number, _ b: Number
    ) throws(CELError) -> Number {
        if b == 0, symbol == "/" { throw CELError(.evaluation, "division by zero") }
        if b == 0, symbol == "%" { throw CELError(.evaluation, "modulus by zero") }
        let (value, overflow) =
            switch symbol {
            case "+": a.addingReportingOverflow(b)
            case "-": a.subtractingReportingOverflow(b)
            case "*": a.multipliedReportingOverflow(by: b)
            case "/": a.dividedReportingOverflow(by: b)
            default: a.remainderReportingOverflow(dividingBy: b)
            }
        if overflow { throw CELError(.evaluation, "integer overflow") }
        return value
    }

    private static func moved(_ seconds: Int64, _ nanoseconds: Int32, by span: Duration) throws(CELError) -> CELValue {
        let (whole, attoseconds) = span.components
        var parts = Int64(nanoseconds) + attoseconds / 1_000_000_000
        let (sum, overflow) = seconds.addingReportingOverflow(whole)
        if overflow || abs(sum) > 1 << 50 { throw CELError(.evaluation, "timestamp overflow") }
        var carried = sum
        if parts < 0 {
            parts += 1_000_000_000
            carried -= 1
        } else if parts >= 1_000_000_000 {
            parts -= 1_000_000_000
            carried += 1
        }
        return .timestamp(carried, Int32(truncatingIfNeeded: parts))
    }
}
