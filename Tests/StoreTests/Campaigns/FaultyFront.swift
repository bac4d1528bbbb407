import Store

/// Mistakes that stores have made. Each is planted in front of an honest store, and a campaign must find it.
enum PlantedBug: String, CaseIterable {
    case acknowledgedBeforeSync
    case reusedRevision
    case lostUpdate
    case staleRead
    case staleReadUnderNewRevision
    case readOfWhatIsNotDurable
    case listFromTwoRevisions
    case pastReadFromThePresent
    case phantomAfterConflict
    case conflictWithoutCause
    case droppedEventWhenFull
    case deleteMissedAtCompaction
    case bookmarkAheadOfEvents
    case duplicateEvent
    case reorderedEvents
    case eventBeforeDurable
    case splitTransaction
    case lostWakeUp

    /// Those that only who watches can see.
    static let ofWatches: [PlantedBug] = [
        .droppedEventWhenFull, .deleteMissedAtCompaction, .bookmarkAheadOfEvents, .duplicateEvent, .reorderedEvents,
        .eventBeforeDurable, .splitTransaction, .lostWakeUp,
    ]
    /// Those that clients and the log they can follow show.
    static let ofClients = allCases.filter { $0 != .splitTransaction && $0 != .lostWakeUp }
}

/// An honest store with one mistake in front.
final class FaultyFront: StoreFront {
    private let honest: KeyspaceFront
    private let bug: PlantedBug
    private var count = 0
    private var older: Snapshot

    init(_ honest: KeyspaceFront, _ bug: PlantedBug) {
        self.honest = honest
        self.bug = bug
        older = honest.store.snapshot(.durable)
    }

    /// Mistakes show now and then, not always.
    private func isTime(_ this: PlantedBug, oneIn rarity: Int) -> Bool {
        guard bug == this else { return false }
        count += 1
        return count % rarity == 0
    }

    var durable: UInt64 {
        bug == .acknowledgedBeforeSync ? honest.store.sequencedRevision.rawValue : honest.durable
    }

    func commit(_ writes: [ClientHistory.Operation]) throws(StoreError) -> Submission {
        var writes = writes
        if isTime(.lostUpdate, oneIn: 20) {
            // An update of what is not the newest any more: the check looks the other way.
            for index in writes.indices { writes[index].compare = nil }
        }
        if isTime(.conflictWithoutCause, oneIn: 50), let compare = writes.first?.compare {
            return .conflict(found: compare, seen: honest.store.sequencedRevision.rawValue)
        }
        let submission = try honest.commit(writes)
        switch submission {
        case .conflict:
            if isTime(.phantomAfterConflict, oneIn: 10) {
                for index in writes.indices { writes[index].compare = nil }
                _ = try honest.commit(writes)
            }
        case .sequenced(let revision):
            if isTime(.reusedRevision, oneIn: 40) { return .sequenced(revision - 1) }
        }
        return submission
    }

    func read(_ request: ClientHistory.Operation.Request) throws(StoreError) -> (UInt64, [ClientHistory.Seen]) {
        let newest = try honest.read(request)
        if isTime(.readOfWhatIsNotDurable, oneIn: 1) {
            let snapshot = honest.store.snapshot(.sequenced)
            return (snapshot.revision.rawValue, try honest.seen(request, in: snapshot))
        }
        if isTime(.listFromTwoRevisions, oneIn: 1) {
            let old = try honest.seen(request, in: older)
            let middle = newest.1.count / 2
            older = honest.store.snapshot(.durable)
            let first = newest.1.prefix(middle)
            return (newest.0, first + old.filter { $0.key > first.last?.key ?? -1 })
        }
        if isTime(.staleRead, oneIn: 20) {
            defer { older = honest.store.snapshot(.durable) }
            return (older.revision.rawValue, try honest.seen(request, in: older))
        }
        if isTime(.staleReadUnderNewRevision, oneIn: 20) {
            defer { older = honest.store.snapshot(.durable) }
            return (newest.0, try honest.seen(request, in: older))
        }
        return newest
    }

    func read(
        _ request: ClientHistory.Operation.Request, at revision: UInt64
    ) throws(StoreError) -> [ClientHistory.Seen] {
        if isTime(.pastReadFromThePresent, oneIn: 5) { return try honest.read(request).1 }
        return try honest.read(request, at: revision)
    }

    func watch(_ filter: WatchFilter, after: UInt64) throws(StoreError) -> any FrontWatch {
        let watch = try honest.watch(filter, after: after, bug == .eventBeforeDurable ? .sequenced : .durable)
        guard PlantedBug.ofWatches.contains(bug) else { return watch }
        return FaultyWatch(watch, bug, honest.store)
    }
}

/// An honest watch with one mistake in front.
private final class FaultyWatch: FrontWatch {
    private let honest: any FrontWatch
    private let bug: PlantedBug
    private let store: Keyspace
    private let compacted: UInt64
    private var count = 0
    private var isFirst = true
    private var rest: [ClientHistory.Event] = []

    init(_ honest: any FrontWatch, _ bug: PlantedBug, _ store: Keyspace) {
        self.honest = honest
        self.bug = bug
        self.store = store
        compacted = store.compactedRevision.rawValue
    }

    func poll() throws(StoreError) -> [ClientHistory.Event] {
        if !rest.isEmpty {
            defer { rest = [] }
            return rest
        }
        var events = try honest.poll()
        if events.isEmpty { return [] }
        count += 1
        defer { isFirst = false }
        switch bug {
        case .droppedEventWhenFull: if events.count > 8 { events.remove(at: 8) }
        case .deleteMissedAtCompaction:
            if isFirst, events[0].value == nil, events[0].revision == compacted + 1 { events.removeFirst() }
        case .duplicateEvent: if count % 3 == 0 { events.append(events[events.count - 1]) }
        case .reorderedEvents: if count % 3 == 0, events.count > 1 { events.swapAt(0, events.count - 1) }
        case .splitTransaction:
            let last = events[events.count - 1]
            if events.count > 1, events[events.count - 2].revision == last.revision { rest = [events.removeLast()] }
        default: break
        }
        return events
    }

    var bookmark: UInt64 { bug == .bookmarkAheadOfEvents ? store.sequencedRevision.rawValue : honest.bookmark }

    func onChange(_ wake: @escaping @Sendable () -> Void) {
        count += 1
        if bug == .lostWakeUp, count % 5 == 0 { honest.onChange {} } else { honest.onChange(wake) }
    }
}
