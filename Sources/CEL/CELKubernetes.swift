internal import Documents

/// The functions that Kubernetes adds to the language: quantities, addresses, ranges of addresses, URLs, and sets.
enum CELKubernetes {
    /// `nil` where no function of that name takes these values.
    static func call(_ name: String, _ values: [CELValue]) throws(CELError) -> CELValue? {
        if let made = try version(name, values) { return made }
        if values.count == 1, case .string(let text) = values[0], let made = try make(name, text) { return made }
        if values.count == 2, name.hasPrefix("sets.") { return sets(name, values[0], values[1]) }
        if values.isEmpty, name.hasPrefix("format.") {
            return CELFormatName(String(name.dropFirst(7))).map(CELValue.format)
        }
        let rest = Array(values.dropFirst())
        switch values.first {
        case .quantity(let quantity)?: return try self.quantity(name, quantity, rest)
        case .ip(let address)? where rest.isEmpty: return self.address(name, address)
        case .cidr(let range)?: return try self.range(name, range, rest)
        case .url(let location)? where rest.isEmpty: return self.location(name, location)
        case .semver(let version)?: return self.version(name, version, rest)
        case .duration(let duration)? where rest.isEmpty: return self.duration(name, duration)
        case .timestamp(let seconds, let nanoseconds)?:
            return try CELTime.part(name, seconds, nanoseconds, zone: rest.first)
        case .format(let format)? where name == "validate" && rest.count == 1:
            guard case .string(let text) = rest[0] else { return nil }
            let problems = format.problems(of: text)
            return .optional(problems.isEmpty ? nil : .list(problems.map { .string($0) }))
        case .integer(let end)? where name == "lists.range" && rest.isEmpty:
            return .list(end <= 0 ? [] : (0..<end).map { .integer($0) })
        default: return nil
        }
    }

    private static func sets(_ name: String, _ left: CELValue, _ right: CELValue) -> CELValue? {
        guard let left = left.elements, let right = right.elements else { return nil }
        func holds(_ items: [CELValue], _ item: CELValue) -> Bool { items.contains { $0.equals(item) } }
        switch name {
        case "sets.contains": return .bool(right.allSatisfy { holds(left, $0) })
        case "sets.intersects": return .bool(right.contains { holds(left, $0) })
        case "sets.equivalent":
            return .bool(right.allSatisfy { holds(left, $0) } && left.allSatisfy { holds(right, $0) })
        default: return nil
        }
    }

    private static func version(_ name: String, _ values: [CELValue]) throws(CELError) -> CELValue? {
        guard name == "semver" || name == "isSemver", case .string(let text)? = values.first else { return nil }
        var normalizes = false
        if values.count == 2 {
            guard case .bool(let value) = values[1] else { return nil }
            normalizes = value
        }
        let version = CELSemver(text, normalizes: normalizes)
        if name == "isSemver" { return .bool(version != nil) }
        guard let version else { throw CELError(.evaluation, "\"\(text)\" is no version") }
        return .semver(version)
    }

    private static func version(_ name: String, _ version: CELSemver, _ rest: [CELValue]) -> CELValue? {
        if case .semver(let other)? = rest.first {
            switch name {
            case "isLessThan": return .bool(version.order(other) < 0)
            case "isGreaterThan": return .bool(version.order(other) > 0)
            case "compareTo": return .integer(Int64(version.order(other)))
            default: return nil
            }
        }
        switch name {
        case "major": return .integer(Int64(clamping: version.major))
        case "minor": return .integer(Int64(clamping: version.minor))
        case "patch": return .integer(Int64(clamping: version.patch))
        default: return nil
        }
    }

