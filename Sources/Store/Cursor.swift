internal import Synchronization

/// A running watch: a position in the one log of changes. A slow reader costs this position and nothing else; when
/// history is compacted past it, reading fails and the reader starts anew from a list. One reader at a time.
package final class Cursor: Sendable {
    private let keyspace: Keyspace
    private let identifier: UInt64

    init(keyspace: Keyspace, identifier: UInt64) {
        self.keyspace = keyspace
        self.identifier = identifier
    }

    deinit { cancel() }

    /// The next changes, in order and always whole revisions; empty when there is nothing to read now. Every change
    /// comes once. Ask again until it is empty, then arm `onChange`.
    package func poll() throws(StoreError) -> [Change] {
        while true {
            let (position, page) = try keyspace.state.withLock { state throws(StoreError) in try state.read(identifier)
            }
            if page.isEmpty { return [] }
            var changes: [Change] = []
            for revision in page {
                for change in revision.changes where position.covers(change.key) { changes.append(change) }
            }
            if !changes.isEmpty { return changes }
        }
    }

    /// Calls `wake` once when `poll` may have something new to say: on the thread that made it so, or before this
    /// returns when that is the case already. It must not block and not call back into the store.
    package func onChange(_ wake: @escaping @Sendable () -> Void) {
        let isArmed = keyspace.state.withLock { $0.arm(identifier, wake) }
        if !isArmed { wake() }
    }

    /// Every change up to here that belongs to this watch was returned by `poll`: what a bookmark says.
    package var revision: Revision { keyspace.state.withLock { $0.revision(ofCursor: identifier) } }

    package func cancel() { keyspace.state.withLock { $0.cursors.remove(identifier) } }
}
