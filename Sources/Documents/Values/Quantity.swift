/// An amount of a resource as Kubernetes writes one: `500m` of a processor, `128Mi` of memory, `1e3`. Exact down to a
/// billionth; smaller parts round away from zero, as in Kubernetes. Amounts beyond `Int64` units saturate.
package struct Quantity: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// How the amount was written, which is how it is written back.
    package enum Format: Sendable, Hashable { case decimal, binary, exponent }

    /// The amount in billionths.
    package let nanos: Int128
    package let format: Format

    private static let scale: Int128 = 1_000_000_000
    private static let limit = Int128(Int64.max) * scale

    package init(nanos: Int128, format: Format) {
        self.nanos = min(max(nanos, -Self.limit), Self.limit)
        self.format = format
    }

    /// `nil` where the text is no quantity.
    package init?(parsing text: String) {
        guard text.utf8.count <= 64 else { return nil }
        var scanner = TextScanner(text)
        let isNegative = scanner.take("-")
        if !isNegative { _ = scanner.take("+") }
        let whole = scanner.take { $0.isDigit }
        let fraction = scanner.take(".") ? scanner.take { $0.isDigit } : ""
        guard !whole.isEmpty || !fraction.isEmpty, let (multiplier, format) = Self.suffix(&scanner), scanner.isAtEnd
        else {
            return nil
        }
        self.init(nanos: Self.amount(whole, fraction, multiplier) * (isNegative ? -1 : 1), format: format)
    }

    package static func == (left: Quantity, right: Quantity) -> Bool { left.nanos == right.nanos }
    package static func < (left: Quantity, right: Quantity) -> Bool { left.nanos < right.nanos }
    package func hash(into hasher: inout Hasher) { hasher.combine(nanos) }

    /// Whole units, rounded away from zero: bytes, processors.
    package var value: Int64 { Int64(clamping: Self.divideAwayFromZero(nanos, Self.scale)) }
    /// Thousandths, rounded away from zero: millicores.
    package var milliValue: Int64 { Int64(clamping: Self.divideAwayFromZero(nanos, 1_000_000)) }

    /// The canonical text: the largest suffix that leaves no fraction.
    package var description: String {
        let isSmall = nanos > -1024 * Self.scale && nanos < 1024 * Self.scale
        if format == .binary, !isSmall, nanos % Self.scale == 0 {
            var value = nanos / Self.scale
            var step = 0
            while step < 6, value % 1024 == 0 { (value, step) = (value / 1024, step + 1) }
            return "\(value)\(["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][step])"
        }
        if nanos == 0 { return "0" }
        var value = nanos
        var step = 0
        while step < 9, value % 1000 == 0 { (value, step) = (value / 1000, step + 1) }
        if format == .exponent {
            let exponent = step * 3 - 9
            return exponent == 0 ? "\(value)" : "\(value)e\(exponent)"
        }
        return "\(value)\(["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][step])"
    }

    private enum Multiplier {
        case power(of: Int128, Int)
    }

    private static func suffix(_ scanner: inout TextScanner) -> (Multiplier, Format)? {
        let text = scanner.take { $0.isLetter }
        switch text {
        case "": return (.power(of: 10, 0), .decimal)
        case "n": return (.power(of: 10, -9), .decimal)
        case "u": return (.power(of: 10, -6), .decimal)
        case "m": return (.power(of: 10, -3), .decimal)
        case "k": return (.power(of: 10, 3), .decimal)
        case "M": return (.power(of: 10, 6), .decimal)
        case "G": return (.power(of: 10, 9), .decimal)
        case "T": return (.power(of: 10, 12), .decimal)
        case "P": return (.power(of: 10, 15), .decimal)
        case "Ki": return (.power(of: 1024, 1), .binary)
        case "Mi": return (.power(of: 1024, 2), .binary)
        case "Gi": return (.power(of: 1024, 3), .binary)
        case "Ti": return (.power(of: 1024, 4), .binary)
        case "Pi": return (.power(of: 1024, 5), .binary)
        case "Ei": return (.power(of: 1024, 6), .binary)
        case "E" where scanner.isAtEnd: return (.power(of: 10, 18), .decimal)
        case "e", "E":
            let isNegative = scanner.take("-")
            if !isNegative { _ = scanner.take("+") }
            guard let exponent = Int(scanner.take { $0.isDigit }), exponent <= 100 else { return nil }
            return (.power(of: 10, isNegative ? -exponent : exponent), .exponent)
        default: return nil
        }
    }

    /// Billionths of `whole.fraction × multiplier`. The digits are at most 63, the result saturates.
    private static func amount(_ whole: String, _ fraction: String, _ multiplier: Multiplier) -> Int128 {
        guard case .power(let base, let exponent) = multiplier else { return 0 }
        // Digits beyond the 28th cannot matter: the limit is below 10²⁸ billionths once scaled, or they round.
        let digits = Array((whole + fraction).utf8.drop { $0 == UInt8(ascii: "0") })
        var shift = 9 - fraction.utf8.count + (base == 10 ? exponent : 0)
        if digits.count + shift > 37 { return limit }
        var value: Int128 = 0
        var isInexact = false
        for (position, digit) in digits.enumerated() {
            if position >= 37 || digits.count - position + shift <= 0 {
                isInexact = isInexact || digits[position...].contains { $0 != UInt8(ascii: "0") }
                shift += digits.count - position
                break
            }
            value = value * 10 + Int128(digit - UInt8(ascii: "0"))
        }
        for _ in 0..<max(0, shift) { value = saturating(value, 10) }
        if base == 1024 { for _ in 0..<exponent { value = saturating(value, 1024) } }
        return isInexact ? value + 1 : value
    }

    private static func saturating(_ value: Int128, _ factor: Int128) -> Int128 {
        let (product, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow ? limit : min(product, limit)
    }

    private static func divideAwayFromZero(_ value: Int128, _ divisor: Int128) -> Int128 {
        let quotient = value / divisor
        return value % divisor == 0 ? quotient : quotient + (value < 0 ? -1 : 1)
    }
}
