internal import Synchronization

/// How many client connections are open over all event loops. Any thread.
final class ConnectionCount: Sendable {
    private let count = Atomic<Int>(0)

    /// Counts one more, or answers false where the limit is reached.
    func enter() -> Bool {
        if count.wrappingAdd(1, ordering: .relaxed).newValue <= GatewayLimits.connections { return true }
        count.wrappingSubtract(1, ordering: .relaxed)
        return false
    }

    func leave() { count.wrappingSubtract(1, ordering: .relaxed) }
}
