package import Client
package import Documents
internal import Synchronization

/// The real client with an old view: its watch first shows a recorded past, and the present only when it is let. Reads and
/// writes go to the present all along, as they do for a process whose caches lag.
package final class StaleClient: Client {
    private let client: any Client
    private let stream: StaleWatch

    /// `past` is what a watch showed some time ago, `future` what came after that.
    package init(_ client: any Client, past: [WatchEvent], future: [WatchEvent]) {
        self.client = client
        stream = StaleWatch(past: past, future: future)
    }

    /// Lets the watch catch up with everything that was recorded; from there on it shows what happens.
    package func catchUp(_ live: any WatchStream) { stream.catchUp(live) }

    package func resource(for kind: GroupVersionKind) async throws(APIError) -> ResourceInformation {
        try await client.resource(for: kind)
    }
    package func get(_ key: ObjectKey) async throws(APIError) -> Document { try await client.get(key) }
    package func list(
        _ resource: GroupResource, namespace: String, options: ListOptions
    ) async throws(APIError) -> DocumentList {
        try await client.list(resource, namespace: namespace, options: options)
    }
    package func watch(_ resources: [GroupResource], options: WatchOptions) async throws(APIError) -> any WatchStream {
        stream
    }
    package func create(_ document: Document, options: WriteOptions) async throws(APIError) -> Document {
        try await client.create(document, options: options)
    }
    package func update(
        _ document: Document, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        try await client.update(document, subresource: subresource, options: options)
    }
    package func patch(
        _ key: ObjectKey, _ patch: Patch, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        try await client.patch(key, patch, subresource: subresource, options: options)
    }
    package func apply(
        _ document: Document, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        try await client.apply(document, subresource: subresource, options: options)
    }
    package func delete(_ key: ObjectKey, options: DeleteOptions) async throws(APIError) {
        try await client.delete(key, options: options)
    }
}

/// A watch that shows a recorded past until it may show the rest.
private final class StaleWatch: WatchStream {
    private struct State {
        var ready: [WatchEvent]
        var held: [WatchEvent]
        var live: (any WatchStream)?
    }

    private let state: Mutex<State>

    init(past: [WatchEvent], future: [WatchEvent]) { state = Mutex(State(ready: past, held: future)) }

    func catchUp(_ live: any WatchStream) {
        state.withLock { state in
            state.ready += state.held
            state.held = []
            state.live = live
        }
    }

    func poll() throws(APIError) -> [WatchEvent] {
        let (events, live) = state.withLock { state in
            defer { state.ready = [] }
            return (state.ready, state.live)
        }
        return events + (try live?.poll() ?? [])
    }

    func wait() async {}
    func cancel() { state.withLock { $0.live }?.cancel() }
}
