/// The whole keyspace as it was at one revision. Made in constant time, never changes, and may be kept.
package struct Snapshot: Sendable {
    package let revision: Revision
    let tree: IndexTree

    package func get(_ key: StoreKey) -> Entry? { tree.get(key) }

    /// Entries in the order of their keys. `after` continues a list behind the last key of the page before.
    package func list(prefix: [UInt8], after: StoreKey? = nil, limit: Int? = nil) -> [Entry] {
        tree.list(prefix: prefix, after: after, limit: limit)
    }

    /// How many keys begin with `prefix`, without visiting them.
    package func count(prefix: [UInt8]) -> Int { tree.count(prefix: prefix, after: nil) }

    /// How many of them sort behind `after`: what follows a page.
    package func count(prefix: [UInt8], after: StoreKey) -> Int { tree.count(prefix: prefix, after: after) }
}
