import Documents
import Seams
import Simulation
import Store
import Synchronization

/// Two hundred watchers of all widths and speeds, under compaction, power cuts and kills, in one thread under a seed.
/// Each is compared, event by event, with what was written: that is order, uniqueness, completeness and atomicity at
/// once; bookmarks must not run ahead, and an end with `compacted` must have a cause.
struct WatchCampaign {
    struct Report {
        var deliveries = 0, bookmarks = 0, resumed = 0, lists = 0, restarts = 0, compactions = 0, transactions = 0
        /// Watches that compaction overtook.
        var overtaken = 0
    }

    private typealias Event = ClientHistory.Event

    private(set) var report = Report()
    private(set) var violations: [String] = []
    private let random: SeededRandom
    private let numbers = KeyNumbers(groupSize: 8)
    private let keyCount = 512
    private let bug: PlantedBug?
    private let simulated: SimulatedStore
    private var front: any StoreFront
    private var watchers: [Watcher] = []
    /// Every change ever sequenced and not lost, by revision from 2 on.
    private var truth: [[Event]] = []
    private var values: UInt64 = 0

    init(seed: UInt64, watcherCount: Int = 200, bug: PlantedBug? = nil) throws {
        random = SeededRandom(seed: seed)
        self.bug = bug
        simulated = try SimulatedStore(seed: seed &* 37, historyRevisions: 2000)
        front = KeyspaceFront(simulated.store, numbers)
        for number in 0..<watcherCount {
            let filter: WatchFilter =
                switch number % 10 {
                case 0..<4: .all
                case 4..<8: .group(random.next(below: keyCount / 8))
                default: .key(random.next(below: keyCount))
                }
            watchers.append(Watcher(filter: filter, rarity: number % 7 == 3 ? 60 : 1))
        }
        connect()
    }

    private mutating func connect() {
        let honest = KeyspaceFront(simulated.store, numbers)
        front = bug.map { FaultyFront(honest, $0) } ?? honest
        for watcher in watchers { watcher.lose() }
    }

    /// Runs until so many events were delivered. A step is a virtual millisecond: compaction comes every 100 of them,
    /// a restart every 5000.
    mutating func run(deliveries: Int, violations most: Int = 20) throws {
        var step = 0
        while report.deliveries < deliveries, violations.count < most {
            step += 1
            try write()
            if random.oneIn(3) { simulated.store.flush() }
            for _ in 0..<8 { turn(watchers[random.next(below: watchers.count)]) }
            if step % 100 == 0 { compact() }
            if step % 5000 == 0 { try restart(keepingAll: random.oneIn(3)) }
            if random.oneIn(300) {
                simulated.disk.crash(atOperation: simulated.disk.operations + random.next(below: 6) + 1)
            }
            if simulated.disk.hasCrashed { try restart(keepingAll: false) }
        }
        simulated.store.flush()
        if simulated.disk.hasCrashed { try restart(keepingAll: false) }
        checkSleepers()
        for watcher in watchers { settle(watcher) }
    }

    // MARK: Writing

    private mutating func write() throws {
        var writes: [ClientHistory.Operation] = []
        let snapshot = simulated.store.snapshot(.sequenced)
        for key in Set((0...random.next(below: 3)).map { _ in random.next(below: keyCount) }).sorted() {
            values += 1
            let exists = snapshot.get(numbers.key(key)) != nil
            let request: ClientHistory.Operation.Request =
                exists && random.oneIn(4) ? .delete(key) : .put(key, value: values)
            writes.append(.init(client: 0, called: 0, request: request))
        }
        do throws(StoreError) {
            guard case .sequenced(let revision) = try front.commit(writes) else { return }
            if Int(revision) != truth.count + 2 { violations.append("revision \(revision) after \(truth.count + 1)") }
            truth.append(
                writes.map { Event(revision: revision, key: $0.written ?? 0, value: $0.value) })
            report.transactions += 1
        } catch {
            try restart(keepingAll: false)
        }
    }

    private mutating func compact() {
        checkSleepers()
        let durable = simulated.store.durableRevision.rawValue
        // Often up to the newest, where who resumes there must still be told what comes next.
        let kept = random.oneIn(3) ? 0 : UInt64(random.next(below: 120))
        simulated.store.compact(to: Revision(rawValue: max(1, durable - min(kept, durable - 1))))
        report.compactions += 1
    }

    private mutating func restart(keepingAll: Bool) throws {
        try simulated.restart(keepingAll: keepingAll)
        report.restarts += 1
        let revision = simulated.store.durableRevision.rawValue
        if Int(revision) > truth.count + 1 { violations.append("revision \(revision) out of nothing") }
        truth.removeLast(max(0, truth.count + 1 - Int(revision)))
        for watcher in watchers where watcher.seen > revision {
            violations.append("\(watcher.filter) saw revision \(watcher.seen), and the store is back at \(revision)")
        }
        connect()
    }

    // MARK: Watching

