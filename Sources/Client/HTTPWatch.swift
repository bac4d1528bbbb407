package import Documents
internal import Seams
internal import Synchronization

/// A watch over several resources of a remote API, one HTTP stream each. A stream that ends is resumed where it stood; one
/// whose place in history is gone makes `poll` throw `expired`, and the caller starts anew.
package final class HTTPWatch: WatchStream {
    private struct State {
        var collections: [WatchedCollection]
        var failure: APIError?
        var isCancelled = false
        var waiter: CheckedContinuation<Void, Never>?
        /// What was there when the watch began is something to read.
        var wasSignalled = true
    }

    private let client: HTTPClient
    private let state: Mutex<State>

    init(client: HTTPClient, collections: [WatchedCollection]) {
        self.client = client
        state = Mutex(State(collections: collections))
        for stream in collections.compactMap(\.stream) { stream.observe { [weak self] in self?.signal() } }
    }

    /// Whether a change of one of its resources is still on its way here, given the newest revision of each.
    package func isBehind(_ newest: [GroupResource: UInt64]) -> Bool {
        state.withLock { state in
            state.collections.contains { (UInt64($0.events.revision) ?? 0) < newest[$0.resource] ?? 0 }
        }
    }

    package func poll() throws(APIError) -> [WatchEvent] {
        let result: Result<[WatchEvent], APIError> = state.withLock { state in
            state.wasSignalled = false
            var events: [WatchEvent] = []
            for position in state.collections.indices {
                state.failure = state.collections[position].advance() ?? state.failure
                events += state.collections[position].events.ready
                state.collections[position].events.ready = []
            }
            if events.isEmpty, let failure = state.failure { return .failure(failure) }
            return .success(events)
        }
        return try result.get()
    }

    package func wait() async {
        await resumeStreams()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.wasSignalled || state.isCancelled || state.failure != nil || Task.isCancelled {
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            signal()
        }
    }

    package func cancel() {
        let streams = state.withLock { state in
            state.isCancelled = true
            return state.collections.compactMap(\.stream)
        }
        for stream in streams { stream.cancel() }
        signal()
    }

    /// Opens a stream for every collection that has none. A server that cannot be reached is tried again at the next wait.
    private func resumeStreams() async {
        let missing = state.withLock { state in
            state.isCancelled ? [] : state.collections.filter { $0.stream == nil }
        }
        if missing.contains(where: \.pauses) { try? await SystemClock().sleep(for: ClientLimits.watchPause) }
        for collection in missing {
            let query = HTTPClient.query([
                ("watch", "true"), ("resourceVersion", collection.events.revision), ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", String(ClientLimits.watchSeconds)),
            ])
            do throws(APIError) {
                let stream = try await client.stream(collection.path + query)
                let isWanted = state.withLock { state in
                    guard
                        let position = state.collections.firstIndex(where: { $0.resource == collection.resource })
                    else { return false }
                    state.collections[position].stream = stream
                    return !state.isCancelled
                }
                if !isWanted { stream.cancel() }
                stream.observe { [weak self] in self?.signal() }
            } catch {
                state.withLock { $0.failure = error }
                signal()
            }
        }
    }

    private func signal() {
        let waiter = state.withLock { state in
            state.wasSignalled = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
