/// A path into a document as printer columns, `selectableFields` and the scale subresource write it: kubectl's JSONPath
/// for one value or several. `.spec.replicas`, `.metadata.labels['a/b']`, `.metadata.annotations.a\.b`, `.items[0]`,
/// `[-1]`, `[1:3]`, `[*]`, `.*`, `..name`, `['a','b']`, `[?(@.type=="Ready")].status`; braces and `$` may surround it.
package struct JSONPath: Sendable, Equatable {
    indirect enum Step: Sendable, Equatable {
        case member(String)
        case members([String])
        case every
        case descend
        case index(Int)
        case slice(from: Int?, to: Int?, by: Int)
        case filter(Operand, Comparison?)
    }

    enum Operand: Sendable, Equatable {
        case path([Step])
        case literal(JSON)
    }

    struct Comparison: Sendable, Equatable {
        let sign: Sign
        let operand: Operand
    }

    enum Sign: String, Sendable, CaseIterable {
        case equal = "=="
        case notEqual = "!="
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case less = "<"
        case greater = ">"
    }

    let steps: [Step]
    /// The text it was made from.
    package let text: String

    package init(parsing text: String) throws(APIError) {
        var parser = JSONPathParser(text: text)
        steps = try parser.wholePath()
        self.text = text
    }

    /// Every value the path leads to, in document order; empty where it leads nowhere.
    package func values(in document: JSON) -> [JSON] { Self.values(steps, [document]) }

    /// The member names of a path that has nothing but names; `nil` for any other.
    package var memberNames: [String]? {
        var names: [String] = []
        for step in steps {
            guard case .member(let name) = step else { return nil }
            names.append(name)
        }
        return names
    }

    private static func values(_ steps: [Step], _ start: [JSON]) -> [JSON] {
        var found = start
        for step in steps {
            var next: [JSON] = []
            for value in found { collect(step, value, &next) }
            found = next
            if found.isEmpty { break }
        }
        return found
    }

    private static func collect(_ step: Step, _ value: JSON, _ found: inout [JSON]) {
        switch step {
        case .member(let name):
            if let member = value[name] { found.append(member) }
        case .members(let names):
            for name in names { if let member = value[name] { found.append(member) } }
        case .every: found.append(contentsOf: children(of: value))
        case .descend: descend(value, &found)
        case .index(let index):
            guard let elements = value.arrayValue else { return }
            let position = index < 0 ? elements.count + index : index
            if elements.indices.contains(position) { found.append(elements[position]) }
        case .slice(let from, let to, let by):
            guard let elements = value.arrayValue else { return }
            func bound(_ index: Int) -> Int { min(max(index < 0 ? elements.count + index : index, 0), elements.count) }
            for position in stride(from: bound(from ?? 0), to: bound(to ?? elements.count), by: by) {
                found.append(elements[position])
            }
        case .filter(let left, let comparison):
            found.append(contentsOf: children(of: value).filter { holds(left, comparison, $0) })
        }
    }

    private static func children(of value: JSON) -> [JSON] {
        switch value {
        case .array(let elements): elements
        case .object(let object): object.members.map(\.value)
        default: []
        }
    }

    private static func descend(_ value: JSON, _ found: inout [JSON]) {
        found.append(value)
        for child in children(of: value) { descend(child, &found) }
    }

    private static func holds(_ left: Operand, _ comparison: Comparison?, _ value: JSON) -> Bool {
        guard let comparison else { return !operand(left, value).isEmpty }
        guard let a = operand(left, value).first, let b = operand(comparison.operand, value).first else { return false }
        switch comparison.sign {
        case .equal: return isEqual(a, b)
        case .notEqual: return !isEqual(a, b)
        case .less: return isLess(a, b)
        case .lessOrEqual: return isLess(a, b) || isEqual(a, b)
        case .greater: return isLess(b, a)
        case .greaterOrEqual: return isLess(b, a) || isEqual(a, b)
        }
    }

    private static func operand(_ operand: Operand, _ value: JSON) -> [JSON] {
        switch operand {
        case .path(let steps): values(steps, [value])
        case .literal(let literal): [literal]
        }
    }

    private static func isEqual(_ a: JSON, _ b: JSON) -> Bool {
        if let a = a.doubleValue, let b = b.doubleValue { return a == b }
        return a == b
    }

    private static func isLess(_ a: JSON, _ b: JSON) -> Bool {
        if let a = a.doubleValue, let b = b.doubleValue { return a < b }
        if let a = a.stringValue, let b = b.stringValue { return a.utf8.lexicographicallyPrecedes(b.utf8) }
        return false
    }
}
