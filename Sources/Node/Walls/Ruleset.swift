/// One table of the machine's packet filter (nftables), as data: sets and maps with their elements, chains with their
/// rules. From two of them follows the text that turns the one into the other in one step, so that a pod's coming is an
/// element and not a reload. Pure; every name and element in it was made by `WallsComputation` and needs no escape.
package struct Ruleset: Sendable, Equatable {
    /// A set, or a map where `type` has a colon. Without elements of its own where they come at run time.
    package struct Set: Sendable, Equatable {
        package var type: String
        package var flags = ""
        /// Value by key; the value of a set's element is empty.
        package var elements: [String: String] = [:]

        var isMap: Bool { type.utf8.contains(UInt8(ascii: ":")) }
        var declaration: String { "type \(type);" + (flags.isEmpty ? "" : " flags \(flags);") }
    }

    package struct Chain: Sendable, Equatable {
        /// Where the kernel enters it; empty for one that others jump to.
        package var hook = ""
        package var rules: [String] = []
    }

    package var table: String
    package var sets: [String: Set] = [:]
    package var chains: [String: Chain] = [:]

    package init(table: String) { self.table = table }

    /// Puts this in the place of whatever has the table's name.
    package var text: String {
        "add table inet \(table)\ndelete table inet \(table)\nadd table inet \(table)\n"
            + changes(from: Ruleset(table: table))
    }

    /// What to tell `nft` where the kernel has `old`; empty where nothing differs. Nothing is named before it is there,
    /// and nothing goes while it is named: first what is new, then elements and rules, last what has gone.
    package func changes(from old: Ruleset) -> String {
        var lines: [String] = []
        let kept = sets.filter { old.sets[$0.key].map { [$0.type, $0.flags] } == [$0.value.type, $0.value.flags] }
        let goneSets = old.sets.filter { kept[$0.key] == nil }
        let keptChains = chains.filter { old.chains[$0.key]?.hook == $0.value.hook }
        let goneChains = old.chains.filter { keptChains[$0.key] == nil }
        precondition(
            goneSets.keys.allSatisfy { sets[$0] == nil } && goneChains.keys.allSatisfy { chains[$0] == nil },
            "a set or chain of table \(table) changed its type")
        for (name, set) in sets.inOrder where kept[name] == nil {
            lines.append("add \(set.isMap ? "map" : "set") inet \(table) \(name) { \(set.declaration) }")
        }
        for (name, chain) in chains.inOrder where keptChains[name] == nil {
            lines.append("add chain inet \(table) \(name)" + (chain.hook.isEmpty ? "" : " { \(chain.hook) }"))
        }
        for (name, set) in kept.inOrder {
            let before = old.sets[name]?.elements ?? [:]
            let gone = before.filter { set.elements[$0.key] != $0.value }.keys.sorted()
            lines += Self.elements("delete", table, name, gone)
        }
        for (name, chain) in chains.inOrder where old.chains[name] != chain {
            if keptChains[name] != nil { lines.append("flush chain inet \(table) \(name)") }
            for rule in chain.rules { lines.append("add rule inet \(table) \(name) \(rule)") }
        }
        for (name, set) in sets.inOrder {
            let before = kept[name].flatMap { _ in old.sets[name]?.elements } ?? [:]
            let new = set.elements.filter { before[$0.key] != $0.value }.sorted { $0.key < $1.key }
            lines += Self.elements("add", table, name, new.map { set.isMap ? "\($0.key) : \($0.value)" : $0.key })
        }
        for (name, _) in goneChains.inOrder { lines.append("flush chain inet \(table) \(name)") }
        // Maps name chains, chains name sets.
        for (name, set) in goneSets.inOrder where set.isMap { lines.append("delete map inet \(table) \(name)") }
        for (name, _) in goneChains.inOrder { lines.append("delete chain inet \(table) \(name)") }
        for (name, set) in goneSets.inOrder where !set.isMap { lines.append("delete set inet \(table) \(name)") }
        return lines.isEmpty ? "" : lines.joined(separator: "\n") + "\n"
    }

    private static func elements(_ verb: String, _ table: String, _ name: String, _ elements: [String]) -> [String] {
        // Lines of a bounded length: an element list is parsed recursively.
        stride(from: 0, to: elements.count, by: 1000).map { start in
            let part = elements[start..<min(start + 1000, elements.count)]
            return "\(verb) element inet \(table) \(name) { \(part.joined(separator: ", ")) }"
        }
    }
}

extension Dictionary where Key == String {
    fileprivate var inOrder: [(key: String, value: Value)] { sorted { $0.key < $1.key } }
}
