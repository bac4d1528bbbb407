internal import Client
package import ControlLoop
internal import Documents

/// Which loops run, in the words of kube-controller-manager's `--controllers`: names with commas between them, each the
/// plural of the kind the loop looks after; `*` for all, `-name` to leave one out, `none` for none.
package struct LoopSelection: Sendable, Equatable {
    private let hasAll: Bool
    private let named: Set<String>
    private let excluded: Set<String>

    package static let all = LoopSelection(hasAll: true)
    package static let none = LoopSelection(hasAll: false)
    /// The loops of our own kinds: where something else looks after Deployments and Services.
    package static let ownKinds = LoopSelection(
        hasAll: false, named: Set(known.filter { $0.group == Kinds.landscape.resource.group }.map(\.name)))

    private init(hasAll: Bool, named: Set<String> = [], excluded: Set<String> = []) {
        self.hasAll = hasAll
        self.named = named
        self.excluded = excluded
    }

    /// A name that no loop has, with those that loops have.
    package struct Unknown: Error, CustomStringConvertible {
        package let name: String
        package var description: String {
            "expected *, none or names of \(LoopSelection.names.joined(separator: ", ")), found \"\(name)\""
        }
    }

    /// Reads a selection, as in `*,-deployments`.
    package init(_ text: String) throws(Unknown) {
        var (hasAll, named, excluded) = (false, Set<String>(), Set<String>())
        for word in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) where word != "none" {
            if word == "*" || word == "all" {
                hasAll = true
                continue
            }
            let name = word.hasPrefix("-") ? String(word.dropFirst()) : word
            if !Self.names.contains(name) { throw Unknown(name: word) }
            if word.hasPrefix("-") { excluded.insert(name) } else { named.insert(name) }
        }
        self.init(hasAll: hasAll, named: named, excluded: excluded)
    }

    package static var names: [String] { known.map(\.name) }

    private static let known: [(name: String, group: String)] = Loops.reconcilers(
        LoopSettings(secretKey: [], publicPort: 0)
    ).map { ($0.primary.resource.resource, $0.primary.resource.group) }

    package func contains(_ reconciler: any Reconciler) -> Bool {
        let name = reconciler.primary.resource.resource
        return (hasAll || named.contains(name)) && !excluded.contains(name)
    }
}
