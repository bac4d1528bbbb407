/// The changes that history has forgotten and no table holds yet, by the segment of the log that holds them. The newest
/// of each key over some segments, the oldest first, is what a table of them is made of.
struct UntabledChanges: Sendable {
    enum Note: Sendable {
        case put(Entry)
        case delete(StoreKey, created: Revision, revision: Revision)
        /// A put whose key was written again within the segment.
        case superseded(Revision)

        var revision: Revision {
            switch self {
            case .put(let entry): entry.modRevision
            case .delete(_, _, let revision), .superseded(let revision): revision
            }
        }
    }

    private var segments: [[Note]] = []

    /// Takes note of a revision in the segment at `index` of the log. Revisions come in order.
    mutating func note(_ revision: RevisionChanges, segment index: Int) {
        while segments.count <= index { segments.append([]) }
        for change in revision.changes {
            if let previous = change.previousEntry { supersede(previous, segment: index) }
            if let entry = change.entry {
                segments[index].append(.put(entry))
            } else {
                segments[index].append(
                    .delete(change.key, created: change.createRevision, revision: revision.revision))
            }
        }
    }

    /// Lets go of an entry that no table will hold, and so of its value.
    private mutating func supersede(_ entry: Entry, segment index: Int) {
        let revision = entry.modRevision
        guard let first = segments[index].first, first.revision <= revision else { return }
        var low = 0
        var high = segments[index].count
        while low < high {
            let middle = (low + high) / 2
            if segments[index][middle].revision < revision { low = middle + 1 } else { high = middle }
        }
        while low < segments[index].count, segments[index][low].revision == revision {
            if case .put(let noted) = segments[index][low], noted === entry {
                segments[index][low] = .superseded(revision)
            }
            low += 1
        }
    }

    /// The notes of the first segments, in the order of revisions.
    func notes(ofFirst count: Int) -> [Note] { segments.prefix(count).flatMap { $0 } }

    mutating func removeFirst(_ count: Int) { segments.removeFirst(min(count, segments.count)) }

    /// What a table holds of `notes`: for each key, in order, its entry at the end; or that there is none, where tables
    /// up to `first` may hold one.
    static func items(_ notes: [Note], after first: Revision) -> [(key: StoreKey, entry: Entry?, revision: Revision)] {
        var keyed: [(key: StoreKey, note: Note)] = []
        for note in notes {
            switch note {
            case .put(let entry): keyed.append((entry.key, note))
            case .delete(let key, _, _): keyed.append((key, note))
            case .superseded: break
            }
        }
        keyed.sort { ($0.key, $0.note.revision) < ($1.key, $1.note.revision) }
        var items: [(key: StoreKey, entry: Entry?, revision: Revision)] = []
        var isInOlderTable = false
        for (index, (key, note)) in keyed.enumerated() {
            if index == 0 || keyed[index - 1].key != key { isInOlderTable = false }
            if case .delete(_, let created, _) = note, created <= first { isInOlderTable = true }
            if index + 1 < keyed.count, keyed[index + 1].key == key { continue }
            if case .put(let entry) = note {
                items.append((key, entry, entry.modRevision))
            } else if isInOlderTable {
                items.append((key, nil, note.revision))
            }
        }
        return items
    }
}
