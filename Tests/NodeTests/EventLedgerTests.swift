import Node
import Testing

/// Which events of a pod are written, and how often.
struct EventLedgerTests {
    private let probe = EventLedger.Event(
        type: "Warning", reason: "Unhealthy", message: "Readiness probe failed: refused")

    @Test func theSameEventIsCountedAndWrittenNowAndThen() {
        var ledger = EventLedger()
        #expect(ledger.onEvent(probe, now: .seconds(0)) == 1)
        for second in 1..<10 { #expect(ledger.onEvent(probe, now: .seconds(second)) == nil) }
        #expect(ledger.onEvent(probe, now: .seconds(10)) == 10, "none was forgotten")
        #expect(ledger.onEvent(probe, now: .seconds(20)) == 1)
    }

    @Test func aPodThatSaysTooMuchIsCutShort() {
        var ledger = EventLedger()
        func event(_ number: Int) -> EventLedger.Event {
            EventLedger.Event(type: "Warning", reason: "Odd", message: "number \(number)")
        }
        let written = (0..<1000).count { ledger.onEvent(event($0), now: .seconds(1)) != nil }
        #expect(written == Limits.eventBurst)
        let later = Duration.seconds(1) + Limits.eventRefill * 3
        #expect((1000..<2000).count { ledger.onEvent(event($0), now: later) != nil } == 3)
    }
}
