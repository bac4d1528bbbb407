/// Field paths of apply's messages in the form that positions are looked up by.
package enum PositionalPath {
    /// `.spec.ports[name="in"].port` as `spec.ports[0].port`, and `.metadata.labels.a.b/c` as
    /// `metadata.labels[a.b/c]`, found by walking `document`. Paths that are positional already stay so; where the
    /// document has no such field the path ends at the last one it has.
    package static func resolve(_ path: String, in document: JSON) -> String {
        var rest = path[...]
        var value: JSON? = document
        var result = ""
        while let first = rest.first {
            if first == "." {
                rest.removeFirst()
            } else if first == "[" {
                let body = bracket(&rest)
                guard let (step, next) = element(body, of: value) else { return result }
                result += "[\(step)]"
                value = next
            } else {
                guard let name = member(at: rest, of: value) else { return result }
                rest = rest.dropFirst(name.count)
                let isPlain = !name.contains { $0 == "." || $0 == "[" }
                result += !isPlain ? "[\(name)]" : result.isEmpty ? name : ".\(name)"
                value = value?[name]
            }
        }
        return result
    }

    /// Takes `[…]` from the front and answers what is in it. Quoted text may hold brackets.
    private static func bracket(_ rest: inout Substring) -> Substring {
        var isQuoted = false
        var isEscaped = false
        let start = rest.index(after: rest.startIndex)
        var end = start
        while end < rest.endIndex {
            let character = rest[end]
            if isEscaped {
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isQuoted.toggle()
            }
            if character == "]" && !isQuoted { break }
            end = rest.index(after: end)
        }
        let body = rest[start..<end]
        rest = end < rest.endIndex ? rest[rest.index(after: end)...] : rest[end...]
        return body
    }

    private static func element(_ body: Substring, of value: JSON?) -> (step: String, value: JSON?)? {
        guard let items = value?.arrayValue else {
            let key = body.hasPrefix("\"") && body.count >= 2 ? body.dropFirst().dropLast() : body
            return value?[String(key)].map { (String(key), $0) }
        }
        if let index = Int(body) { return items.indices.contains(index) ? (String(body), items[index]) : nil }
        let wanted = fields(body)
        let found = items.firstIndex { item in
            if body.hasPrefix("=") { return item.text() == body.dropFirst() }
            // A key field the element leaves to its default matches anything.
            let object = item.objectValue
            return object != nil && !wanted.isEmpty
                && wanted.allSatisfy { object?[$0.name].map { $0.text() } ?? $0.value == $0.value }
        }
        return found.map { (String($0), items[$0]) }
    }

    /// `name="in",port=1` as its parts. Quoted text may hold commas.
    private static func fields(_ body: Substring) -> [(name: String, value: String)] {
        var parts: [Substring] = []
        var start = body.startIndex
        var isQuoted = false
        for index in body.indices {
            if body[index] == "\"" { isQuoted.toggle() }
            if body[index] == "," && !isQuoted {
                parts.append(body[start..<index])
                start = body.index(after: index)
            }
        }
        parts.append(body[start...])
        return parts.compactMap { part in
            part.firstIndex(of: "=").map { (String(part[..<$0]), String(part[part.index(after: $0)...])) }
        }
    }

    /// The longest member name that `rest` begins with: names may hold dots.
    private static func member(at rest: Substring, of value: JSON?) -> String? {
        (value?.objectValue?.members ?? []).map(\.key).filter { name in
            guard rest.hasPrefix(name) else { return false }
            let next = rest.dropFirst(name.count).first
            return next == nil || next == "." || next == "["
        }.max { $0.utf8.count < $1.utf8.count }
    }
}
