package import Client
internal import Documents
package import Logging
package import Seams

/// Something the composition root starts and stops: runs until its task is cancelled.
package protocol Runnable: Sendable {
    func run() async
}

/// Drives an engine in production: steps while there is work, then waits for the watch or the next timer.
package struct EngineTask: Runnable {
    private let client: any Client
    private let clock: any Clock
    private let random: any RandomSource
    private let logger: Logger
    private let reconcilers: [any Reconciler]

    package init(
        client: any Client, clock: any Clock, random: any RandomSource, logger: Logger, reconcilers: [any Reconciler]
    ) {
        self.client = client
        self.clock = clock
        self.random = random
        self.logger = logger
        self.reconcilers = reconcilers
    }

    package func run() async {
        let random = random
        var engine = Engine(client: client, reconcilers: reconcilers, logger: logger) {
            random.fraction()
        }
        while !Task.isCancelled {
            guard case .idle(let until) = await engine.step(now: clock.now()) else { continue }
            await wait(engine.currentStream, until: until)
        }
        engine.disconnect()
    }

    /// Returns at the next change, at `until`, or on cancellation. A timer is looked at again after a minute at the
    /// latest, because the wall clock it is set on can jump.
    private func wait(_ stream: (any WatchStream)?, until: Instant?) async {
        let clock = clock
        let longest = Duration.seconds(60)
        let duration = until.map { max(.milliseconds(1), min($0 - clock.now(), longest)) } ?? longest
        await withTaskGroup(of: Void.self) { group in
            if let stream { group.addTask { await stream.wait() } }
            group.addTask { try? await clock.sleep(for: duration) }  // throws only when cancelled, and then we return
            await group.next()
            group.cancelAll()
        }
    }
}
