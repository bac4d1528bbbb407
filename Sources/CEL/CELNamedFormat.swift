internal import Documents

/// A form of texts that has a name: `format.dns1123Label()`.
package struct CELFormatName: Sendable, Equatable {
    let name: String

    /// `nil` where no form has the name.
    init?(_ name: String) {
        guard Self.rules[name] != nil else { return nil }
        self.name = name
    }

    private struct Rule: Sendable {
        var pattern: String?
        var mostBytes = Int.max
        /// The size of a pattern that checks it, for the cost.
        var patternSize: Int
        var problem: String
    }

    private static let label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    private static let older = "[a-z]([-a-z0-9]*[a-z0-9])?"
    private static let value = "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"

    private static func prefix(_ rule: Rule, _ pattern: String) -> Rule {
        var rule = rule
        rule.pattern = pattern
        return rule
    }

    private static let labelRule = Rule(
        pattern: label, mostBytes: 63, patternSize: 30,
        problem: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
            + "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            + "'\(label)')")
    private static let subdomainRule = Rule(
        pattern: "\(label)(\\.\(label))*", mostBytes: 253, patternSize: 60,
        problem:
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            + "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            + "'\(label)(\\.\(label))*')")
    private static let olderRule = Rule(
        pattern: older, mostBytes: 63, patternSize: 30,
        problem: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            + "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            + "validation is '\(older)')")

    private static let rules: [String: Rule] = [
        "dns1123Label": labelRule, "dns1123Subdomain": subdomainRule, "dns1035Label": olderRule,
        "dns1123LabelPrefix": prefix(labelRule, "[a-z0-9][-a-z0-9]*"),
        "dns1123SubdomainPrefix": prefix(subdomainRule, "\(label)(\\.\(label))*[-.]?"),
        "dns1035LabelPrefix": prefix(olderRule, "[a-z][-a-z0-9]*"),
        "qualifiedName": Rule(
            pattern: "(\(label)(\\.\(label))*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", mostBytes: 317,
            patternSize: 60,
            problem: "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
                + "an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                + "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"),
        "labelValue": Rule(
            pattern: value, mostBytes: 63, patternSize: 40,
            problem:
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                + "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
                + "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"),
        "uri": Rule(patternSize: 1103, problem: "invalid URI for request"),
        "uuid": Rule(patternSize: 98, problem: "does not match the UUID format"),
        "byte": Rule(patternSize: 84, problem: "invalid base64"),
        "date": Rule(patternSize: 112, problem: "invalid date"),
        "datetime": Rule(patternSize: 112, problem: "invalid datetime"),
    ]

    var patternSize: Int { Self.rules[name]?.patternSize ?? 0 }

    /// What is wrong with a text; empty where it has the form.
    func problems(of text: String) -> [String] {
        guard let rule = Self.rules[name] else { return [] }
        if text.utf8.count > rule.mostBytes { return ["must be no more than \(rule.mostBytes) bytes"] }
        let isRight =
            switch name {
            case "uri": CELLocation(text) != nil
            case "datetime": Formats.accepts(text, format: "date-time")
            case "uuid", "byte", "date": Formats.accepts(text, format: name)
            default: rule.pattern.flatMap { Pattern.compiled("^\($0)$") }?.matches(text) ?? true
            }
        return isRight ? [] : [rule.problem]
    }
}
