package import Seams
internal import Synchronization

/// A clock that stands still until it is moved.
package final class SimulatedClock: Clock, Sendable {
    private let state: Mutex<(now: Instant, monotonic: Duration)>

    package init(start: Instant = Instant(seconds: 1_767_225_600)) { state = Mutex((start, .zero)) }

    package func now() -> Instant { state.withLock { $0.now } }
    package func monotonic() -> Duration { state.withLock { $0.monotonic } }

    /// Nobody sleeps in a simulation: time passes when the simulation says so.
    package func sleep(for duration: Duration) async throws { try Task.checkCancellation() }

    package func advance(by duration: Duration) {
        state.withLock { state in
            state.now = state.now + duration
            state.monotonic += duration
        }
    }

    /// Sets the wall clock alone, as a person or a time server does.
    package func jump(by duration: Duration) { state.withLock { $0.now = $0.now + duration } }
}
