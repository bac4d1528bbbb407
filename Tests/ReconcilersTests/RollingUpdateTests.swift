import Reconcilers
import Testing

/// The arithmetic of a rolling update: it always ends, and never has too many pods or too few that serve.
struct RollingUpdateTests {
    @Test func everyUpdateEndsWithinItsBounds() {
        for replicas in 0...7 {
            for surge in 0...3 {
                for unavailable in 0...3 where surge + unavailable > 0 {
                    for before in 0...7 { walk(replicas, surge, min(unavailable, replicas), before) }
                }
            }
        }
    }

    private func walk(_ replicas: Int, _ surge: Int, _ unavailable: Int, _ before: Int) {
        var new = RollingUpdate.Set(replicas: 0, available: 0)
        var old = [RollingUpdate.Set(replicas: before, available: before)]
        for _ in 0..<40 {
            let update = RollingUpdate(replicas: replicas, surge: surge, unavailable: unavailable, new: new, old: old)
            let next = update.next()
            let total = next.new + next.old.reduce(0, +)
            let context = "\(update)"
            #expect(total <= max(replicas + surge, before), "\(context)")
            // Old pods that go stop serving at once; new ones serve a step later.
            let serving = min(new.available, next.new) + zip(next.old, old).reduce(0) { $0 + min($1.0, $1.1.available) }
            #expect(serving >= min(replicas - unavailable, before), "\(context)")
            old = zip(next.old, old).map { RollingUpdate.Set(replicas: $0, available: min($0, $1.available)) }
            new = RollingUpdate.Set(
                replicas: next.new, available: new.replicas == next.new ? next.new : min(new.replicas, next.new))
        }
        // Where nothing may surge and nothing may be missing of nothing, there is nothing to wait for.
        #expect(
            new.replicas == replicas && old[0].replicas == 0,
            "\(replicas) \(surge) \(unavailable) \(before): \(new) \(old)")
    }

    @Test func podsThatDoNotServeGoFirst() {
        let update = RollingUpdate(
            replicas: 3, surge: 1, unavailable: 0, new: .init(replicas: 1, available: 1),
            old: [.init(replicas: 1, available: 0), .init(replicas: 2, available: 2)])
        #expect(update.next().old == [0, 2])
    }

    /// The old set was made smaller a moment ago, and its status does not say so yet.
    @Test func podsThatAreToGoAreNotCountedOn() {
        let update = RollingUpdate(
            replicas: 4, surge: 1, unavailable: 1, new: .init(replicas: 2, available: 1),
            old: [.init(replicas: 3, available: 4)])
        #expect(update.next().old == [2])
    }
}
