internal import Glibc
internal import Seams
internal import Synchronization

/// A thread of our own, for work that waits for the disk: such work must not block the cooperative pool.
package final class DedicatedThread: Sendable {
    private final class Body: Sendable {
        let name: String
        let yields: Bool
        let run: @Sendable () -> Void
        init(name: String, yields: Bool, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.yields = yields
            self.run = run
        }
    }

    private let handle: Mutex<pthread_t?>

    /// Starts a thread that runs `body` to its end. `name` is at most 15 bytes. One that `yields` runs at a low
    /// priority: it has much to do and nobody waits for it.
    package init(name: String, yields: Bool = false, _ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Body(name: name, yields: yields, run: body))
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let body = Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
                nameThread(body.name)
                // Linux gives each thread a priority of its own. Where this is refused the thread runs as others do.
                if body.yields { setpriority(Int32(PRIO_PROCESS.rawValue), 0, 10) }
                body.run()
                return nil
            }, context.toOpaque())
        precondition(result == 0, "no thread for \(name): error \(result)")
        handle = Mutex(thread)
    }

    /// Runs `body` on a thread of its own and answers what it returned, for callers that must not wait.
    package static func run<Result: Sendable>(
        name: String, _ body: @escaping @Sendable () -> Result
    ) async -> Result {
        await withCheckedContinuation { continuation in
            _ = DedicatedThread(name: name) { continuation.resume(returning: body()) }
        }
    }

    /// Waits until the body has returned. Only the first call waits.
    package func join() {
        let thread = handle.withLock { handle in
            defer { handle = nil }
            return handle
        }
        if let thread { pthread_join(thread, nil) }
    }
}

/// Names the calling thread for whoever looks at the process; glibc hides the call that does it from Swift.
private func nameThread(_ name: String) {
    let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    if descriptor < 0 { return }
    _ = write(descriptor, name, name.utf8.count)
    close(descriptor)
}

/// Wakes one waiting thread. A signal raised while nobody waits is remembered, once.
package final class Signal: @unchecked Sendable {
    // SAFETY: `isRaised` is read and written under `mutex` alone; the two pointers never change.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isRaised = false

    package init() {
        pthread_mutex_init(mutex, nil)
        // Waits end by the clock that never jumps.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func raise() {
        pthread_mutex_lock(mutex)
        isRaised = true
        pthread_mutex_unlock(mutex)
        pthread_cond_signal(condition)
    }

    func wait() {
        pthread_mutex_lock(mutex)
        while !isRaised { pthread_cond_wait(condition, mutex) }
        isRaised = false
        pthread_mutex_unlock(mutex)
    }

    /// As `wait`, but returns after a time without a signal too.
    package func wait(atMostMilliseconds milliseconds: Int) {
        let (seconds, attoseconds) = (SystemClock().monotonic() + .milliseconds(milliseconds)).components
        var deadline = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        pthread_mutex_lock(mutex)
        while !isRaised, pthread_cond_timedwait(condition, mutex, &deadline) == 0 {}
        isRaised = false
        pthread_mutex_unlock(mutex)
    }
}
