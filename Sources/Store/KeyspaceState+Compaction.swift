internal import Journal

/// When history is forgotten, when a table takes the place of old log, and when tables are merged. A table ends where a
/// segment of the log begins, whose place in the chain of hashes that segment's header holds.
extension KeyspaceState {
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

    // MARK: Tables

    mutating func noteUntabled(_ changes: RevisionChanges) {
        guard let segment = segments.lastIndex(where: { $0.firstRevision <= changes.revision.rawValue }) else {
            preconditionFailure("no segment of the log holds revision \(changes.revision)")
        }
        untabled.note(changes, segment: segment)
    }

    /// Plans a table of the oldest segments when history has forgotten enough whole ones.
    mutating func planTable() {
        guard !isWritingTable, dueTable == nil else { return }
        let passed = segments.lastIndex { $0.firstRevision - 1 <= history.compacted.rawValue }
        guard let passed, passed >= configuration.segmentsPerTable else { return }
        let range = RevisionRange(
            first: tables.last?.range.last ?? .empty, last: Revision(rawValue: segments[passed].firstRevision - 1))
        dueTable = DueTable(
            range: range, hash: segments[passed].previous, notes: untabled.notes(ofFirst: passed),
            obsoleteSegments: segments[..<passed].map(\.name))
    }

    mutating func takeDueTable() -> DueTable? {
        guard let due = dueTable else { return nil }
        dueTable = nil
        isWritingTable = true
        return due
    }

    /// Takes the table as the newest; `nil` when it could not be written, and a later one will hold its changes.
    mutating func finish(_ due: DueTable, _ table: Table?) {
        isWritingTable = false
        guard let table else { return }
        tables.append(table)
        segments.removeFirst(due.obsoleteSegments.count)
        untabled.removeFirst(due.obsoleteSegments.count)
    }

    // MARK: Merging

    /// The next merge, if there is one and none is under way.
    mutating func takeDueMerge() -> TableMerge? {
        let policy = MergePolicy(segmentBytes: configuration.journal.segmentBytes)
        guard !isMerging, let run = policy.run(sizes: tables.map(\.size), live: liveBytes) else { return nil }
        isMerging = true
        return TableMerge(inputs: Array(tables[run]), dropsTombstones: run.lowerBound == 0)
    }

    /// Puts the output of a merge in the place of its inputs.
    mutating func finish(_ merge: TableMerge, _ output: Table?) {
        isMerging = false
        guard let output, let start = tables.firstIndex(where: { $0 === merge.inputs[0] }) else { return }
        merges += 1
        tables.replaceSubrange(start..<start + merge.inputs.count, with: [output])
    }
}
