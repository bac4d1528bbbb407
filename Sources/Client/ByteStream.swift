package import Documents
internal import NIOCore
internal import Synchronization

/// The body of an answer that is still arriving: a watch, a log that is followed. Filled on the connection's event
/// loop, emptied by one reader. Holds at most `ClientLimits.streamedBytes` and one read; beyond that the connection
/// stops reading until the reader catches up, so that a slow reader slows the server and costs no memory.
package final class ByteStream: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var ending: Result<Void, APIError>?
        var isPaused = false
        var waiter: CheckedContinuation<Void, Never>?
        var observer: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let channel: any Channel

    init(channel: any Channel) { self.channel = channel }

    /// What has arrived and was not taken yet; `nil` once the stream has ended and everything was taken.
    package func take() throws(APIError) -> [UInt8]? {
        let (bytes, ending, resumes) = state.withLock { state in
            let bytes = state.bytes
            state.bytes = []
            let resumes = state.isPaused
            state.isPaused = false
            return (bytes, state.ending, resumes)
        }
        if resumes { channel.setOption(.autoRead, value: true).whenFailure { _ in } }
        if !bytes.isEmpty { return bytes }
        guard let ending else { return [] }
        try ending.get()
        return nil
    }

    /// The next bytes; `nil` at the end.
    package func next() async throws(APIError) -> [UInt8]? {
        while true {
            guard let bytes = try take() else { return nil }
            if !bytes.isEmpty { return bytes }
            await wait()
        }
    }

    /// Returns once `take` has something to say, or the task is cancelled.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.bytes.isEmpty || state.ending != nil || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiter.take() }?.resume()
        }
    }

    /// Calls `observer`, on any thread, whenever `take` may have something new to say.
    func observe(_ observer: @escaping @Sendable () -> Void) {
        state.withLock { $0.observer = observer }
        observer()
    }

    /// Ends the stream from the reader's side and closes its connection.
    package func cancel() {
        finish(.success(()))
        channel.close(promise: nil)
    }

    func push(_ buffer: ByteBuffer) {
        let (waiter, observer, pauses) = state.withLock { state in
            state.bytes.append(contentsOf: buffer.readableBytesView)
            let pauses = state.bytes.count > ClientLimits.streamedBytes && !state.isPaused
            if pauses { state.isPaused = true }
            return (state.waiter.take(), state.observer, pauses)
        }
        if pauses { channel.setOption(.autoRead, value: false).whenFailure { _ in } }
        waiter?.resume()
        observer?()
    }

    func finish(_ ending: Result<Void, APIError>) {
        let (waiter, observer) = state.withLock { state in
            if state.ending == nil { state.ending = ending }
            return (state.waiter.take(), state.observer)
        }
        waiter?.resume()
        observer?()
    }
}
