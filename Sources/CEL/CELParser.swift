/// Reads a rule in the Common Expression Language. Macros become nodes of their own.
struct CELParser {
    private let lexemes: [CELLexeme]
    private var position = 0
    private var depth = 0
    private var count = 0

    static func parse(_ text: String) throws(CELError) -> CELExpression {
        var parser = CELParser(lexemes: try CELLexer.lexemes(of: text))
        let expression = try parser.expression()
        guard parser.peek == .end else {
            let isOneWord = parser.lexemes[min(parser.position + 1, parser.lexemes.count - 1)].token == .end
            throw parser.unexpected("<EOF>", isOneWord ? "extraneous" : "mismatched")
        }
        return expression
    }

    private init(lexemes: [CELLexeme]) { self.lexemes = lexemes }

    private var lexeme: CELLexeme { lexemes[min(position, lexemes.count - 1)] }
    private var peek: CELToken { lexeme.token }

    private static let operand =
        "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

    private func unexpected(_ expected: String, _ how: String = "mismatched") -> CELError {
        let found =
            switch peek {
            case .name(let text), .symbol(let text): text
            case .string: "a string"
            case .bytes: "bytes"
            case .integer(let value): "\(value)"
            case .unsigned(let value): "\(value)u"
            case .double(let value): "\(value)"
            case .end: "<EOF>"
            }
        return CELError(.syntax, "Syntax error: \(how) input '\(found)' expecting \(expected)", at: lexeme.start)
    }

    /// The offset of the symbol, where it comes next.
    private mutating func take(_ symbol: String) -> Int? {
        if peek != .symbol(symbol) { return nil }
        position += 1
        return lexemes[position - 1].start
    }

    @discardableResult
    private mutating func expect(_ symbol: String) throws(CELError) -> Int {
        guard let offset = take(symbol) else { throw unexpected("'\(symbol)'") }
        return offset
    }

    private mutating func node(_ offset: Int, _ form: CELExpression.Form) throws(CELError) -> CELExpression {
        let node = CELExpression(id: count, offset: offset, form)
        count += 1
        if node.height > CELLimits.expressionDepth {
            throw CELError(.syntax, "max recursion depth exceeded", at: offset)
        }
        return node
    }

    // MARK: - Operators, the loosest first