    private static func make(_ name: String, _ text: String) throws(CELError) -> CELValue? {
        func checked(_ value: CELValue?, _ what: String) throws(CELError) -> CELValue {
            guard let value else { throw CELError(.evaluation, "\"\(text)\" is no \(what)") }
            return value
        }
        switch name {
        case "ip.isCanonical":
            guard let address = CELAddress(text) else {
                throw CELError(.evaluation, "IP Address \"\(text)\" parse error")
            }
            return .bool(address.text == text)
        case "strings.quote": return .string(CELFormat.quoted(text))
        case "format.named": return .optional(CELFormatName(text).map(CELValue.format))
        case "quantity": return try checked(Quantity(parsing: text).map(CELValue.quantity), "quantity")
        case "isQuantity": return .bool(Quantity(parsing: text) != nil)
        case "ip": return try checked(CELAddress(text).map(CELValue.ip), "address")
        case "isIP": return .bool(CELAddress(text) != nil)
        case "cidr": return try checked(CELAddressRange(text).map(CELValue.cidr), "range of addresses")
        case "isCIDR": return .bool(CELAddressRange(text) != nil)
        case "url": return try checked(CELLocation(text).map(CELValue.url), "URL")
        case "isURL": return .bool(CELLocation(text) != nil)
        default: return nil
        }
    }

    private static func quantity(_ name: String, _ quantity: Quantity, _ rest: [CELValue]) throws(CELError) -> CELValue?
    {
        let scale: Int128 = 1_000_000_000
        if rest.isEmpty {
            switch name {
            case "sign": return .integer(quantity.nanos < 0 ? -1 : quantity.nanos == 0 ? 0 : 1)
            case "isInteger": return .bool(quantity.nanos % scale == 0 && Int64(exactly: quantity.nanos / scale) != nil)
            case "asInteger":
                guard quantity.nanos % scale == 0, let whole = Int64(exactly: quantity.nanos / scale) else {
                    throw CELError(.evaluation, "cannot convert value to integer")
                }
                return .integer(whole)
            case "asApproximateFloat": return .double(Double(quantity.nanos) / 1e9)
            default: return nil
            }
        }
        let other: Quantity
        switch rest[0] {
        case .quantity(let value): other = value
        case .integer(let value) where name == "add" || name == "sub":
            other = Quantity(nanos: Int128(value) * scale, format: quantity.format)
        default: return nil
        }
        switch name {
        case "add", "sub":
            let (sum, overflow) =
                name == "add"
                ? quantity.nanos.addingReportingOverflow(other.nanos)
                : quantity.nanos.subtractingReportingOverflow(other.nanos)
            if overflow { throw CELError(.evaluation, "quantity overflow") }
            return .quantity(Quantity(nanos: sum, format: quantity.format))
        case "isLessThan": return .bool(quantity < other)
        case "isGreaterThan": return .bool(other < quantity)
        case "compareTo": return .integer(quantity < other ? -1 : quantity == other ? 0 : 1)
        default: return nil
        }
    }

    private static func address(_ name: String, _ address: CELAddress) -> CELValue? {
        switch name {
        case "family": .integer(address.family)
        case "isUnspecified": .bool(address.isUnspecified)
        case "isLoopback": .bool(address.isLoopback)
        case "isLinkLocalMulticast": .bool(address.isLinkLocalMulticast)
        case "isLinkLocalUnicast": .bool(address.isLinkLocalUnicast)
        case "isGlobalUnicast": .bool(address.isGlobalUnicast)
        default: nil
        }
    }

    private static func range(_ name: String, _ range: CELAddressRange, _ rest: [CELValue]) throws(CELError)
        -> CELValue?
    {
        switch (name, rest.first) {
        case ("ip", nil): return .ip(range.address)
        case ("masked", nil): return .cidr(CELAddressRange(range.address.masked(range.prefix), range.prefix))
        case ("prefixLength", nil): return .integer(Int64(range.prefix))
        case ("containsIP", .ip(let address)?): return .bool(range.contains(address))
        case ("containsIP", .string(let text)?):
            guard let address = CELAddress(text) else { throw CELError(.evaluation, "\"\(text)\" is no address") }
            return .bool(range.contains(address))
        case ("containsCIDR", .cidr(let other)?):
            return .bool(range.prefix <= other.prefix && range.contains(other.address))
        case ("containsCIDR", .string(let text)?):
            guard let other = CELAddressRange(text) else {
                throw CELError(.evaluation, "\"\(text)\" is no range of addresses")
            }
            return .bool(range.prefix <= other.prefix && range.contains(other.address))
        default: return nil
        }
    }

