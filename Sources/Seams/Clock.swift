#if canImport(Glibc)
    internal import Glibc
#endif

/// Time as the program sees it. Every reading of the time and every wait goes through this seam, so that a simulation
/// can run hours in milliseconds and jump the clock.
package protocol Clock: Sendable {
    /// The wall clock. It can jump in either direction; never measure a wait with it.
    func now() -> Instant
    /// Time since an arbitrary origin. Never goes back.
    func monotonic() -> Duration
    /// Returns after `duration` of monotonic time, or throws `CancellationError` when the task is cancelled.
    func sleep(for duration: Duration) async throws
}

/// The machine's own clocks.
package struct SystemClock: Clock {
    package init() {}

    package func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    package func monotonic() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return .seconds(Int64(time.tv_sec)) + .nanoseconds(Int64(time.tv_nsec))
    }

    package func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}
