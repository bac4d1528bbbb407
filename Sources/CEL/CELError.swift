/// Why a rule came to no answer.
package struct CELError: Error, Equatable {
    package enum Code: Sendable {
        /// The value does not have what the rule asks for.
        case evaluation
        /// The rule uses what this evaluator does not know; callers may take it as kept.
        case unsupported
        /// The rule costs more than it may.
        case exhausted
        case syntax
    }

    package var code: Code
    package var message: String
    /// Where in the rule, in bytes, where that is known.
    package var offset: Int?

    init(_ code: Code, _ message: String, at offset: Int? = nil) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    /// The same at `offset`, unless a place is known already.
    func at(_ offset: Int) -> CELError { CELError(code, message, at: self.offset ?? offset) }

    /// As a compiler says it: place, message, the line and a mark below the place.
    package func text(in rule: String) -> String {
        CELIssue(offset: offset ?? 0, message: message).text(in: rule)
    }
}

/// Something that is wrong with an expression, and where.
package struct CELIssue: Sendable, Equatable {
    /// In bytes of the expression.
    package var offset: Int
    package var message: String

    /// `ERROR: <input>:1:5: undefined field 'foo'`, the line, and a mark below the place.
    package func text(in rule: String) -> String {
        let scalars = Array(rule.unicodeScalars)
        var place = 0
        var bytes = 0
        while place < scalars.count, bytes < offset {
            bytes += UTF8.width(scalars[place])
            place += 1
        }
        let start = scalars[..<place].lastIndex(of: "\n").map { $0 + 1 } ?? 0
        let end = scalars[place...].firstIndex(of: "\n") ?? scalars.count
        let line = scalars[..<place].count { $0 == "\n" } + 1
        let head = "ERROR: <input>:\(line):\(place - start + 1): \(message)"
        let snippet = scalars[start..<end].map { $0 == "\t" ? " " : $0 }
        guard snippet.reduce(0, { $0 + UTF8.width($1) }) <= CELLimits.snippetBytes else { return head }
        let dots = snippet.prefix(place - start).map { $0.isASCII ? "." : "\u{FF0E}" }.joined()
        let mark = snippet.count <= place - start || snippet[place - start].isASCII ? "^" : "\u{FF3E}"
        return "\(head)\n | \(String(String.UnicodeScalarView(snippet)))\n | \(dots)\(mark)"
    }

    /// All of them, in the order of their places.
    package static func text(of issues: [CELIssue], in rule: String) -> String {
        let sorted = issues.enumerated().sorted { ($0.element.offset, $0.offset) < ($1.element.offset, $1.offset) }
        var texts = sorted.prefix(CELLimits.issues).map { $0.element.text(in: rule) }
        if issues.count > texts.count { texts.append("\(issues.count - texts.count) more errors were truncated") }
        return texts.joined(separator: "\n")
    }
}