    private static func location(_ name: String, _ location: CELLocation) -> CELValue? {
        switch name {
        case "getScheme": return .string(location.scheme)
        case "getHost": return .string(location.host)
        case "getHostname": return .string(location.hostname)
        case "getPort": return .string(location.port)
        case "getEscapedPath": return .string(location.path)
        case "getQuery":
            var names: [String] = []
            var values: [String: [CELValue]] = [:]
            for (name, value) in location.query {
                if values[name] == nil { names.append(name) }
                values[name, default: []].append(.string(value))
            }
            return .map(names.map { (.string($0), .list(values[$0] ?? [])) })
        default: return nil
        }
    }

    private static func duration(_ name: String, _ duration: Duration) -> CELValue? {
        let (seconds, attoseconds) = duration.components
        switch name {
        case "getHours": return .integer(seconds / 3600)
        case "getMinutes": return .integer(seconds / 60)
        case "getSeconds": return .integer(seconds)
        case "getMilliseconds": return .integer(attoseconds / 1_000_000_000_000_000)
        default: return nil
        }
    }
}

/// `"%s is %d".format([name, 1])`.
enum CELFormat {
    static func text(_ format: String, _ values: [CELValue]) throws(CELError) -> String {
        var result = ""
        var rest = values[...]
        var characters = format.unicodeScalars[...]
        while let character = characters.popFirst() {
            guard character == "%" else {
                result.unicodeScalars.append(character)
                continue
            }
            var precision: Int?
            if characters.first == "." {
                characters.removeFirst()
                let digits = characters.prefix { ("0"..."9").contains($0) }
                characters = characters[digits.endIndex...]
                precision = Int(String(String.UnicodeScalarView(digits)))
            }
            guard let verb = characters.popFirst() else { throw problem("unexpected end of format string") }
            if verb == "%" {
                result += "%"
                continue
            }
            guard let value = rest.popFirst() else { throw problem("index \(values.count) out of range") }
            result += try self.text(value, verb, precision)
        }
        return result
    }

    private static func text(_ value: CELValue, _ verb: Unicode.Scalar, _ precision: Int?) throws(CELError) -> String {
        switch (verb, value) {
        case ("s", _): return shown(value)
        case ("d", .integer), ("d", .unsigned): return shown(value)
        case ("x", .integer(let number)): return String(number, radix: 16)
        case ("X", .integer(let number)): return String(number, radix: 16, uppercase: true)
        case ("o", .integer(let number)): return String(number, radix: 8)
        case ("b", .integer(let number)): return String(number, radix: 2)
        case ("b", .bool(let holds)): return holds ? "1" : "0"
        case ("x", .string(let text)), ("X", .string(let text)):
            let digits = text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            return verb == "X" ? digits.uppercased() : digits
        case ("f", _):
            guard let number = value.number, number.magnitude < 1e15 else { break }
            return fixed(number, min(precision ?? 6, 9))
        default: break
        }
        throw problem("%\(verb) does not take \(value.typeName)")
    }

    private static func shown(_ value: CELValue) -> String {
        if let items = value.elements { return "[\(items.map(shown).joined(separator: ", "))]" }
        if let entries = value.entries {
            return "{\(entries.map { "\(shown($0.key)): \(shown($0.value))" }.joined(separator: ", "))}"
        }
        if case .timestamp(let seconds, let nanoseconds) = value { return CELTime.text(seconds, nanoseconds) }
        return value.text ?? (value.isNull ? "null" : value.typeName)
    }

    /// In quotes, with what is not printed escaped.
    static func quoted(_ text: String) -> String {
        let escapes: [Unicode.Scalar: String] = [
            "\u{07}": "\\a", "\u{08}": "\\b", "\u{0C}": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u{0B}": "\\v",
            "\\": "\\\\", "\"": "\\\"",
        ]
        return "\"\(text.unicodeScalars.map { escapes[$0] ?? String(Character($0)) }.joined())\""
    }

    private static func fixed(_ number: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let whole = (number.magnitude * scale).rounded(.toNearestOrEven)
        guard whole < 9e18 else { return "\(number)" }
        let text = String(Int64(whole))
        let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
        let sign = number < 0 ? "-" : ""
        return digits == 0 ? sign + padded : "\(sign)\(padded.dropLast(digits)).\(padded.suffix(digits))"
    }

    private static func problem(_ text: String) -> CELError { CELError(.evaluation, "format: \(text)") }
}
