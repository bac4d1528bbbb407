/// Which documents a list, a watch or a Service means, by their labels. All requirements must hold; without any,
/// every document matches.
package struct LabelSelector: Sendable, Hashable, CustomStringConvertible {
    package enum Operator: Sendable, Hashable {
        case isIn, isNotIn, exists, doesNotExist, isGreater, isLess
    }

    /// One condition on one label.
    package struct Requirement: Sendable, Hashable {
        package let key: String
        package let operation: Operator
        /// In the order of their bytes. Empty for `exists` and `doesNotExist`, one number for `isGreater` and `isLess`.
        package let values: [String]

        package init(_ key: String, _ operation: Operator, _ values: [String] = []) {
            self.key = key
            self.operation = operation
            self.values = values.sorted()
        }
    }

    package let requirements: [Requirement]
    /// A selector that is absent (`null`) matches nothing, unlike one that is empty.
    package let matchesNothing: Bool

    package static let everything = LabelSelector([])
    package static let nothing = LabelSelector([], matchesNothing: true)

    package init(_ requirements: [Requirement], matchesNothing: Bool = false) {
        self.requirements = requirements.sorted { $0.key < $1.key }
        self.matchesNothing = matchesNothing
    }

    /// The plain map form, as in a Service's `spec.selector`.
    package init(matchLabels: [String: String]) {
        self.init(matchLabels.map { Requirement($0.key, .isIn, [$0.value]) })
    }

    package var isEmpty: Bool { requirements.isEmpty && !matchesNothing }

    package func matches(_ labels: [String: String]) -> Bool {
        !matchesNothing && requirements.allSatisfy { $0.matches(labels[$0.key]) }
    }

    /// The text form, which `init(parsing:)` reads back.
    package var description: String { requirements.map(\.description).joined(separator: ",") }
}

extension LabelSelector.Requirement: CustomStringConvertible {
    /// Whether a document whose label `key` is `value` meets the requirement; `nil` where it has no such label.
    package func matches(_ value: String?) -> Bool {
        switch operation {
        case .isIn: value.map(values.contains) ?? false
        case .isNotIn: value.map { !values.contains($0) } ?? true
        case .exists: value != nil
        case .doesNotExist: value == nil
        case .isGreater: compare(value, >)
        case .isLess: compare(value, <)
        }
    }

    private func compare(_ value: String?, _ holds: (Int64, Int64) -> Bool) -> Bool {
        guard let value, let number = Int64(value), let bound = values.first.flatMap({ Int64($0) }) else {
            return false
        }
        return holds(number, bound)
    }

    package var description: String {
        switch operation {
        case .isIn where values.count == 1: "\(key)=\(values[0])"
        case .isIn: "\(key) in (\(values.joined(separator: ",")))"
        case .isNotIn where values.count == 1: "\(key)!=\(values[0])"
        case .isNotIn: "\(key) notin (\(values.joined(separator: ",")))"
        case .exists: key
        case .doesNotExist: "!\(key)"
        case .isGreater: "\(key)>\(values.first ?? "")"
        case .isLess: "\(key)<\(values.first ?? "")"
        }
    }
}

extension LabelSelector {
    /// The `metav1.LabelSelector` form: `matchLabels` and `matchExpressions`. `null` matches nothing, `{}` everything.
    package init(json: JSON) throws(APIError) {
        guard !json.isNull else {
            self = .nothing
            return
        }
        var requirements: [Requirement] = []
        for member in json["matchLabels"]?.objectValue?.members ?? [] {
            requirements.append(Requirement(member.key, .isIn, [member.value.stringValue ?? ""]))
        }
        for (position, expression) in (json["matchExpressions"]?.arrayValue ?? []).enumerated() {
            let key = expression["key"]?.stringValue ?? ""
            let values = (expression["values"]?.arrayValue ?? []).compactMap(\.stringValue)
            let text = expression["operator"]?.stringValue ?? ""
            guard let operation = Self.operators.first(where: { $0.0 == text })?.1 else {
                throw .badRequest(
                    "matchExpressions[\(position)].operator: expected In, NotIn, Exists or DoesNotExist, "
                        + "found \"\(text)\""
                )
            }
            let wantsValues = operation == .isIn || operation == .isNotIn
            if wantsValues == values.isEmpty {
                let expected = wantsValues ? "at least one value for \(text)" : "no values for \(text)"
                throw .badRequest("matchExpressions[\(position)].values: expected \(expected), found \(values.count)")
            }
            requirements.append(Requirement(key, operation, values))
        }
        self.init(requirements)
    }

    private static let operators: [(String, Operator)] = [
        ("In", .isIn), ("NotIn", .isNotIn), ("Exists", .exists), ("DoesNotExist", .doesNotExist),
    ]
}
