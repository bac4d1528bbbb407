package import Documents

/// One thing that is wrong with a document: where, what was found, what is allowed. Worded as a real API server
/// words it.
package struct FieldError: Sendable, Equatable {
    package enum Reason: String, Sendable {
        case invalid = "FieldValueInvalid"
        case required = "FieldValueRequired"
        case notSupported = "FieldValueNotSupported"
        case forbidden = "FieldValueForbidden"
        case duplicate = "FieldValueDuplicate"
        case tooLong = "FieldValueTooLong"
        case tooMany = "FieldValueTooMany"
        case typeInvalid = "FieldValueTypeInvalid"
        case notFound = "FieldValueNotFound"
        case internalError = "InternalError"
    }

    package var reason: Reason
    /// Such as `spec.rules[0].backends[1].weight`; `<nil>` where the error is about no field.
    package var field: String
    package var message: String

    package init(_ reason: Reason, _ field: String, _ message: String) {
        self.reason = reason
        self.field = field
        self.message = message
    }

    package static func invalid(_ field: String, _ value: JSON, _ detail: String) -> FieldError {
        FieldError(.invalid, field, "Invalid value: \(text(value)): \(detail)")
    }

    package static func typeInvalid(_ field: String, _ found: String, _ expected: String) -> FieldError {
        let detail = "\(field) in body must be of type \(expected): \"\(found)\""
        return FieldError(.typeInvalid, field, "Invalid value: \"\(found)\": \(detail)")
    }

    package static func required(_ field: String, _ detail: String = "") -> FieldError {
        FieldError(.required, field, detail.isEmpty ? "Required value" : "Required value: \(detail)")
    }

    package static func notSupported(_ field: String, _ value: JSON, _ allowed: [JSON]) -> FieldError {
        let list = allowed.map(text).joined(separator: ", ")
        return FieldError(.notSupported, field, "Unsupported value: \(text(value)): supported values: \(list)")
    }

    package static func forbidden(_ field: String, _ detail: String) -> FieldError {
        FieldError(.forbidden, field, "Forbidden: \(detail)")
    }

    package static func duplicate(_ field: String, _ value: JSON) -> FieldError {
        FieldError(.duplicate, field, "Duplicate value: \(text(value))")
    }

    package static func tooLong(_ field: String, _ limit: Int) -> FieldError {
        FieldError(.tooLong, field, "Too long: may not be more than \(limit) bytes")
    }

    package static func tooMany(_ field: String, _ found: Int, _ limit: Int) -> FieldError {
        FieldError(.tooMany, field, "Too many: \(found): must have at most \(limit) items")
    }

    /// A name that nothing in the document has. `candidates` are the names it could have been.
    package static func notFound(_ field: String, _ name: String, candidates: [String]) -> FieldError {
        var message = "Not found: \(text(.string(name)))"
        let candidates = candidates.enumerated().filter { !candidates[..<$0.offset].contains($0.element) }.map(
            \.element)
        if let near = nearest(to: name, in: candidates) {
            message += "; did you mean \(text(.string(near)))?"
        } else if !candidates.isEmpty {
            message += "; there is \(candidates.prefix(8).map { text(.string($0)) }.joined(separator: ", "))"
        }
        return FieldError(.notFound, field, message)
    }

    /// `field` may not change; Flux and others match the words.
    package static func immutable(_ field: String, _ value: JSON) -> FieldError {
        invalid(field, value, "field is immutable")
    }

    package var cause: APIError.Cause { APIError.Cause(reason: reason.rawValue, message: message, field: field) }

    /// How a message shows a value: as JSON, long ones cut.
    static func text(_ value: JSON) -> String {
        let text = value.text()
        if text.utf8.count <= 512 { return text }
        return String(text.prefix(500)) + "…"
    }

    /// The candidate that a typing error or two away from `name`.
    private static func nearest(to name: String, in candidates: [String]) -> String? {
        let scored = candidates.prefix(64).map {
            ($0, distance(Array(name.utf8.prefix(64)), Array($0.utf8.prefix(64))))
        }
        guard let best = scored.min(by: { $0.1 < $1.1 }) else { return nil }
        return best.1 <= max(1, min(2, name.utf8.count / 2)) ? best.0 : nil
    }

    /// Edits (insert, remove, replace, swap neighbours) that turn one into the other.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for i in left.indices {
            var row = [i + 1]
            for j in right.indices {
                var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (left[i] == right[j] ? 0 : 1))
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    best = min(best, beforeLast[j - 1] + 1)
                }
                row.append(best)
            }
            beforeLast = last
            last = row
        }
        return last[right.count]
    }
}

/// Where in a document a check is. Kept as one array that grows and shrinks, so that a check that finds nothing wrong
/// builds no text.
struct FieldPath {
    enum Step {
        case member(String)
        case index(Int)
        case key(String)
    }

    private(set) var steps: [Step] = []

    mutating func push(_ step: Step) { steps.append(step) }
    mutating func pop() { steps.removeLast() }

    /// `spec.rules[0].labels[key]`; `<nil>` at the root.
    var text: String {
        if steps.isEmpty { return "<nil>" }
        var text = ""
        for step in steps {
            switch step {
            case .member(let name): text += text.isEmpty ? name : ".\(name)"
            case .index(let index): text += "[\(index)]"
            case .key(let key): text += "[\(key)]"
            }
        }
        return text
    }

    /// As `text`, with map keys as members: how schema errors write paths.
    var dotted: String {
        if steps.isEmpty { return "<nil>" }
        var text = ""
        for step in steps {
            switch step {
            case .member(let name), .key(let name): text += text.isEmpty ? name : ".\(name)"
            case .index(let index): text += "[\(index)]"
            }
        }
        return text
    }
}
