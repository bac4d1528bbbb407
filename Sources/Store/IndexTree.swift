/// The keys in order: a B+tree whose nodes never change. A write copies the nodes on its path and shares the rest, so a
/// copy of this value is a snapshot, made by copying one reference. Values are not copied.
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
        guard let root else {
            self.root = IndexNode(entries: [entry])
            return
        }
        let (left, right) = entry.withKey { root.inserting(entry, $0) }
        self.root = right.map { IndexNode(children: [left, $0]) } ?? left
    }

    mutating func remove(_ key: StoreKey) {
        var next = key.bytes.withUnsafeBytes { root?.removing($0) }
        while let node = next, !node.isLeaf, node.children.count == 1 { next = node.children[0] }
        root = next
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
