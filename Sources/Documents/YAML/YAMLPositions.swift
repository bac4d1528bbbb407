/// Where each field of a YAML stream stands. Kept flat, in the order of the stream: a field's fields follow it.
struct YAMLPositions: Sendable {
    enum Step: Equatable, Sendable {
        case key(String)
        case index(Int)
    }

    private struct Field: Sendable {
        let parent: Int
        let step: Step
        let line: Int
        let column: Int
    }

    private var fields: [Field] = []

    /// Notes a field below the field `parent` (-1 for a document) and returns its number.
    mutating func add(_ step: Step, below parent: Int, _ position: YAMLEvents.Position) -> Int {
        fields.append(Field(parent: parent, step: step, line: position.line, column: position.column))
        return fields.count - 1
    }

    func position(of field: Int) -> (line: Int, column: Int) { (fields[field].line, fields[field].column) }

    /// The field that `step` leads to from `parent`; of two, the later.
    func child(_ step: Step, of parent: Int) -> Int? {
        var found: Int?
        for number in fields.indices.dropFirst(parent + 1) {
            // A field that is not below `parent` ends what is below it: its parent comes before.
            if fields[number].parent < parent { break }
            if fields[number].parent == parent, fields[number].step == step { found = number }
        }
        return found
    }

    /// The steps of a path such as `spec.rules[0].labels[app.kubernetes.io/name]`.
    static func steps(of path: String) -> [Step] {
        var steps: [Step] = []
        var scanner = TextScanner(path)
        while !scanner.isAtEnd {
            if scanner.take("[") {
                let text = scanner.take { $0 != UInt8(ascii: "]") }
                _ = scanner.take("]")
                steps.append(Int(text).map(Step.index) ?? .key(text.trimmingQuotes))
            } else if !scanner.take(".") {
                steps.append(.key(scanner.take { $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "[") }))
            }
        }
        return steps
    }
}

extension String {
    fileprivate var trimmingQuotes: String {
        utf8.count >= 2 && utf8.first == UInt8(ascii: "\"") && utf8.last == UInt8(ascii: "\"")
            ? String(dropFirst().dropLast()) : self
    }
}
