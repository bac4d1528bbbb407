/// All changes of one revision, in the order of the transaction's operations.
final class RevisionChanges: Sendable {
    let revision: Revision
    let changes: [Change]
    /// When it was sequenced, on the monotonic clock; what was recovered counts from the start.
    let time: Duration
    /// Bytes history keeps in memory: what was written, and what deletions deliver.
    let retainedBytes: Int

    init(revision: Revision, changes: [Change], time: Duration) {
        self.revision = revision
        self.changes = changes
        self.time = time
        self.retainedBytes = changes.reduce(256) {
            $0 + 128 + ($1.written?.count ?? $1.previousEntry?.count ?? 0)
        }
    }
}

/// The changes of the revisions after `compacted`, without a gap. Every watch reads this one log; none has a queue.
struct History: Sendable {
    private var storage: [RevisionChanges] = []
    private(set) var compacted: Revision
    private(set) var retainedBytes = 0

    init(compacted: Revision) { self.compacted = compacted }

    var last: Revision { Revision(rawValue: compacted.rawValue + UInt64(count)) }
    var count: Int { storage.count }
    var first: RevisionChanges? { storage.first }
    var all: [RevisionChanges] { storage }

    mutating func append(_ revision: RevisionChanges) {
        precondition(revision.revision == last.next, "revision \(revision.revision) follows \(last)")
        storage.append(revision)
        retainedBytes += revision.retainedBytes
    }

    /// The changes of one revision that is still kept.
    subscript(revision: Revision) -> RevisionChanges { storage[Int(revision.rawValue - compacted.rawValue) - 1] }

    /// The revisions after `low`, up to `high`, at most `limit` of them. `low` must not be compacted.
    /// A copy of references: a slice of the storage would make the next append copy all of it.
    func revisions(after low: Revision, through high: Revision, limit: Int) -> [RevisionChanges] {
        let start = Int(low.rawValue - compacted.rawValue)
        let end = start + min(max(Int(high.rawValue - compacted.rawValue) - start, 0), limit)
        return start < end ? Array(storage[start..<end]) : []
    }

    /// The revision to compact to so that what is left keeps the bounds.
    func bound(newerThan time: Duration, revisions: Int, bytes: Int) -> Revision {
        var bytesLeft = retainedBytes
        var countLeft = count
        for changes in storage {
            if changes.time >= time, countLeft <= revisions, bytesLeft <= bytes { break }
            bytesLeft -= changes.retainedBytes
            countLeft -= 1
        }
        return Revision(rawValue: last.rawValue - UInt64(countLeft))
    }

    /// Forgets up to `revision` and returns what was forgotten, for the caller to release when no lock is held.
    mutating func compact(to revision: Revision) -> [RevisionChanges] {
        guard revision > compacted else { return [] }
        let forgotten = min(Int(revision.rawValue - compacted.rawValue), storage.count)
        let garbage = Array(storage[..<forgotten])
        for changes in garbage { retainedBytes -= changes.retainedBytes }
        storage.removeFirst(forgotten)
        compacted = Revision(rawValue: compacted.rawValue + UInt64(forgotten))
        return garbage
    }
}
