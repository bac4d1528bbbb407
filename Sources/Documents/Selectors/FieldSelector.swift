/// Which documents a list or watch means, by their fields: `metadata.name=a,status.phase!=Running`. Which paths a
/// kind knows is the API server's question.
package struct FieldSelector: Sendable, Hashable, CustomStringConvertible {
    /// One condition on one field, whose value compares as text.
    package struct Requirement: Sendable, Hashable {
        package let path: String
        package let isEqual: Bool
        package let value: String

        package init(path: String, isEqual: Bool, value: String) {
            self.path = path
            self.isEqual = isEqual
            self.value = value
        }
    }

    package let requirements: [Requirement]

    package static let everything = FieldSelector([])

    package init(_ requirements: [Requirement]) { self.requirements = requirements }

    package var isEmpty: Bool { requirements.isEmpty }

    /// Whether all requirements hold where `value` gives the text of the field at a path, empty where there is none.
    package func matches(_ value: (String) -> String) -> Bool {
        requirements.allSatisfy { $0.isEqual == value($0.path).isSameBytes(as: $0.value) }
    }

    /// The text `metadata.name` must equal, where the selector asks for one.
    package func exactValue(of path: String) -> String? { requirements.first { $0.isEqual && $0.path == path }?.value }

    /// The text form: terms separated by commas; in values `\`, `,` and `=` are escaped by a backslash.
    package init(parsing text: String) throws(APIError) {
        if text.utf8.count > DocumentLimits.selectorBytes {
            throw .badRequest(
                "field selector: expected at most \(DocumentLimits.selectorBytes) bytes, found \(text.utf8.count)")
        }
        var requirements: [Requirement] = []
        for term in Self.terms(text) where !term.isEmpty {
            guard let requirement = Self.requirement(term) else {
                let found = String(decoding: term, as: UTF8.self)
                throw .badRequest("invalid selector: '\(text)'; can't understand '\(found)'")
            }
            requirements.append(requirement)
        }
        self.init(requirements)
    }

    package var description: String {
        requirements.map { "\($0.path)\($0.isEqual ? "=" : "!=")\(Self.escaped($0.value))" }.joined(separator: ",")
    }

    private static func terms(_ text: String) -> [[UInt8]] {
        var terms: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in text.utf8 {
            if byte == UInt8(ascii: ","), !isEscaped {
                terms.append([])
                continue
            }
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            terms[terms.count - 1].append(byte)
        }
        return terms
    }

    /// `nil` for a term that is neither path=value nor path==value nor path!=value.
    private static func requirement(_ term: [UInt8]) -> Requirement? {
        let equals = UInt8(ascii: "=")
        guard let sign = term.firstIndex(where: { $0 == equals || $0 == UInt8(ascii: "!") }) else {
            return nil
        }
        let isEqual = term[sign] == equals
        var start = sign + 1
        if start < term.count, term[start] == equals {
            start += 1
        } else if !isEqual {
            return nil
        }
        let path = String(decoding: term[..<sign], as: UTF8.self)
        return unescaped(term[start...]).map { Requirement(path: path, isEqual: isEqual, value: $0) }
    }

    private static func unescaped(_ value: ArraySlice<UInt8>) -> String? {
        var result: [UInt8] = []
        var isEscaped = false
        for byte in value {
            let isSpecial = byte == UInt8(ascii: "\\") || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "=")
            if isEscaped {
                guard isSpecial else { return nil }
                result.append(byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if isSpecial {
                return nil
            } else {
                result.append(byte)
            }
        }
        if isEscaped { return nil }
        return String(decoding: result, as: UTF8.self)
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value.unicodeScalars {
            if character == "\\" || character == "," || character == "=" { result.unicodeScalars.append("\\") }
            result.unicodeScalars.append(character)
        }
        return result
    }
}