    /// One turn of one watcher: connect, read, or nothing because it is slow, or asleep and not woken.
    private mutating func turn(_ watcher: Watcher) {
        guard random.oneIn(watcher.rarity) else { return }
        if watcher.isAsleep { return }
        do throws(StoreError) {
            let watch = try connected(watcher)
            let events = try watch.poll()
            deliver(events, to: watcher)
            if events.isEmpty {
                bookmark(watch.bookmark, to: watcher)
                watch.onChange(watcher.sleep())
                if random.oneIn(10) { watcher.lose() }
            } else if random.oneIn(50) {
                watcher.lose()
            }
        } catch {
            ended(watcher, error)
        }
    }

    private mutating func connected(_ watcher: Watcher) throws(StoreError) -> any FrontWatch {
        if let watch = watcher.watch { return watch }
        let watch = try front.watch(watcher.filter, after: watcher.seen)
        watcher.watch = watch
        report.resumed += 1
        return watch
    }

    private mutating func ended(_ watcher: Watcher, _ error: StoreError) {
        watcher.lose()
        guard case .compacted = error, watcher.seen < simulated.store.compactedRevision.rawValue else {
            return violations.append("\(watcher.filter) at \(watcher.seen) ended with \(error)")
        }
        report.overtaken += 1
        list(watcher)
    }

    /// Starts anew from a list, as a client must that has been overtaken.
    private mutating func list(_ watcher: Watcher) {
        simulated.store.flush()
        if simulated.disk.hasCrashed { return }
        watcher.seen = front.durable
        report.lists += 1
    }

    private mutating func deliver(_ events: [ClientHistory.Event], to watcher: Watcher) {
        for event in events {
            report.deliveries += 1
            guard let expected = next(watcher), expected == event else {
                let wanted = next(watcher).map { "\($0)" } ?? "nothing"
                violations.append("\(watcher.filter) was told \(event), expected \(wanted)")
                watcher.move(behind: event)
                continue
            }
            watcher.move(behind: event)
        }
        guard let last = events.last else { return }
        if let more = next(watcher), more.revision == last.revision {
            violations.append("\(watcher.filter) was told a part of revision \(last.revision)")
        }
        watcher.seen = last.revision
    }

    private mutating func bookmark(_ revision: UInt64, to watcher: Watcher) {
        report.bookmarks += 1
        if let missing = next(watcher), missing.revision <= revision {
            violations.append("\(watcher.filter) has a bookmark at \(revision) and was not told \(missing)")
        }
        watcher.seen = max(watcher.seen, revision)
    }

    /// The next event the watcher must be told.
    private func next(_ watcher: Watcher) -> ClientHistory.Event? {
        watcher.skip(to: watcher.seen)
        while watcher.revision - 2 < truth.count {
            let events = truth[watcher.revision - 2]
            while watcher.index < events.count {
                if watcher.filter.covers(events[watcher.index].key, groupSize: numbers.groupSize) {
                    return events[watcher.index]
                }
                watcher.index += 1
            }
            watcher.revision += 1
            watcher.index = 0
        }
        return nil
    }

    /// Who sleeps has been told everything that is durable.
    private mutating func checkSleepers() {
        for watcher in watchers where watcher.isAsleep {
            if let missing = next(watcher), missing.revision <= simulated.store.durableRevision.rawValue {
                violations.append("\(watcher.filter) sleeps and was not told \(missing)")
            }
        }
    }

    /// At rest, everyone else gets the rest.
    private mutating func settle(_ watcher: Watcher) {
        if watcher.isAsleep { return }
        for _ in 0..<100_000 where !watcher.isAsleep && violations.count < 20 { turn(watcher) }
        if let missing = next(watcher) { violations.append("\(watcher.filter) was never told \(missing)") }
    }
}

/// One client that watches, and where it stands in what was written.
private final class Watcher {
    /// Remembers a wake-up, from whatever thread it comes.
    private final class Bell: Sendable {
        let hasRung = Mutex(false)
    }

    let filter: WatchFilter
    /// It takes its turn only one time in so many.
    let rarity: Int
    var watch: (any FrontWatch)?
    /// Everything up to here was told: where it resumes.
    var seen: UInt64 = 1
    var revision = 2
    var index = 0
    private var bell: Bell?

    init(filter: WatchFilter, rarity: Int) {
        self.filter = filter
        self.rarity = rarity
    }

    var isAsleep: Bool { bell.map { bell in !bell.hasRung.withLock { $0 } } ?? false }

    func sleep() -> @Sendable () -> Void {
        let bell = Bell()
        self.bell = bell
        return { bell.hasRung.withLock { $0 = true } }
    }

    /// The connection is gone. What comes next is what follows `seen`, also where a power cut has replaced it.
    func lose() {
        watch = nil
        bell = nil
        revision = Int(seen) + 1
        index = 0
    }

    func skip(to seen: UInt64) {
        guard revision <= Int(seen) else { return }
        revision = Int(seen) + 1
        index = 0
    }

    func move(behind event: ClientHistory.Event) {
        if Int(event.revision) > revision { (revision, index) = (Int(event.revision), 0) }
        index += 1
    }
}
