/// JSON patch (RFC 6902): a list of operations, all or none. Refused operations answer as an API server does: 400 for
/// a patch that is none, 422 for one that does not fit the document, 413 for one that is too much work.
package struct JSONPatch {
    private var document: JSON
    private var work = 0

    package static func apply(_ patch: JSON, to target: JSON) throws(APIError) -> JSON {
        guard let operations = patch.arrayValue else {
            throw .badRequest("JSON patch: expected an array of operations, found \(patch.typeName)")
        }
        if operations.count > DocumentLimits.patchOperations {
            throw tooLarge("expected at most \(DocumentLimits.patchOperations) operations, found \(operations.count)")
        }
        var run = JSONPatch(document: target)
        for (position, operation) in operations.enumerated() { try run.perform(operation, position) }
        return run.document
    }

    private mutating func perform(_ operation: JSON, _ position: Int) throws(APIError) {
        func text(_ key: String) throws(APIError) -> String {
            if let text = operation[key]?.stringValue { return text }
            throw .badRequest("JSON patch: operation \(position): expected a text as \"\(key)\"")
        }
        func value() throws(APIError) -> JSON {
            if let value = operation["value"] { return value }
            throw .badRequest("JSON patch: operation \(position): expected a \"value\"")
        }
        let name = try text("op")
        let path = try JSONPointer(parsing: try text("path"))
        switch name {
        case "add": try insert(try value(), at: path)
        case "remove": _ = try remove(at: path)
        case "replace": try replace(path, by: try value())
        case "move":
            let from = try JSONPointer(parsing: try text("from"))
            if path.tokens.count > from.tokens.count, path.tokens.starts(with: from.tokens) {
                throw Self.refused("cannot move \(from) into itself at \(path)")
            }
            try insert(try remove(at: from), at: path)
        case "copy": try insert(try existing(try JSONPointer(parsing: try text("from"))), at: path)
        case "test":
            // As in Kubernetes, what is missing equals null.
            let found = path.value(in: document) ?? .null
            if found != (try value()) { throw Self.refused("testing value \(path) failed") }
        default:
            throw .badRequest(
                "JSON patch: operation \(position): expected add, remove, replace, move, copy or test, "
                    + "found \"\(name.prefix(40))\""
            )
        }
    }

    /// As in Kubernetes, a member that is missing from an object that exists is added.
    private mutating func replace(_ path: JSONPointer, by value: JSON) throws(APIError) {
        if path.value(in: document) == nil, path.parent.value(in: document)?.objectValue != nil {
            return try insert(value, at: path)
        }
        _ = try existing(path)
        try checkDepth(of: value, at: path)
        try change(path) { (slot: inout JSON) in slot = value }
    }

    private func existing(_ path: JSONPointer) throws(APIError) -> JSON {
        guard let value = path.value(in: document) else { throw Self.refused("\(path) does not exist") }
        return value
    }

    private mutating func insert(_ value: JSON, at path: JSONPointer) throws(APIError) {
        try checkDepth(of: value, at: path)
        guard let last = path.tokens.last else {
            document = value
            return
        }
        var outcome: APIError?
        var shifted = 0
        try change(path.parent) { parent in
            switch parent {
            case .object(var object):
                parent = .null
                object[last] = value
                parent = .object(object)
            case .array(var elements):
                guard let index = last == "-" ? elements.count : JSONPointer.index(last), index <= elements.count else {
                    outcome = Self.refused("\(path): expected an index from 0 to \(elements.count), or -")
                    return
                }
                parent = .null
                shifted = elements.count - index
                elements.insert(value, at: index)
                parent = .array(elements)
            default: outcome = Self.refused("\(path.parent): expected an object or array, found \(parent.typeName)")
            }
        }
        if let outcome { throw outcome }
        try spend(shifted / 16)
    }

    private mutating func remove(at path: JSONPointer) throws(APIError) -> JSON {
        let removed = try existing(path)
        guard let last = path.tokens.last else { throw Self.refused("cannot remove the whole document") }
        var shifted = 0
        try change(path.parent) { parent in
            switch parent {
            case .object(var object):
                parent = .null
                object[last] = nil
                shifted = object.count * 8  // the index of its names is made anew
                parent = .object(object)
            case .array(var elements):
                guard let index = JSONPointer.index(last), index < elements.count else { return }
                parent = .null
                shifted = elements.count - index
                elements.remove(at: index)
                parent = .array(elements)
            default: break
            }
        }
        try spend(shifted / 16)
        return removed
    }

    /// Runs `body` on the value at `path`, in place.
    private mutating func change(_ path: JSONPointer, _ body: (inout JSON) -> Void) throws(APIError) {
        guard path.value(in: document) != nil else { throw Self.refused("\(path) does not exist") }
        Self.descend(path.tokens[...], &document, body)
    }

    private static func descend(_ tokens: ArraySlice<String>, _ value: inout JSON, _ body: (inout JSON) -> Void) {
        guard let token = tokens.first else { return body(&value) }
        switch value {
        case .object(var object):
            value = .null
            object.update(token) { descend(tokens.dropFirst(), &$0, body) }
            value = .object(object)
        case .array(var elements):
            guard let index = JSONPointer.index(token), index < elements.count else { return }
            value = .null
            descend(tokens.dropFirst(), &elements[index], body)
            value = .array(elements)
        default: return
        }
    }

    private mutating func checkDepth(of value: JSON, at path: JSONPointer) throws(APIError) {
        var visited = 0
        let room = DocumentLimits.nestingDepth - path.tokens.count
        let fits = Self.fits(value, in: room, visited: &visited, budget: DocumentLimits.patchWork - work)
        try spend(visited)
        if !fits { throw Self.refused("\(path): expected at most \(DocumentLimits.nestingDepth) levels of nesting") }
    }

    private static func fits(_ value: JSON, in levels: Int, visited: inout Int, budget: Int) -> Bool {
        visited += 1
        if levels < 0 { return false }
        if visited > budget { return true }  // the caller refuses on the work it took
        switch value {
        case .object(let object):
            for member in object.members where !fits(member.value, in: levels - 1, visited: &visited, budget: budget) {
                return false
            }
        case .array(let elements):
            for element in elements where !fits(element, in: levels - 1, visited: &visited, budget: budget) {
                return false
            }
        case .string(let text): visited += text.utf8.count / 16
        default: break
        }
        return true
    }

    private mutating func spend(_ amount: Int) throws(APIError) {
        work += amount
        if work > DocumentLimits.patchWork { throw Self.tooLarge("it copies or moves too much") }
    }

    private static func refused(_ why: String) -> APIError {
        APIError(
            code: 422, reason: .invalid,
            message: "the server rejected our request due to an error in our request: JSON patch: \(why)")
    }

    private static func tooLarge(_ why: String) -> APIError {
        APIError(code: 413, reason: .requestEntityTooLarge, message: "JSON patch: \(why)")
    }
}

