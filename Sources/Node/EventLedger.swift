/// Which events of one pod are written, decided: what happens again is one document with a rising count, a document is
/// written at most every `Limits.eventPause`, and a pod that says too much is cut short. Pure; times are monotonic.
package struct EventLedger: Sendable {
    package struct Event: Sendable, Hashable {
        package var type: String
        package var reason: String
        package var message: String

        package init(type: String, reason: String, message: String) {
            self.type = type
            self.reason = reason
            self.message = message
        }
    }

    private struct Entry {
        /// Occurrences that no document counts yet.
        var pending = 0
        var written: Duration?
    }

    private var entries: [Event: Entry] = [:]
    private var allowance = Limits.eventBurst
    private var refilled: Duration?

    package init() {}

    /// Notes that `event` happened. How many occurrences are to be written now; `nil` where it is too soon.
    package mutating func onEvent(_ event: Event, now: Duration) -> Int? {
        refill(now)
        if entries.count >= Limits.eventsRemembered, entries[event] == nil { forgetOldest() }
        var entry = entries[event] ?? Entry()
        entry.pending += 1
        defer { entries[event] = entry }
        if let written = entry.written, now - written < Limits.eventPause { return nil }
        if allowance == 0 { return nil }
        allowance -= 1
        entry.written = now
        defer { entry.pending = 0 }
        return entry.pending
    }

    private mutating func refill(_ now: Duration) {
        guard let since = refilled else { return refilled = now }
        let earned = Int((now - since) / Limits.eventRefill)
        if earned == 0 { return }
        allowance = min(Limits.eventBurst, allowance + earned)
        refilled = since + Limits.eventRefill * earned
    }

    private mutating func forgetOldest() {
        let oldest = entries.min {
            ($0.value.written ?? .zero, $0.key.message) < ($1.value.written ?? .zero, $1.key.message)
        }
        if let oldest { entries[oldest.key] = nil }
    }
}
