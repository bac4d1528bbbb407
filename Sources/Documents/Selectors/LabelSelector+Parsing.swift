/// The text form that `kubectl -l` and the `labelSelector` query parameter carry:
/// `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
extension LabelSelector {
    package init(parsing text: String) throws(APIError) {
        if text.utf8.count > DocumentLimits.selectorBytes {
            throw .badRequest(
                "label selector: expected at most \(DocumentLimits.selectorBytes) bytes, found \(text.utf8.count)")
        }
        var parser = LabelSelectorParser(scanner: TextScanner(text))
        self.init(try parser.requirements())
    }
}

/// Reads one label selector. Owned by the initialiser above, gone with it.
private struct LabelSelectorParser {
    var scanner: TextScanner

    mutating func requirements() throws(APIError) -> [LabelSelector.Requirement] {
        var result: [LabelSelector.Requirement] = []
        scanner.skipSpace()
        if scanner.isAtEnd { return [] }
        while true {
            result.append(try requirement())
            scanner.skipSpace()
            if scanner.isAtEnd { return result }
            guard scanner.take(",") else { throw unexpected("\",\" or the end") }
            scanner.skipSpace()
            if scanner.isAtEnd { return result }  // kubectl lets a list end in a comma
        }
    }

    private mutating func requirement() throws(APIError) -> LabelSelector.Requirement {
        scanner.skipSpace()
        if scanner.take("!") {
            scanner.skipSpace()
            return .init(try key(), .doesNotExist)
        }
        let key = try key()
        scanner.skipSpace()
        guard let next = scanner.next, next != UInt8(ascii: ",") else { return .init(key, .exists) }
        if scanner.take("!=") { return .init(key, .isNotIn, [try value()]) }
        if scanner.take("==") || scanner.take("=") { return .init(key, .isIn, [try value()]) }
        if scanner.take(">") { return .init(key, .isGreater, [try number()]) }
        if scanner.take("<") { return .init(key, .isLess, [try number()]) }
        let word = scanner.take { !Self.isSpecial($0) }
        switch word {
        case "in": return .init(key, .isIn, try values())
        case "notin": return .init(key, .isNotIn, try values())
        default:
            throw .badRequest(
                "unable to parse requirement: found '\(word.prefix(40))', expected: in, notin, =, ==, !=, gt, lt")
        }
    }

    private mutating func values() throws(APIError) -> [String] {
        scanner.skipSpace()
        guard scanner.take("(") else { throw unexpected("'('") }
        var values: Set<String> = []
        while true {
            values.insert(try value())
            scanner.skipSpace()
            if scanner.take(")") { return values.sorted() }
            guard scanner.take(",") else { throw unexpected("',' or ')'") }
        }
    }

    private mutating func key() throws(APIError) -> String {
        let text = scanner.take { !Self.isSpecial($0) }
        if text.isEmpty { throw unexpected("a label key") }
        if let problem = LabelSyntax.problem(withKey: text) {
            throw .badRequest("unable to parse requirement: \(text.prefix(80)): \(problem)")
        }
        return text
    }

    private mutating func value() throws(APIError) -> String {
        scanner.skipSpace()
        let text = scanner.take { !Self.isSpecial($0) }
        if let problem = LabelSyntax.problem(withValue: text) {
            throw .badRequest("unable to parse requirement: \(text.prefix(80)): \(problem)")
        }
        return text
    }

    private mutating func number() throws(APIError) -> String {
        let text = try value()
        if Int64(text) == nil {
            throw .badRequest("unable to parse requirement: expected an integer, found \"\(text)\"")
        }
        return text
    }

    private func unexpected(_ expected: String) -> APIError {
        .badRequest("unable to parse requirement: found \(scanner.found), expected: \(expected)")
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09...0x0D, 0x20, UInt8(ascii: "!"), UInt8(ascii: "="), UInt8(ascii: "<"), UInt8(ascii: ">"),
            UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","):
            true
        default: false
        }
    }
}

/// What may be a label's key and value, by Kubernetes' rules.
package enum LabelSyntax {
    /// Why `key` is no label key: an optional DNS prefix and `/`, then a name of at most 63 characters.
    package static func problem(withKey key: String) -> String? {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count > 2 { return "a label key has one '/' at most" }
        if parts.count == 2 {
            if parts[0].isEmpty || parts[0].utf8.count > 253 {
                return "the prefix of a label key must have 1 to 253 characters"
            }
            if !parts[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isDNSLabel) {
                return "the prefix of a label key must be a DNS subdomain in lower case"
            }
        }
        let name = parts[parts.count - 1]
        return name.isEmpty ? "the name of a label key must not be empty" : problem(withName: name)
    }

    /// Why `value` is no label value: empty, or a name of at most 63 characters.
    package static func problem(withValue value: String) -> String? {
        value.isEmpty ? nil : problem(withName: value[...])
    }

    private static func problem(withName name: Substring) -> String? {
        let bytes = name.utf8
        if bytes.count > 63 { return "must be no more than 63 characters" }
        let isFine = bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F }
        if isFine, let first = bytes.first, let last = bytes.last, isAlphanumeric(first), isAlphanumeric(last) {
            return nil
        }
        return
            "must consist of alphanumeric characters, '-', '_' or '.', "
            + "and must start and end with an alphanumeric character"
    }

    private static func isDNSLabel(_ label: Substring) -> Bool {
        let bytes = label.utf8
        func isFine(_ byte: UInt8) -> Bool { byte.isDigit || (byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")) }
        guard let first = bytes.first, let last = bytes.last, isFine(first), isFine(last) else { return false }
        return bytes.allSatisfy { isFine($0) || $0 == 0x2D }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool { byte.isDigit || byte.isLetter }
}
