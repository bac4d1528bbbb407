/// What the loops refuse to go beyond.
package enum ControlLoopLimits {
    /// First wait after a failed reconcile; doubled with each failure in a row.
    package static let firstBackOff: Duration = .milliseconds(50)
    /// Longest wait after failures in a row.
    package static let longestBackOff: Duration = .seconds(30)
    /// How long a loop waits for its cache to show a write of its own before it lists everything again.
    package static let ownWriteDeadline: Duration = .seconds(15)
    /// Children one primary may have. More are refused, and the primary says so.
    package static let children = 5_000
    /// Events one reconcile may write.
    package static let eventsPerReconcile = 16
    /// Bytes of an event's message; longer ones are cut, as Kubernetes does.
    package static let eventMessageBytes = 1_024
    /// How long an event is kept.
    package static let eventRetention: Duration = .seconds(3600)
}
