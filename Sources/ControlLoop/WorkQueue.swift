package import Seams

/// What waits to be reconciled. An item is in it once, however often it is added; an item that failed comes back later
/// each time; an item can be due at a time. First in, first out. A pure value.
package struct WorkQueue<Item: Hashable & Sendable>: Sendable {
    private var waiting: [Item] = []
    private var head = 0
    private var queued: Set<Item> = []
    private var timers: [Item: Instant] = [:]
    private var failures: [Item: Int] = [:]
    /// Orders timers that are due at the same time by when they were set.
    private var order: [Item: UInt64] = [:]
    private var counter: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { queued.isEmpty }
    package var count: Int { queued.count }

    package mutating func add(_ item: Item) {
        if queued.insert(item).inserted { waiting.append(item) }
    }

    /// Adds the item at `instant`, unless it is due earlier already.
    package mutating func add(_ item: Item, at instant: Instant) {
        if let earlier = timers[item], earlier <= instant { return }
        timers[item] = instant
        order[item] = counter
        counter += 1
    }

    /// The next item, and forgets the timer it had.
    package mutating func next(now: Instant) -> Item? {
        takeDueTimers(now)
        guard head < waiting.count else { return nil }
        let item = waiting[head]
        head += 1
        if head > 64, head * 2 > waiting.count {
            waiting.removeFirst(head)
            head = 0
        }
        queued.remove(item)
        timers[item] = nil
        order[item] = nil
        return item
    }

    /// When the next timer is due; `nil` where none runs.
    package var nextTimer: Instant? { timers.values.min() }

    package mutating func succeeded(_ item: Item) { failures[item] = nil }

    /// Brings the item back after a wait that doubles with each failure in a row. Answers when.
    @discardableResult
    package mutating func failed(_ item: Item, now: Instant) -> Instant {
        let count = failures[item, default: 0]
        failures[item] = count + 1
        let wait = min(ControlLoopLimits.firstBackOff * (1 << min(count, 20)), ControlLoopLimits.longestBackOff)
        let due = now + wait
        add(item, at: due)
        return due
    }

    package mutating func forget(_ item: Item) {
        failures[item] = nil
        timers[item] = nil
        order[item] = nil
    }

    private mutating func takeDueTimers(_ now: Instant) {
        guard let first = nextTimer, first <= now else { return }
        let due = timers.filter { $0.value <= now }
            .sorted { ($0.value, order[$0.key] ?? 0) < ($1.value, order[$1.key] ?? 0) }
        for (item, _) in due {
            timers[item] = nil
            order[item] = nil
            add(item)
        }
    }
}
