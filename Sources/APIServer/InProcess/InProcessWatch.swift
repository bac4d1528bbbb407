internal import Client
internal import Documents
internal import Store
internal import Synchronization

/// A watch over several resources through one cursor: every batch is a run of whole revisions over all of them, so a loop
/// that has read to the end has seen the store as it was at one revision.
final class InProcessWatch: WatchStream {
    private struct State {
        /// What was there when the watch began, until it is handed out.
        var initial: [WatchEvent]
        var isCancelled = false
        var wasSignalled = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let cursor: Cursor
    private let resources: [GroupResource: ServedResource]
    private let state: Mutex<State>

    init(_ store: Keyspace, _ watched: [ServedResource], _ options: WatchOptions) throws(APIError) {
        let visibility: Keyspace.Visibility = options.visibility == .durable ? .durable : .sequenced
        let snapshot = store.snapshot(visibility)
        let prefixes = watched.map { $0.prefix(namespace: options.namespace) }
        var initial: [WatchEvent] = []
        for (resource, prefix) in zip(watched, prefixes) {
            for entry in snapshot.list(prefix: prefix) {
                initial.append(WatchEvent(.added, resource.groupResource, try APIPipeline.decode(entry, resource)))
            }
        }
        do throws(StoreError) {
            cursor = try store.watch(prefixes: prefixes, after: snapshot.revision, visibility: visibility)
        } catch {
            throw APIError(error)
        }
        resources = Dictionary(watched.map { ($0.groupResource, $0) }) { first, _ in first }
        state = Mutex(State(initial: initial))
    }

    func poll() throws(APIError) -> [WatchEvent] {
        var events = state.withLock { state in
            state.wasSignalled = false
            defer { state.initial = [] }
            return state.initial
        }
        while true {
            let changes: [Change]
            do throws(StoreError) {
                changes = try cursor.poll()
            } catch {
                throw APIError(error)
            }
            if changes.isEmpty { return events }
            for change in changes { events.append(try event(change)) }
        }
    }

    private func event(_ change: Change) throws(APIError) -> WatchEvent {
        let key = change.key.objectKey
        let bytes = try APIPipeline.bytes(change)
        guard let resource = resources[key.resource], let json = try? JSONParser.parse(bytes) else {
            throw APIPipeline.internalError("\(key) changed to something unreadable")
        }
        let document = try VersionConversion.served(Document(json), as: resource)
        let kind: WatchEvent.Kind = change.kind == .delete ? .deleted : change.isCreate ? .added : .modified
        return WatchEvent(kind, key.resource, document)
    }

    func wait() async {
        cursor.onChange { [weak self] in self?.signal() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.wasSignalled || state.isCancelled || !state.initial.isEmpty || Task.isCancelled {
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
        cursor.cancel()
        state.withLock { $0.isCancelled = true }
        signal()
    }

    private func signal() {
        let waiter = state.withLock { state in
            state.wasSignalled = true
            return state.waiter.take()
        }
        waiter?.resume()
    }
}
