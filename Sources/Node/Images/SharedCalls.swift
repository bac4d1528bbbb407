internal import Synchronization

/// Work that several callers want at the same time and that is done once. A caller that is cancelled leaves; when none is
/// left, the work is cancelled.
final class SharedCalls<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    typealias Outcome = Result<Value, ImageError>

    private struct Call {
        let number: Int
        var waiters: [Int: CheckedContinuation<Outcome, Never>] = [:]
        var task: Task<Void, Never>?
    }

    private struct State {
        var next = 0
        var calls: [Key: Call] = [:]

        mutating func number() -> Int {
            next += 1
            return next
        }
    }

    private let state = Mutex(State())

    func value(
        for key: Key, _ work: @escaping @Sendable () async throws(ImageError) -> Value
    ) async throws(ImageError) -> Value {
        let waiter = state.withLock { $0.number() }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { enter(key, waiter, $0, work) }
        } onCancel: {
            leave(key, waiter)
        }
        return try outcome.get()
    }

    private func enter(
        _ key: Key, _ waiter: Int, _ continuation: CheckedContinuation<Outcome, Never>,
        _ work: @escaping @Sendable () async throws(ImageError) -> Value
    ) {
        let isEntered = state.withLock { state in
            if Task.isCancelled { return false }
            var call = state.calls[key] ?? Call(number: state.number())
            call.waiters[waiter] = continuation
            if call.task == nil {
                let number = call.number
                // A task of its own: it is no single caller's, and outlives the one who came first.
                call.task = Task { await self.run(key, number, work) }
            }
            state.calls[key] = call
            return true
        }
        if !isEntered { continuation.resume(returning: .failure(.cancelled)) }
    }

    private func leave(_ key: Key, _ waiter: Int) {
        let (continuation, task) = state.withLock { state in
            let continuation = state.calls[key]?.waiters.removeValue(forKey: waiter)
            guard let call = state.calls[key], continuation != nil, call.waiters.isEmpty else {
                return (continuation, Task<Void, Never>?.none)
            }
            state.calls[key] = nil  // who comes now begins anew
            return (continuation, call.task)
        }
        task?.cancel()
        continuation?.resume(returning: .failure(.cancelled))
    }

    private func run(
        _ key: Key, _ number: Int, _ work: @Sendable () async throws(ImageError) -> Value
    ) async {
        let outcome: Outcome
        do throws(ImageError) {
            outcome = .success(try await work())
        } catch {
            outcome = .failure(error)
        }
        let waiters = state.withLock { state in
            guard state.calls[key]?.number == number else { return [CheckedContinuation<Outcome, Never>]() }
            return Array(state.calls.removeValue(forKey: key)?.waiters.values ?? [:].values)
        }
        for waiter in waiters { waiter.resume(returning: outcome) }
    }
}
