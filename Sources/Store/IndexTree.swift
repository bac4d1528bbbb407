/// The keys in order: a B+tree. A copy of this value is a snapshot, made by copying one reference: a write changes in
/// place what no copy shares, and copies the nodes on its path that one does. Values are not copied.
struct IndexTree: Sendable {
    private(set) var root: IndexNode?

    init() {}

    /// A tree of entries that are sorted and have distinct keys.
    init(sorted entries: [Entry]) {
        var level: [IndexNode] = []
        level.reserveCapacity(entries.count / IndexNode.fill + 1)
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
        key.bytes.withUnsafeBytes { key in
            var node = root
            while let current = node {
                if current.isLeaf {
                    let index = current.lowerBound(key)
                    guard index < current.entries.count, current.entries[index].order(key) == 0 else { return nil }
                    return current.entries[index]
                }
                node = current.children[current.childIndex(for: key)]
            }
            return nil
        }
    }

    mutating func insert(_ entry: Entry) {
        guard var node = root else {
            root = IndexNode(entries: [entry])
            return
        }
        root = nil  // so that `node` is the only reference, if no snapshot has one
        let right = entry.withKey { IndexNode.insert(entry, $0, into: &node) }
        root = right.map { IndexNode(children: [node, $0]) } ?? node
    }

    mutating func remove(_ key: StoreKey) {
        guard get(key) != nil, var node = root else { return }
        root = nil
        if key.bytes.withUnsafeBytes({ IndexNode.remove($0, from: &node) }) { return }
        while !node.isLeaf, node.children.count == 1 { node = node.children[0] }
        root = node
    }

    /// Does what a revision did.
    mutating func apply(_ revision: RevisionChanges) {
        for change in revision.changes {
            if let entry = change.entry { insert(entry) } else { remove(change.key) }
        }
    }

    /// Takes back what a revision did.
    mutating func undo(_ revision: RevisionChanges) {
        for change in revision.changes.reversed() {
            if let previous = change.previousEntry { insert(previous) } else { remove(change.key) }
        }
    }

    /// The entries whose keys begin with `prefix` and sort after `after`, at most `limit` of them.
    func list(prefix: [UInt8], after: StoreKey?, limit: Int?) -> [Entry] {
        var result: [Entry] = []
        guard let root, limit != 0 else { return result }
        var low = prefix
        if let after, !(after < StoreKey(bytes: prefix)) { low = after.bytes }
        let end = Self.end(of: prefix)
        result.reserveCapacity(min(limit ?? .max, Self.rank(root, end) - Self.rank(root, low)))
        let collect = { (end: UnsafeRawBufferPointer?) in
            low.withUnsafeBytes { low in
                root.collect(
                    IndexNode.Range(low: low, excludesLow: after != nil, end: end, limit: limit ?? .max), into: &result)
            }
        }
        if let end { end.withUnsafeBytes { collect($0) } } else { collect(nil) }
        return result
    }

    func count(prefix: [UInt8], after: StoreKey?) -> Int {
        guard let root else { return 0 }
        var first = Self.rank(root, prefix)
        if let after { first = max(first, Self.rank(root, after.bytes) + (get(after) == nil ? 0 : 1)) }
        return max(0, Self.rank(root, Self.end(of: prefix)) - first)
    }

    /// Gives `body` every entry, in order.
    func forEach(_ body: (Entry) -> Void) { root?.forEach(body) }

    /// How many entries sort before `key`; all of them for `nil`.
    private static func rank(_ root: IndexNode, _ key: [UInt8]?) -> Int {
        key?.withUnsafeBytes { root.rank($0) } ?? root.count
    }

    /// The first key after every key that begins with `prefix`; `nil` when there is none.
    static func end(of prefix: [UInt8]) -> [UInt8]? {
        guard let last = prefix.lastIndex(where: { $0 != 0xFF }) else { return nil }
        var end = Array(prefix[...last])
        end[last] += 1
        return end
    }
}
