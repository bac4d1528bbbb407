/// The calls that bind names to the parts of what they are made on.
enum CELMacro {
    private typealias Fold = CELExpression.Fold

    /// `nil` where the call is no macro.
    static func form(
        _ name: String, _ target: CELExpression, _ arguments: [CELExpression]
    ) throws(CELError) -> CELExpression.Form? {
        switch (name, arguments.count) {
        case ("all", 2), ("all", 3): return try fold(.all, target, arguments, isPredicate: true)
        case ("exists", 2), ("exists", 3): return try fold(.exists, target, arguments, isPredicate: true)
        case ("exists_one", 2), ("exists_one", 3), ("existsOne", 2), ("existsOne", 3):
            return try fold(.existsOne, target, arguments, isPredicate: true)
        case ("filter", 2): return try fold(.filter, target, arguments, isPredicate: true)
        case ("map", 2), ("map", 3): return try fold(.map, target, arguments, names: 1)
        case ("transformList", 3), ("transformList", 4): return try fold(.map, target, arguments, names: 2)
        case ("transformMap", 3), ("transformMap", 4): return try fold(.transformMap, target, arguments, names: 2)
        case ("transformMapEntry", 3), ("transformMapEntry", 4):
            return try fold(.transformMapEntry, target, arguments, names: 2)
        case ("optMap", 2), ("optFlatMap", 2):
            let problem = "\(name)() variable name must be a simple identifier"
            let variable = try self.name(arguments[0], problem)
            return .optionalMap(target, variable: variable, body: arguments[1], isFlat: name == "optFlatMap")
        case ("sortBy", 2):
            let variable = try self.name(arguments[0], "argument is not an identifier")
            return .sorted(target, variable: variable, key: arguments[1])
        default: return nil
        }
    }

    private static func name(_ argument: CELExpression, _ problem: String) throws(CELError) -> String {
        guard case .name(let name) = argument.form else { throw CELError(.syntax, problem, at: argument.offset) }
        if name == "__result__" {
            let problem = "iteration variable overwrites accumulator variable"
            throw CELError(.syntax, problem, at: argument.offset)
        }
        return name
    }

    /// All arguments but the last are names.
    private static func fold(
        _ kind: CELExpression.Fold.Kind, _ range: CELExpression, _ arguments: [CELExpression], isPredicate: Bool
    ) throws(CELError) -> CELExpression.Form {
        let variables = try variables(arguments.dropLast(), kind)
        return .fold(Fold(kind: kind, range: range, variables: variables, predicate: arguments.last, transform: nil))
    }

    /// Names, perhaps a predicate, and the transformation.
    private static func fold(
        _ kind: CELExpression.Fold.Kind, _ range: CELExpression, _ arguments: [CELExpression], names: Int
    ) throws(CELError) -> CELExpression.Form {
        let variables = try variables(arguments.prefix(names), kind)
        let predicate = arguments.count > names + 1 ? arguments[names] : nil
        return .fold(
            Fold(kind: kind, range: range, variables: variables, predicate: predicate, transform: arguments.last))
    }

    private static func variables(
        _ arguments: ArraySlice<CELExpression>, _ kind: CELExpression.Fold.Kind
    ) throws(CELError) -> [String] {
        let isList = arguments.count == 1 && (kind == .map || kind == .filter)
        var names: [String] = []
        for argument in arguments {
            let name = try name(argument, isList ? "argument is not an identifier" : "argument must be a simple name")
            if names.contains(name) {
                throw CELError(.syntax, "duplicate variable name: \(name)", at: argument.offset)
            }
            names.append(name)
        }
        return names
    }
}
