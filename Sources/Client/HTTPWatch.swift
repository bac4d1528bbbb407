internal import Documents
internal import Seams
internal import Synchronization

/// A watch over several resources of a remote API: one HTTP stream each, begun with a list. A stream that ends is
/// resumed where it stood; one whose place in history is gone makes `poll` throw `expired`, and the caller starts anew.
final class HTTPWatch: WatchStream {
    /// Where one resource's watch stands.
    struct Source: Sendable {
        let resource: GroupResource
        let path: String
        /// Events that are there but not handed out.
        var ready: [WatchEvent]
        var revision: String
        var stream: ByteStream?
        /// Whether the stream has said anything yet.
        var isFruitful = false
        /// Whether the stream before said nothing: the next one is not opened at once.
        var pauses = false
        /// The start of an event whose end has not arrived.
        var rest: [UInt8] = []

        init(resource: GroupResource, path: String, list: DocumentList) {
            self.resource = resource
            self.path = path
            ready = list.items.map { WatchEvent(.added, resource, $0) }
            revision = list.resourceVersion
        }
    }

    private struct State {
        var sources: [Source]
        var failure: APIError?
        var isCancelled = false
        var waiter: CheckedContinuation<Void, Never>?
        var wasSignalled = false
    }

    private let client: HTTPClient
    private let state: Mutex<State>

    init(client: HTTPClient, sources: [Source]) {
        self.client = client
        state = Mutex(State(sources: sources))
    }

    func poll() throws(APIError) -> [WatchEvent] {
        let result: Result<[WatchEvent], APIError> = state.withLock { state in
            state.wasSignalled = false
            var events: [WatchEvent] = []
            for position in state.sources.indices {
                state.failure = Self.read(&state.sources[position], into: &events) ?? state.failure
            }
            if events.isEmpty, let failure = state.failure { return .failure(failure) }
            return .success(events)
        }
        return try result.get()
    }

    func wait() async {
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

    func cancel() {
        let streams = state.withLock { state in
            state.isCancelled = true
            return state.sources.compactMap(\.stream)
        }
        for stream in streams { stream.cancel() }
        signal()
    }

    /// Opens a stream for every source that has none. A server that cannot be reached is tried again at the next wait.
    private func resumeStreams() async {
        let missing = state.withLock { state in
            state.isCancelled
                ? []
                : state.sources.filter { $0.stream == nil }
                    .map { ($0.resource, $0.path, $0.revision, $0.pauses) }
        }
        if missing.contains(where: \.3) { try? await SystemClock().sleep(for: ClientLimits.watchPause) }
        for (resource, path, revision, _) in missing {
            let query = HTTPClient.query([
                ("watch", "true"), ("resourceVersion", revision), ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", String(ClientLimits.watchSeconds)),
            ])
            do throws(APIError) {
                let stream = try await client.stream(path + query)
                let isWanted = state.withLock { state in
                    guard let position = state.sources.firstIndex(where: { $0.resource == resource }) else {
                        return false
                    }
                    state.sources[position].stream = stream
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

    /// Appends everything that has arrived to `events`; answers why the watch cannot go on, if it cannot.
    private static func read(_ source: inout Source, into events: inout [WatchEvent]) -> APIError? {
        events += source.ready
        source.ready = []
        guard let stream = source.stream else { return nil }
        do throws(APIError) {
            // Until nothing is left, the end included: what is seen here is not signalled again.
            while let bytes = try stream.take() {
                if bytes.isEmpty { return nil }
                source.isFruitful = true
                try read(bytes, &source, into: &events)
            }
        } catch {
            // A connection that broke is resumed like one that ended, unless it never said anything.
            if error.reason != .serviceUnavailable || !source.isFruitful { return error }
        }
        source.stream = nil
        source.pauses = !source.isFruitful
        source.isFruitful = false
        source.rest = []
        return nil
    }

    private static func read(
        _ bytes: [UInt8], _ source: inout Source, into events: inout [WatchEvent]
    ) throws(APIError) {
        source.rest += bytes
        if source.rest.count > ClientLimits.eventBytes { throw APIError.badRequest("a watch event is too large") }
        var start = 0
        while let end = source.rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = source.rest[start..<end]
            start = end + 1
            if !line.isEmpty, let event = try decode(line, &source) { events.append(event) }
        }
        source.rest.removeSubrange(..<start)
    }

    private static func decode(_ line: ArraySlice<UInt8>, _ source: inout Source) throws(APIError) -> WatchEvent? {
        guard let json = try? JSONParser.parse(line, maximumBytes: ClientLimits.eventBytes), let object = json["object"]
        else {
            throw APIError.badRequest("expected a watch event as JSON, found something else")
        }
        let type = json["type"]?.stringValue ?? ""
        if type == "ERROR" { throw APIError(status: object) ?? APIError.badRequest("the watch failed") }
        let document = Document(object)
        if !document.resourceVersion.isEmpty { source.revision = document.resourceVersion }
        return WatchEvent.Kind(rawValue: type).map { WatchEvent($0, source.resource, document) }
    }
}
