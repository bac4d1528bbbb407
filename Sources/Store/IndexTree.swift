/// The keys in order: a B+tree whose nodes never change. A write copies the nodes on its path and shares the rest, so a
/// copy of this value is a snapshot, made by copying one reference. Values are not copied.
struct IndexTree: Sendable {
    private(set) var root: IndexNode?

    init() {}

    /// A tree of entries that are sorted and have distinct keys.
    init(sorted entries: [Entry]) {
        var level: [IndexNode] = []
        var start = 0
        while start < entries.count {
            let end = min(start + IndexNode.fill, entries.count)
            level.append(IndexNode(entries: Array(entries[start..<end])))
            start = end
        }
        while level.count > 1 {
            level = stride(from: 0, to: level.count, by: IndexNode.fill).map { start in
                IndexNode(children: Array(level[start..<min(start + IndexNode.fill, level.count)]))
            }
        }
        root = level.first
    }

    var count: Int { root?.count ?? 0 }

    func get(_ key: StoreKey) -> Entry? {
        var node = root
        while let current = node {
            if current.isLeaf {
                let index = current.lowerBound(key.bytes)
                guard index < current.entries.count, current.entries[index].key == key else { return nil }
                return current.entries[index]
            }
            node = current.children[current.childIndex(for: key.bytes)]
        }
        return nil
    }

    mutating func insert(_ entry: Entry) {
        guard let root else {
            self.root = IndexNode(entries: [entry])
            return
        }
        let (left, right) = root.inserting(entry)
        self.root = right.map { IndexNode(children: [left, $0]) } ?? left
    }

    mutating func remove(_ key: StoreKey) {
        var next = root?.removing(key)
        while let node = next, !node.isLeaf, node.children.count == 1 { next = node.children[0] }
        root = next
    }

    /// The entries whose keys begin with `prefix` and sort after `after`, at most `limit` of them.
    func list(prefix: [UInt8], after: StoreKey?, limit: Int?) -> [Entry] {
        var result: [Entry] = []
        guard let root, limit != 0 else { return result }
        let low = after.map { StoreKey.order($0.bytes, prefix) >= 0 ? $0.bytes : prefix } ?? prefix
        let end = Self.end(of: prefix)
        result.reserveCapacity(min(limit ?? .max, root.rank(end) - root.rank(low)))
        root.collect(from: low, excluding: after, before: end, limit: limit ?? .max, into: &result)
        return result
    }

    func count(prefix: [UInt8], after: StoreKey?) -> Int {
        guard let root else { return 0 }
        var first = root.rank(prefix)
        if let after { first = max(first, root.rank(after.bytes) + (get(after) == nil ? 0 : 1)) }
        return max(0, root.rank(Self.end(of: prefix)) - first)
    }

    /// The first key after every key that begins with `prefix`; `nil` when there is none.
    static func end(of prefix: [UInt8]) -> [UInt8]? {
        guard let last = prefix.lastIndex(where: { $0 != 0xFF }) else { return nil }
        var end = Array(prefix[...last])
        end[last] += 1
        return end
    }
}

/// One node, immutable: a leaf with entries or an inner node with children.
final class IndexNode: Sendable {
    static let capacity = 64
    /// How full a bulk load makes nodes, so that the first writes do not split everything.
    static let fill = 48

    let entries: [Entry]
    let children: [IndexNode]
    /// The smallest key below this node.
    let low: [UInt8]
    /// Entries below this node.
    let count: Int

    var isLeaf: Bool { children.isEmpty }

    init(entries: [Entry]) {
        self.entries = entries
        self.children = []
        self.low = entries.first?.key.bytes ?? []
        self.count = entries.count
    }

    init(children: [IndexNode]) {
        self.entries = []
        self.children = children
        self.low = children.first?.low ?? []
        self.count = children.reduce(0) { $0 + $1.count }
    }

    /// The first entry of a leaf whose key is not below `key`.
    func lowerBound(_ key: [UInt8]) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if StoreKey.order(entries[middle].key.bytes, key) < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The child that holds `key` if any does.
    func childIndex(for key: [UInt8]) -> Int {
        var low = 1
        var high = children.count
        while low < high {
            let middle = (low + high) / 2
            if StoreKey.order(children[middle].low, key) <= 0 { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }

    func inserting(_ entry: Entry) -> (IndexNode, IndexNode?) {
        if isLeaf {
            var entries = self.entries
            let index = lowerBound(entry.key.bytes)
            if index < entries.count, entries[index].key == entry.key {
                entries[index] = entry
                return (IndexNode(entries: entries), nil)
            }
            entries.insert(entry, at: index)
            if entries.count <= Self.capacity { return (IndexNode(entries: entries), nil) }
            let middle = Self.split(entries.count, insertedAt: index)
            return (IndexNode(entries: Array(entries[..<middle])), IndexNode(entries: Array(entries[middle...])))
        }
        var children = self.children
        let index = childIndex(for: entry.key.bytes)
        let (left, right) = children[index].inserting(entry)
        children[index] = left
        guard let right else { return (IndexNode(children: children), nil) }
        children.insert(right, at: index + 1)
        if children.count <= Self.capacity { return (IndexNode(children: children), nil) }
        let middle = Self.split(children.count, insertedAt: index + 1)
        return (IndexNode(children: Array(children[..<middle])), IndexNode(children: Array(children[middle...])))
    }

    /// Keys often arrive in order: a node that overflows at its end stays nearly full.
    private static func split(_ count: Int, insertedAt index: Int) -> Int {
        index == count - 1 ? count - count / 8 : count / 2
    }

    /// The node without `key`; `nil` when nothing is left of it. The same node when the key is not there.
    func removing(_ key: StoreKey) -> IndexNode? {
        if isLeaf {
            let index = lowerBound(key.bytes)
            guard index < entries.count, entries[index].key == key else { return self }
            if entries.count == 1 { return nil }
            var entries = self.entries
            entries.remove(at: index)
            return IndexNode(entries: entries)
        }
        let index = childIndex(for: key.bytes)
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
        return IndexNode(children: children)
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

    /// How many entries sort before `key`; all of them for `nil`.
    func rank(_ key: [UInt8]?) -> Int {
        guard let key else { return count }
        if isLeaf { return lowerBound(key) }
        let index = childIndex(for: key)
        return children[..<index].reduce(0) { $0 + $1.count } + children[index].rank(key)
    }

    /// Appends entries from `low` on, without `excluded`, until `end` or `limit`.
    func collect(
        from low: [UInt8], excluding excluded: StoreKey?, before end: [UInt8]?, limit: Int, into result: inout [Entry]
    ) {
        if isLeaf {
            for index in lowerBound(low)..<entries.count where result.count < limit {
                let entry = entries[index]
                if let end, StoreKey.order(entry.key.bytes, end) >= 0 { return }
                if let excluded, entry.key == excluded { continue }
                result.append(entry)
            }
            return
        }
        for index in childIndex(for: low)..<children.count where result.count < limit {
            if let end, StoreKey.order(children[index].low, end) >= 0 { return }
            children[index].collect(from: low, excluding: excluded, before: end, limit: limit, into: &result)
        }
    }
}
