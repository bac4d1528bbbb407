internal import Journal

/// When history is forgotten, and when a state file takes the place of old log. A state is always that of a segment's
/// first moment, whose place in the chain of hashes the segment's header holds.
extension KeyspaceState {
    /// A state to be written, and the segments that end before it.
    struct DueState: Sendable {
        let snapshot: Snapshot
        let hash: ChainHash
        let obsoleteSegments: [String]
    }

    /// Forgets what is older or more than the bounds allow. A tenth above a bound is tolerated, so that forgetting is
    /// done in steps and costs little each time.
    mutating func compactByBounds(now: Duration) {
        guard let first = history.first else { return }
        let age = configuration.historyAge
        let isOver =
            now - first.time > age + age / 10 || history.count > configuration.historyRevisions * 11 / 10
            || history.retainedBytes > configuration.historyBytes / 10 * 11
        if isOver {
            compact(
                to: history.bound(
                    newerThan: now - age, revisions: configuration.historyRevisions, bytes: configuration.historyBytes))
        }
    }

    /// Plans a state file when compaction to `revision` passes the start of a segment and enough log lies before it: so
    /// much that writing the state costs no more than writing that log did.
    mutating func planState(before revision: Revision) {
        guard !isWritingState, dueState == nil else { return }
        let passed = segments.lastIndex { segment in
            let boundary = segment.firstRevision - 1
            return boundary <= revision.rawValue && boundary >= history.compacted.rawValue
        }
        guard let passed, passed >= configuration.segmentsPerState,
            passed * configuration.journal.segmentBytes >= liveBytes
        else { return }
        let segment = segments[passed]
        // The boundary lies between what is compacted and what is durable, so this state is still there.
        guard let snapshot = try? snapshot(at: Revision(rawValue: segment.firstRevision - 1)) else { return }
        dueState = DueState(
            snapshot: snapshot, hash: segment.previous, obsoleteSegments: segments[..<passed].map(\.name))
    }

    mutating func takeDueState() -> DueState? {
        guard let due = dueState else { return nil }
        dueState = nil
        isWritingState = true
        return due
    }

    mutating func finishState(_ due: DueState, written: Bool) {
        isWritingState = false
        if written { segments.removeFirst(due.obsoleteSegments.count) }
    }
}
