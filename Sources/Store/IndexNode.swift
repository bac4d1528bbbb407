/// One node of an `IndexTree`: a leaf with entries or an inner node with children. Small, because a write copies the
/// nodes on its path that a snapshot shares, and so retains what is in them.
final class IndexNode: @unchecked Sendable {
    // SAFETY: changed only while nobody else has a reference to it, as the elements of an array are.
    static let capacity = 32
    /// How full a bulk load makes nodes, so that the first writes do not split everything.
    static let fill = 24

    private(set) var entries: [Entry]
    private(set) var children: [IndexNode]
    /// The entry with the smallest key below this node.
    private(set) var first: Entry
    /// Entries below this node.
    private(set) var count: Int

    var isLeaf: Bool { children.isEmpty }

    /// A leaf; it has at least one entry.
    init(entries: [Entry]) {
        self.entries = entries
        children = []
        first = entries[0]
        count = entries.count
    }

    /// An inner node; it has at least one child.
    init(children: [IndexNode]) {
        entries = []
        self.children = children
        first = children[0].first
        count = children.reduce(0) { $0 + $1.count }
    }

    private init(copying node: IndexNode) {
        entries = node.entries
        children = node.children
        first = node.first
        count = node.count
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

    /// Puts an entry under its key. Returns what had to be split off behind `node`.
    static func insert(_ entry: Entry, _ key: UnsafeRawBufferPointer, into node: inout IndexNode) -> IndexNode? {
        if !isKnownUniquelyReferenced(&node) { node = IndexNode(copying: node) }
        return node.isLeaf ? node.insertHere(entry, key) : node.insertBelow(entry, key)
    }

    private func insertHere(_ entry: Entry, _ key: UnsafeRawBufferPointer) -> IndexNode? {
        let index = lowerBound(key)
        if index == 0 { first = entry }
        if index < entries.count, entries[index].order(key) == 0 {
            entries[index] = entry
            return nil
        }
        entries.insert(entry, at: index)
        count += 1
        if count <= Self.capacity { return nil }
        let middle = Self.split(count, insertedAt: index)
        let right = IndexNode(entries: Array(entries[middle...]))
        entries.removeLast(right.count)
        count = middle
        return right
    }

    private func insertBelow(_ entry: Entry, _ key: UnsafeRawBufferPointer) -> IndexNode? {
        let index = childIndex(for: key)
        count -= children[index].count
        let split = Self.insert(entry, key, into: &children[index])
        count += children[index].count
        if index == 0 { first = children[0].first }
        guard let split else { return nil }
        children.insert(split, at: index + 1)
        count += split.count
        if children.count <= Self.capacity { return nil }
        let middle = Self.split(children.count, insertedAt: index + 1)
        let right = IndexNode(children: Array(children[middle...]))
        children.removeLast(children.count - middle)
        count -= right.count
        return right
    }

    /// Keys often arrive in order: a node that overflows at its end stays nearly full.
    private static func split(_ count: Int, insertedAt index: Int) -> Int {
        index == count - 1 ? count - count / 8 : count / 2
    }

    /// Removes a key that is there. Returns whether nothing is left of the node, which is of no use then.
    static func remove(_ key: UnsafeRawBufferPointer, from node: inout IndexNode) -> Bool {
        if node.count == 1 { return true }
        if !isKnownUniquelyReferenced(&node) { node = IndexNode(copying: node) }
        node.count -= 1
        if node.isLeaf {
            node.entries.remove(at: node.lowerBound(key))
            node.first = node.entries[0]
            return false
        }
        let index = node.childIndex(for: key)
        if remove(key, from: &node.children[index]) {
            node.children.remove(at: index)
        } else {
            node.mergeSmall(at: index)
        }
        node.first = node.children[0].first
        return false
    }

    /// Joins a child that became small with a neighbour when both fit comfortably into one.
    private func mergeSmall(at index: Int) {
        let size = { (node: IndexNode) in node.isLeaf ? node.entries.count : node.children.count }
        guard size(children[index]) < Self.capacity / 4, children.count > 1 else { return }
        let left = index > 0 ? index - 1 : index
        let (first, second) = (children[left], children[left + 1])
        guard size(first) + size(second) <= Self.fill else { return }
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
