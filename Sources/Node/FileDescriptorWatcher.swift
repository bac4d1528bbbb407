internal import CShim
internal import Glibc
internal import Seams
internal import Synchronization

/// Waits for descriptors to become readable: one thread for all processes and pipes of the agent, so that nothing
/// blocks the cooperative pool. A descriptor has one waiter at a time; its owner keeps it open until the wait returns.
package final class FileDescriptorWatcher: Sendable {
    private struct State {
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var next: UInt64 = 1
        var cancelledEarly: Set<UInt64> = []
    }

    /// One for the program: its thread lives as long as the process.
    package static let shared = FileDescriptorWatcher()

    private let epoll: Int32
    private let state = Mutex(State())

    private init() {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        precondition(epoll >= 0, "epoll_create1 failed with errno \(errno)")
        var thread = pthread_t()
        // SAFETY of the pointer: `shared` is never released.
        let context = Unmanaged.passRetained(self).toOpaque()
        let failed = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<FileDescriptorWatcher>.fromOpaque(context).takeUnretainedValue().loop()
                return nil
            }, context)
        precondition(failed == 0, "no thread for waiting: error \(failed)")
        pthread_detach(thread)
    }

    /// Returns when `descriptor` is readable or closed at its other end, or when the task is cancelled.
    package func readable(_ descriptor: Int32) async {
        let token = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if state.cancelledEarly.remove(token) != nil { return true }
                    state.waiting[token] = continuation
                    return false
                }
                if isCancelled { return continuation.resume() }
                var event = epoll_event()
                event.events = EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLONESHOT.rawValue
                event.data.u64 = token
                let isKnown = epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0 && errno == EEXIST
                if isKnown { epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) }
            }
        } onCancel: {
            resume(token, isCancellation: true)
        }
    }

    /// Returns when `descriptor` is readable, when the time has passed, or when the task is cancelled.
    package func readable(_ descriptor: Int32, atMost time: Duration) async {
        await withTaskGroup { group in
            group.addTask { await self.readable(descriptor) }
            group.addTask { try? await SystemClock().sleep(for: time) }  // Cancelled: it became readable.
            await group.next()
            group.cancelAll()
        }
    }

    private func resume(_ token: UInt64, isCancellation: Bool) {
        let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if let waiting = state.waiting.removeValue(forKey: token) { return waiting }
            if isCancellation { state.cancelledEarly.insert(token) }
            return nil
        }
        continuation?.resume()
    }

    private func loop() {
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while true {
            let count = epoll_wait(epoll, &events, Int32(events.count), -1)
            for index in 0..<max(0, Int(count)) { resume(events[index].data.u64, isCancellation: false) }
        }
    }
}