    private mutating func expression() throws(CELError) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        if depth > CELLimits.expressionDepth {
            throw CELError(.syntax, "max recursion depth exceeded", at: lexeme.start)
        }
        let condition = try disjunction()
        guard let offset = take("?") else { return condition }
        let left = try disjunction()
        try expect(":")
        return try node(offset, .choice(condition, left, try expression()))
    }

    private mutating func disjunction() throws(CELError) -> CELExpression {
        var terms = [try conjunction()]
        var offsets: [Int] = []
        while let offset = take("||") {
            offsets.append(offset)
            terms.append(try conjunction())
        }
        return try balanced(terms[...], offsets[...]) { .or($0, $1) }
    }

    private mutating func conjunction() throws(CELError) -> CELExpression {
        var terms = [try relation()]
        var offsets: [Int] = []
        while let offset = take("&&") {
            offsets.append(offset)
            terms.append(try relation())
        }
        return try balanced(terms[...], offsets[...]) { .and($0, $1) }
    }

    /// A long chain of `&&` or `||` as a tree that is not deep.
    private mutating func balanced(
        _ terms: ArraySlice<CELExpression>, _ offsets: ArraySlice<Int>,
        _ join: (CELExpression, CELExpression) -> CELExpression.Form
    ) throws(CELError) -> CELExpression {
        if terms.count == 1 { return terms[terms.startIndex] }
        let middle = offsets.startIndex + offsets.count / 2
        let split = terms.startIndex + offsets.count / 2 + 1
        let left = try balanced(terms[..<split], offsets[..<middle], join)
        let right = try balanced(terms[split...], offsets[(middle + 1)...], join)
        return try node(offsets[middle], join(left, right))
    }

    private mutating func relation() throws(CELError) -> CELExpression {
        var left = try sum()
        while true {
            var symbol: (String, Int)?
            for candidate in ["==", "!=", "<=", ">=", "<", ">"] {
                guard let offset = take(candidate) else { continue }
                symbol = (candidate, offset)
                break
            }
            if symbol == nil, peek == .name("in") {
                symbol = ("in", lexeme.start)
                position += 1
            }
            guard let (symbol, offset) = symbol else { return left }
            left = try node(offset, .binary(symbol, left, try sum()))
        }
    }

    private mutating func sum() throws(CELError) -> CELExpression {
        var left = try product()
        while true {
            if let offset = take("+") {
                left = try node(offset, .binary("+", left, try product()))
            } else if let offset = take("-") {
                left = try node(offset, .binary("-", left, try product()))
            } else {
                return left
            }
        }
    }

    private mutating func product() throws(CELError) -> CELExpression {
        var left = try unary()
        outer: while true {
            for symbol in ["*", "/", "%"] {
                guard let offset = take(symbol) else { continue }
                left = try node(offset, .binary(symbol, left, try unary()))
                continue outer
            }
            return left
        }
    }

    /// Signs and negations; two of a kind are none.
    private mutating func unary() throws(CELError) -> CELExpression {
        if let offset = take("!") {
            var isOdd = true
            while take("!") != nil { isOdd.toggle() }
            let operand = try suffixes(try primary())
            return isOdd ? try node(offset, .not(operand)) : operand
        }
        guard let offset = take("-") else { return try suffixes(try primary()) }
        var isOdd = true
        while take("-") != nil { isOdd.toggle() }
        guard isOdd else { return try suffixes(try primary()) }
        switch peek {
        case .integer(let value):
            position += 1
            return try suffixes(try node(offset, .literal(.integer(value == 1 << 63 ? .min : -Int64(value)))))
        case .double(let value):
            position += 1
            return try suffixes(try node(offset, .literal(.double(-value))))
        default: return try node(offset, .negate(try suffixes(try primary())))
        }
    }

    // MARK: - Places and calls

    private mutating func suffixes(_ start: CELExpression) throws(CELError) -> CELExpression {
        var operand = start
        while true {
            if let offset = take(".") {
                let isOptional = take("?") != nil
                guard case .name(let field) = peek, !["in", "true", "false", "null"].contains(field) else {
                    throw unexpected("IDENTIFIER")
                }
                position += 1
                if !isOptional, let open = take("(") {
                    operand = try method(field, on: operand, at: open)
                } else {
                    operand = try member(field, of: operand, isOptional: isOptional, at: offset)
                }
            } else if let offset = take("[") {
                let isOptional = take("?") != nil
                let key = try expression()
                try expect("]")
                operand = try node(offset, .index(operand, key, isOptional: isOptional))
            } else {
                return operand
            }
        }
    }

    private mutating func member(
        _ field: String, of operand: CELExpression, isOptional: Bool, at offset: Int
    ) throws(CELError) -> CELExpression {
        if !isOptional, let prefix = operand.qualifiedName, CELType.qualifiedNames["\(prefix).\(field)"] != nil {
            return try node(offset, .name("\(prefix).\(field)"))
        }
        return try node(offset, .member(operand, field, isOptional: isOptional))
    }

    private mutating func primary() throws(CELError) -> CELExpression {
        let start = lexeme.start
        switch peek {
        case .string(let text): return try literal(.string(text))
        case .bytes(let bytes): return try literal(.bytes(bytes))
        case .integer(let value):
            guard let number = Int64(exactly: value) else {
                throw CELError(.syntax, "invalid int literal", at: start)
            }
            return try literal(.integer(number))
        case .unsigned(let value): return try literal(.unsigned(value))
        case .double(let value): return try literal(.double(value))
        case .name(let name):
            position += 1
            return try named(name, at: start)
        case .symbol("("):
            position += 1
            let inner = try expression()
            try expect(")")
            return inner
        case .symbol("["):
            position += 1
            return try node(start, .list(try items()))
        case .symbol("{"):
            position += 1
            return try node(start, .map(try entries()))
        case .symbol("."):
            position += 1
            guard case .name(let name) = peek else { throw unexpected("IDENTIFIER") }
            position += 1
            return try named(name, at: lexemes[position - 1].start)
        default: throw unexpected(Self.operand)
        }
    }

    private mutating func literal(_ value: CELValue) throws(CELError) -> CELExpression {
        let start = lexeme.start
        position += 1
        return try node(start, .literal(value))
    }

    /// Words that are no names.
    static let reserved: Set<String> = [
        "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
        "package", "namespace", "null", "return", "true", "var", "void", "while",
    ]

    private mutating func named(_ name: String, at start: Int) throws(CELError) -> CELExpression {
        switch name {
        case "true": return try node(start, .literal(.bool(true)))
        case "false": return try node(start, .literal(.bool(false)))
        case "null": return try node(start, .literal(.null))
        case "in":
            position -= 1
            throw unexpected(Self.operand)
        default: break
        }
        if Self.reserved.contains(name) { throw CELError(.syntax, "reserved identifier: \(name)", at: start) }
        guard let open = take("(") else { return try node(start, .name(name)) }
        let arguments = try arguments()
        if name == "has", arguments.count == 1 {
            guard case .member(let operand, let field, false) = arguments[0].form else {
                throw CELError(.syntax, "invalid argument to has() macro", at: arguments[0].offset)
            }
            return try node(open, .has(operand, field))
        }
        return try node(open, .call(name, target: nil, arguments: arguments))
    }

    private mutating func method(
        _ name: String, on target: CELExpression, at offset: Int
    ) throws(CELError) -> CELExpression {
        let arguments = try arguments()
        if let library = target.qualifiedName.map({ "\($0).\(name)" }), CELDeclarations.functions[library] != nil {
            return try node(offset, .call(library, target: nil, arguments: arguments))
        }
        if let form = try CELMacro.form(name, target, arguments) { return try node(offset, form) }
        return try node(offset, .call(name, target: target, arguments: arguments))
    }

    // MARK: - Lists of things

    private mutating func arguments() throws(CELError) -> [CELExpression] {
        var arguments: [CELExpression] = []
        while take(")") == nil {
            if !arguments.isEmpty { try expect(",") }
            arguments.append(try expression())
        }
        return arguments
    }

    private mutating func items() throws(CELError) -> [CELExpression.Item] {
        var items: [CELExpression.Item] = []
        while take("]") == nil {
            if !items.isEmpty {
                try expect(",")
                if take("]") != nil { break }
            }
            let isOptional = take("?") != nil
            items.append(CELExpression.Item(value: try expression(), isOptional: isOptional))
        }
        return items
    }

    private mutating func entries() throws(CELError) -> [CELExpression.Entry] {
        var entries: [CELExpression.Entry] = []
        while take("}") == nil {
            if !entries.isEmpty {
                try expect(",")
                if take("}") != nil { break }
            }
            let isOptional = take("?") != nil
            let key = try expression()
            try expect(":")
            entries.append(CELExpression.Entry(key: key, value: try expression(), isOptional: isOptional))
        }
        return entries
    }
}
