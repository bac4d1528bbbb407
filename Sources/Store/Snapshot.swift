/// The whole keyspace as it was at one revision. Made in constant time, never changes, and may be kept.
package struct Snapshot: Sendable {
    package private(set) var revision: Revision
    private(set) var tree: IndexTree

    init(revision: Revision, tree: IndexTree) {
        self.revision = revision
        self.tree = tree
    }

    /// Goes on by one revision.
    mutating func apply(_ changes: RevisionChanges) {
        revision = changes.revision
        tree.apply(changes)
    }

    /// Goes back over revisions, given in order, the last being this snapshot's.
    mutating func undo(_ revisions: [RevisionChanges]) {
        for changes in revisions.reversed() {
            tree.undo(changes)
            revision = Revision(rawValue: changes.revision.rawValue - 1)
        }
    }

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
