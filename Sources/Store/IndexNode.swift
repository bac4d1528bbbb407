/// One node of an `IndexTree`, immutable: a leaf with entries or an inner node with children. Small, because a write
/// copies and retains what is in the nodes on its path.
final class IndexNode: Sendable {
    static let capacity = 32
    /// How full a bulk load makes nodes, so that the first writes do not split everything.
    static let fill = 24

    let entries: [Entry]
    let children: [IndexNode]
    /// The entry with the smallest key below this node.
    let first: Entry
    /// Entries below this node.
    let count: Int

    var isLeaf: Bool { children.isEmpty }

    /// A leaf; it has at least one entry.
    init(entries: [Entry]) {
        self.entries = entries
        children = []
        first = entries[0]
        count = entries.count
    }

    /// An inner node; it has at least one child. `count` when it is known without asking the children.
    init(children: [IndexNode], count: Int? = nil) {
        entries = []
        self.children = children
        first = children[0].first
        self.count = count ?? children.reduce(0) { $0 + $1.count }
    }

    /// The first entry of a leaf whose key is not below `key`.
    func lowerBound(_ key: UnsafeRawBufferPointer) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].order(key) < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The child that holds `key` if any does.
    func childIndex(for key: UnsafeRawBufferPointer) -> Int {
        var low = 1
        var high = children.count
        while low < high {
            let middle = (low + high) / 2
            if children[middle].first.order(key) <= 0 { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }

    // MARK: Writing

    func inserting(_ entry: Entry, _ key: UnsafeRawBufferPointer) -> (IndexNode, IndexNode?) {
        if isLeaf {
            var entries = self.entries
            let index = lowerBound(key)
            if index < entries.count, entries[index].order(key) == 0 {
                entries[index] = entry
                return (IndexNode(entries: entries), nil)
            }
            entries.insert(entry, at: index)
            if entries.count <= Self.capacity { return (IndexNode(entries: entries), nil) }
            let middle = Self.split(entries.count, insertedAt: index)
            return (IndexNode(entries: Array(entries[..<middle])), IndexNode(entries: Array(entries[middle...])))
        }
        var children = self.children
        let index = childIndex(for: key)
        let before = children[index].count
        let (left, right) = children[index].inserting(entry, key)
        children[index] = left
        let count = self.count - before + left.count + (right?.count ?? 0)
        guard let right else { return (IndexNode(children: children, count: count), nil) }
        children.insert(right, at: index + 1)
        if children.count <= Self.capacity { return (IndexNode(children: children, count: count), nil) }
        let middle = Self.split(children.count, insertedAt: index + 1)
        return (IndexNode(children: Array(children[..<middle])), IndexNode(children: Array(children[middle...])))
    }

    /// Keys often arrive in order: a node that overflows at its end stays nearly full.
    private static func split(_ count: Int, insertedAt index: Int) -> Int {
        index == count - 1 ? count - count / 8 : count / 2
    }

    /// The node without `key`; `nil` when nothing is left of it. The same node when the key is not there.
    func removing(_ key: UnsafeRawBufferPointer) -> IndexNode? {
        if isLeaf {
            let index = lowerBound(key)
            guard index < entries.count, entries[index].order(key) == 0 else { return self }
            if entries.count == 1 { return nil }
            var entries = self.entries
            entries.remove(at: index)
            return IndexNode(entries: entries)
        }
        let index = childIndex(for: key)
        let replacement = children[index].removing(key)
        if replacement === children[index] { return self }
        var children = self.children
        if let replacement {
            children[index] = replacement
            Self.mergeSmall(&children, at: index)
        } else {
            children.remove(at: index)
            if children.isEmpty { return nil }
        }
        return IndexNode(children: children, count: count - 1)
    }

    /// Joins a node that became small with a neighbour when both fit comfortably into one.
    private static func mergeSmall(_ children: inout [IndexNode], at index: Int) {
        let size = { (node: IndexNode) in node.isLeaf ? node.entries.count : node.children.count }
        guard size(children[index]) < capacity / 4, children.count > 1 else { return }
        let left = index > 0 ? index - 1 : index
        let (first, second) = (children[left], children[left + 1])
        guard size(first) + size(second) <= fill else { return }
        children[left] =
            first.isLeaf
            ? IndexNode(entries: first.entries + second.entries) : IndexNode(children: first.children + second.children)
        children.remove(at: left + 1)
    }

    // MARK: Reading

    /// How many entries sort before `key`.
    func rank(_ key: UnsafeRawBufferPointer) -> Int {
        if isLeaf { return lowerBound(key) }
        let index = childIndex(for: key)
        return children[..<index].reduce(0) { $0 + $1.count } + children[index].rank(key)
    }

    func forEach(_ body: (Entry) -> Void) {
        for entry in entries { body(entry) }
        for child in children { child.forEach(body) }
    }

    /// What a list asks for: keys from `low` on, or behind it, before `end`.
    struct Range {
        let low: UnsafeRawBufferPointer
        let excludesLow: Bool
        let end: UnsafeRawBufferPointer?
        let limit: Int
    }

    func collect(_ range: Range, into result: inout [Entry]) {
        if isLeaf {
            for index in lowerBound(range.low)..<entries.count where result.count < range.limit {
                let entry = entries[index]
                if let end = range.end, entry.order(end) >= 0 { return }
                if range.excludesLow, entry.order(range.low) == 0 { continue }
                result.append(entry)
            }
            return
        }
        for index in childIndex(for: range.low)..<children.count where result.count < range.limit {
            if let end = range.end, children[index].first.order(end) >= 0 { return }
            children[index].collect(range, into: &result)
        }
    }
}
