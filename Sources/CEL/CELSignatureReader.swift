/// Reads a line of the tables of functions. They are part of the program: a mistake in one is a defect of it.
struct CELSignatureReader {
    private var rest: Substring

    init(_ line: String) { rest = line[...] }

    private mutating func take(until ends: (Character) -> Bool) -> String {
        let word = rest.prefix { !ends($0) }
        rest = rest.dropFirst(word.count)
        return String(word)
    }

    private mutating func take(_ text: String) -> Bool {
        guard rest.hasPrefix(text) else { return false }
        rest = rest.dropFirst(text.count)
        return true
    }

    mutating func overload() -> (String, CELOverload) {
        let id = take { $0 == " " }
        _ = take(" ")
        var parameters: [CELType] = []
        let isMember = rest.first?.isLetter == true && isMemberAhead
        if isMember {
            parameters.append(type())
            precondition(take(":"), "a table of functions: \(id)")
        }
        // Operators have brackets and such in their names; what they take begins at the last opening one.
        let name = take { $0 == "(" }
        precondition(take("("), "a table of functions: \(id)")
        while !take(")") {
            _ = take(", ")
            parameters.append(type())
        }
        _ = take(" ")
        return (name, CELOverload(id: id, isMember: isMember, parameters: parameters, result: type()))
    }

    /// Whether a type and a colon come before the name.
    private var isMemberAhead: Bool {
        var probe = self
        _ = probe.type()
        return probe.take(":")
    }

    mutating func type() -> CELType {
        let name = take { "(), :".contains($0) }
        if take("(") {
            var parts: [CELType] = []
            while !take(")") {
                _ = take(", ")
                parts.append(type())
            }
            switch (name, parts.count) {
            case ("list", 1): return .list(parts[0])
            case ("map", 2): return .map(parts[0], parts[1])
            case ("optional", 1): return .optional(parts[0])
            default: return .type(parts.first ?? .dyn)
            }
        }
        switch name {
        case "duration": return .duration
        case "timestamp": return .timestamp
        case "dyn": return .dyn
        default:
            if let known = CELType.names[name], known.parameters.isEmpty { return known }
            return CELType.qualifiedNames[name] ?? .parameter(name)
        }
    }
}