/// A place in a document (RFC 6901): `/spec/ports/0/name`.
package struct JSONPointer: Sendable, Hashable, CustomStringConvertible {
    package let tokens: [String]

    package init(_ tokens: [String]) { self.tokens = tokens }

    package init(parsing text: String) throws(APIError) {
        guard text.isEmpty || text.utf8.first == UInt8(ascii: "/") else {
            throw .badRequest("JSON pointer: expected \"\" or a \"/\" first, found \"\(text.prefix(80))\"")
        }
        var tokens: [String] = []
        for part in text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst() {
            if tokens.count >= DocumentLimits.nestingDepth {
                throw .badRequest("JSON pointer: expected at most \(DocumentLimits.nestingDepth) levels")
            }
            tokens.append(Self.unescaped(part))
        }
        self.tokens = tokens
    }

    package var parent: JSONPointer { JSONPointer(Array(tokens.dropLast())) }

    package var description: String {
        tokens.map { token in
            "/" + token.unicodeScalars.map { $0 == "~" ? "~0" : $0 == "/" ? "~1" : String($0) }.joined()
        }.joined()
    }

    package func value(in document: JSON) -> JSON? {
        var value = document
        for token in tokens {
            switch value {
            case .object(let object):
                guard let member = object[token] else { return nil }
                value = member
            case .array(let elements):
                guard let index = Self.index(token), index < elements.count else { return nil }
                value = elements[index]
            default: return nil
            }
        }
        return value
    }

    /// An array index: decimal digits without leading zeros.
    static func index(_ token: String) -> Int? {
        guard token.utf8.allSatisfy(\.isDigit), token.utf8.first != UInt8(ascii: "0") || token.utf8.count == 1 else {
            return nil
        }
        return Int(token)
    }

    private static func unescaped(_ part: Substring.UTF8View.SubSequence) -> String {
        var bytes: [UInt8] = []
        var isEscaped = false
        for byte in part {
            if isEscaped {
                bytes.append(
                    byte == UInt8(ascii: "1") ? UInt8(ascii: "/") : byte == UInt8(ascii: "0") ? UInt8(ascii: "~") : byte
                )
                isEscaped = false
            } else if byte == UInt8(ascii: "~") {
                isEscaped = true
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
