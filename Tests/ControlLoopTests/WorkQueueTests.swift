import ControlLoop
import Seams
import Testing

/// The rules of the queue, by feeding it.
struct WorkQueueTests {
    private let start = Instant(seconds: 1000)

    @Test func itemIsInItOnce() {
        var queue = WorkQueue<String>()
        for item in ["a", "b", "a"] { queue.add(item) }
        #expect(queue.next(now: start) == "a")
        #expect(queue.next(now: start) == "b")
        #expect(queue.next(now: start) == nil)
        queue.add("a")
        #expect(queue.next(now: start) == "a")
    }

    @Test func failuresInARowWaitLonger() {
        var queue = WorkQueue<String>()
        var waits: [Duration] = []
        var now = start
        for _ in 0..<12 {
            let due = queue.failed("a", now: now)
            waits.append(due - now)
            #expect(queue.next(now: now) == nil)
            now = due
            #expect(queue.next(now: now) == "a")
        }
        #expect(Array(waits.prefix(3)) == [.milliseconds(50), .milliseconds(100), .milliseconds(200)])
        #expect(waits.last == .seconds(30))
        queue.succeeded("a")
        #expect(queue.failed("a", now: now) - now == .milliseconds(50))
    }

    @Test func earliestTimerCounts() {
        var queue = WorkQueue<String>()
        queue.add("a", at: start + .seconds(5))
        queue.add("a", at: start + .seconds(9))
        queue.add("b", at: start + .seconds(3))
        #expect(queue.nextTimer == start + .seconds(3))
        #expect(queue.next(now: start + .seconds(4)) == "b")
        #expect(queue.next(now: start + .seconds(4)) == nil)
        #expect(queue.next(now: start + .seconds(5)) == "a")
        #expect(queue.nextTimer == nil)
    }

    @Test func beingTakenEndsItsTimer() {
        var queue = WorkQueue<String>()
        queue.add("a", at: start + .seconds(5))
        queue.add("a")
        #expect(queue.next(now: start) == "a")
        #expect(queue.nextTimer == nil)
    }

    @Test func orderStaysOverManyItems() {
        var queue = WorkQueue<Int>()
        for number in 0..<500 { queue.add(number) }
        for number in 0..<300 { #expect(queue.next(now: start) == number) }
        for number in 500..<700 { queue.add(number) }
        for number in 300..<700 { #expect(queue.next(now: start) == number) }
        #expect(queue.isEmpty)
    }
}
