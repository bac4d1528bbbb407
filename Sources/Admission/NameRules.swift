/// The forms names take in Kubernetes, each with the sentence a real API server says about it.
/// A function answers `nil` where the name is well formed.
package enum NameRules {
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLower(byte) || (65...90).contains(byte) }
    private static func isLower(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }

    /// One label of a host name: letters, digits and `-`, at most 63 bytes.
    package static func labelProblem(_ name: String) -> String? {
        let bytes = Array(name.utf8)
        if bytes.count > 63 { return "must be no more than 63 bytes" }
        if isLabel(bytes[...]) { return nil }
        return
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            + "and must start and end "
            + "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    }

    /// A label that starts with a letter, as Services are named.
    package static func serviceNameProblem(_ name: String) -> String? {
        let bytes = Array(name.utf8)
        if bytes.count > 63 { return "must be no more than 63 bytes" }
        if isLabel(bytes[...]), let first = bytes.first, (97...122).contains(first) { return nil }
        return
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "
            + "an alphabetic character, "
            + "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
            + "'[a-z]([-a-z0-9]*[a-z0-9])?')"
    }

    private static func isLabel(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let first = bytes.first, let last = bytes.last, isLower(first), isLower(last) else { return false }
        return bytes.allSatisfy { isLower($0) || $0 == UInt8(ascii: "-") }
    }

    /// Labels joined by dots, at most 253 bytes: what most documents are named.
    package static func subdomainProblem(_ name: String) -> String? {
        let bytes = Array(name.utf8)
        if bytes.count > 253 { return "must be no more than 253 bytes" }
        if isSubdomain(bytes) { return nil }
        return
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
            + "or '.', and must start "
            + "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    }

    static func isSubdomain(_ bytes: [UInt8]) -> Bool {
        !bytes.isEmpty
            && bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy(isLabel)
    }

    /// A name that may stand as one part of a URL path: what roles and bindings are named.
    package static func pathSegmentProblem(_ name: String) -> String? {
        if name == "." || name == ".." { return "may not be '\(name)'" }
        if name.utf8.contains(UInt8(ascii: "/")) { return "may not contain '/'" }
        if name.utf8.contains(UInt8(ascii: "%")) { return "may not contain '%'" }
        return nil
    }

    /// `name` or `prefix/name`: the keys of labels and annotations.
    package static func qualifiedNameProblems(_ key: String) -> [String] {
        let parts = key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map(Array.init)
        var problems: [String] = []
        if parts.count == 2 {
            let prefix = String(decoding: parts[0], as: UTF8.self)
            if parts[0].isEmpty {
                problems.append("prefix part must be non-empty")
            } else if let problem = subdomainProblem(prefix) {
                problems.append("prefix part \(problem)")
            }
        } else if parts.count > 2 {
            let form = "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'"
            return [
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must "
                    + "start and end with an "
                    + "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', \(form)) "
                    + "with an optional DNS "
                    + "subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        }
        guard let name = parts.last else { return problems }
        if name.isEmpty { problems.append("name part must be non-empty") }
        if name.count > 63 { problems.append("name part must be no more than 63 bytes") }
        if !name.isEmpty, !isQualifiedPart(name) {
            problems.append(
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                    + "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex "
                    + "used for validation is "
                    + "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')")
        }
        return problems
    }

    private static func isQualifiedPart(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, let last = bytes.last, isAlphanumeric(first), isAlphanumeric(last) else {
            return false
        }
        return bytes.allSatisfy {
            isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
        }
    }

    package static func labelValueProblems(_ value: String) -> [String] {
        let bytes = Array(value.utf8)
        var problems: [String] = []
        if bytes.count > 63 { problems.append("must be no more than 63 bytes") }
        if !bytes.isEmpty, !isQualifiedPart(bytes) {
            problems.append(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', "
                    + "'_' or '.', and must start "
                    + "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
                    + "'12345', regex used for "
                    + "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')")
        }
        return problems
    }

    /// A key of a ConfigMap or a Secret.
    package static func configurationKeyProblem(_ key: String) -> String? {
        if key.utf8.count > 253 { return "must be no more than 253 bytes" }
        if key == "." || key == ".." { return "must not be '\(key)'" }
        let isWellFormed =
            !key.isEmpty
            && key.utf8.allSatisfy {
                isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
            }
        if isWellFormed { return nil }
        return
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
            + "'key.name',  or 'KEY_NAME',  "
            + "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    }
}
