/// Reads a rule in the Common Expression Language, macros expanded.
struct CELParser {
    private let tokens: [CELToken]
    private var position = 0
    private var depth = 0

    static func parse(_ text: String) throws(CELError) -> CELExpression {
        var parser = CELParser(tokens: try CELLexer.tokens(of: text))
        let expression = try parser.expression()
        guard parser.peek == .end else { throw parser.unexpected() }
        return expression
    }

    private init(tokens: [CELToken]) { self.tokens = tokens }

    private var peek: CELToken { tokens[min(position, tokens.count - 1)] }

    private func unexpected() -> CELError {
        let found =
            switch peek {
            case .name(let text), .symbol(let text): "'\(text)'"
            case .string: "a string"
            case .bytes: "bytes"
            case .integer, .unsigned, .double: "a number"
            case .end: "the end"
            }
        return CELError(.syntax, "Syntax error: unexpected \(found)")
    }

    private mutating func take(_ symbol: String) -> Bool {
        if peek != .symbol(symbol) { return false }
        position += 1
        return true
    }

    private mutating func expect(_ symbol: String) throws(CELError) {
        if !take(symbol) { throw unexpected() }
    }

    private mutating func expression() throws(CELError) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        if depth > CELLimits.expressionDepth { throw CELError(.syntax, "the expression nests too deep") }
        let condition = try disjunction()
        if !take("?") { return condition }
        let left = try disjunction()
        try expect(":")
        return .choice(condition, left, try expression())
    }

    private mutating func disjunction() throws(CELError) -> CELExpression {
        var left = try conjunction()
        while take("||") { left = .or(left, try conjunction()) }
        return left
    }

    private mutating func conjunction() throws(CELError) -> CELExpression {
        var left = try relation()
        while take("&&") { left = .and(left, try relation()) }
        return left
    }

    private mutating func relation() throws(CELError) -> CELExpression {
        var left = try sum()
        while true {
            var symbol: String?
            for candidate in ["==", "!=", "<=", ">=", "<", ">"] where take(candidate) {
                symbol = candidate
                break
            }
            if symbol == nil, peek == .name("in") {
                position += 1
                symbol = "in"
            }
            guard let symbol else { return left }
            left = .binary(symbol, left, try sum())
        }
    }

    private mutating func sum() throws(CELError) -> CELExpression {
        var left = try product()
        while true {
            if take("+") {
                left = .binary("+", left, try product())
            } else if take("-") {
                left = .binary("-", left, try product())
            } else {
                return left
            }
        }
    }

    private mutating func product() throws(CELError) -> CELExpression {
        var left = try unary()
        while true {
            if take("*") {
                left = .binary("*", left, try unary())
            } else if take("/") {
                left = .binary("/", left, try unary())
            } else if take("%") {
                left = .binary("%", left, try unary())
            } else {
                return left
            }
        }
    }

    private mutating func unary() throws(CELError) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        if depth > CELLimits.expressionDepth { throw CELError(.syntax, "the expression nests too deep") }
        if take("!") { return .not(try unary()) }
        if take("-") {
            switch peek {
            case .integer(let value):
                position += 1
                return try suffixes(.literal(.integer(-value)))
            case .unsigned(9_223_372_036_854_775_808):
                position += 1
                return .literal(.integer(.min))
            case .double(let value):
                position += 1
                return try suffixes(.literal(.double(-value)))
            default: return .negate(try unary())
            }
        }
        return try suffixes(try primary())
    }

    private mutating func suffixes(_ start: CELExpression) throws(CELError) -> CELExpression {
        var operand = start
        while true {
            if take(".") {
                let isOptional = take("?")
                guard case .name(let field) = peek else { throw unexpected() }
                position += 1
                if !isOptional, take("(") {
                    operand = try method(field, on: operand)
                } else {
                    operand = .member(operand, Self.unescaped(field), isOptional: isOptional)
                }
            } else if take("[") {
                let isOptional = take("?")
                operand = .index(operand, try expression(), isOptional: isOptional)
                try expect("]")
            } else {
                return operand
            }
        }
    }

    private mutating func primary() throws(CELError) -> CELExpression {
        let token = peek
        switch token {
        case .string(let text):
            position += 1
            return .literal(.string(text))
        case .bytes(let bytes):
            position += 1
            return .literal(.bytes(bytes))
        case .integer(let value):
            position += 1
            return .literal(.integer(value))
        case .unsigned(let value):
            position += 1
            return .literal(.unsigned(value))
        case .double(let value):
            position += 1
            return .literal(.double(value))
        case .name(let name):
            position += 1
            return try named(name)
        case .symbol("("):
            position += 1
            let inner = try expression()
            try expect(")")
            return inner
        case .symbol("["):
            position += 1
            return .list(try list(until: "]"))
        case .symbol("{"):
            position += 1
            return .map(try entries())
        case .symbol("."):
            position += 1
            return try primary()
        default: throw unexpected()
        }
    }

    private mutating func named(_ name: String) throws(CELError) -> CELExpression {
        switch name {
        case "true": return .literal(.bool(true))
        case "false": return .literal(.bool(false))
        case "null": return .literal(.null)
        case "in": throw unexpected()
        default: break
        }
        guard take("(") else { return .name(name) }
        let arguments = try list(until: ")")
        if name == "has" {
            guard arguments.count == 1, case .member(let operand, let field, _) = arguments[0] else {
                throw CELError(.syntax, "invalid argument to has() macro")
            }
            return .has(operand, field)
        }
        return .call(name, target: nil, arguments: arguments)
    }

    private mutating func method(_ name: String, on target: CELExpression) throws(CELError) -> CELExpression {
        let arguments = try list(until: ")")
        let kinds: [String: CELExpression.Comprehension] = [
            "all": .all, "exists": .exists, "exists_one": .existsOne, "existsOne": .existsOne, "map": .map,
            "filter": .filter,
        ]
        guard let kind = kinds[name], arguments.count == 2 || arguments.count == 3 && kind == .map else {
            return .call(name, target: target, arguments: arguments)
        }
        guard case .name(let variable) = arguments[0] else {
            throw CELError(.syntax, "the first argument of \(name)() must be a name")
        }
        if kind != .map {
            return .comprehension(kind, range: target, variable: variable, predicate: arguments[1], transform: nil)
        }
        let predicate = arguments.count == 3 ? arguments[1] : nil
        return .comprehension(.map, range: target, variable: variable, predicate: predicate, transform: arguments.last)
    }

    private mutating func list(until end: String) throws(CELError) -> [CELExpression] {
        var items: [CELExpression] = []
        while !take(end) {
            if !items.isEmpty {
                try expect(",")
                if take(end) { break }
            }
            items.append(try expression())
        }
        return items
    }

    private mutating func entries() throws(CELError) -> [(CELExpression, CELExpression)] {
        var entries: [(CELExpression, CELExpression)] = []
        while !take("}") {
            if !entries.isEmpty {
                try expect(",")
                if take("}") { break }
            }
            let key = try expression()
            try expect(":")
            entries.append((key, try expression()))
        }
        return entries
    }

    /// Property names that are no names in a rule are written in another way: `a__dash__b` is `a-b`.
    private static func unescaped(_ name: String) -> String {
        guard name.utf8.contains(UInt8(ascii: "_")), name.contains("__") else { return name }
        let keywords = [
            "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
            "import", "let",
            "loop", "package", "namespace", "return",
        ]
        for keyword in keywords where name == "__\(keyword)__" { return keyword }
        var result = ""
        var rest = Substring(name)
        let escapes = [("__underscores__", "__"), ("__dot__", "."), ("__dash__", "-"), ("__slash__", "/")]
        outer: while let first = rest.first {
            for (escape, text) in escapes where rest.hasPrefix(escape) {
                result += text
                rest = rest.dropFirst(escape.count)
                continue outer
            }
            result.append(first)
            rest = rest.dropFirst()
        }
        return result
    }
}
