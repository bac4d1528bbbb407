internal import Documents
internal import NIOCore
internal import NIOHTTP1
internal import Seams
internal import Store

extension APIExchange {
    func watch(_ resource: ServedResource, _ path: ResourcePath) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"))
        try ListOptionsRules.check(query, isWatch: true)
        var fieldSelector = query["fieldSelector"]
        if let name = path.name {
            fieldSelector = "metadata.name=\(name)" + (fieldSelector.isEmpty ? "" : ",\(fieldSelector)")
        }
        let selection = try Selection(labelSelector: query["labelSelector"], fieldSelector: fieldSelector, resource)
        let version = query["resourceVersion"]
        if !version.isEmpty { _ = try Self.revision(version) }
        let included = try Table.included(query["includeObject"])
        let seconds = try query.integer("timeoutSeconds") ?? 0
        let jitter = Int64(pipeline.random.next(below: Int(APIServerLimits.watchMinimumSeconds)))
        let events = WatchEvents(
            resource: resource, selection: selection, form: representation.form, included: included,
            sendsBookmarks: query.flag("allowWatchBookmarks"))
        let watch = WatchResponse(
            self, events, namespace: path.namespace ?? "",
            duration: .seconds(seconds > 0 ? min(seconds, 86_400) : APIServerLimits.watchMinimumSeconds + jitter))
        let isAnyRevision = version.isEmpty || version == "0"
        let sendsInitialEvents = query.has("sendInitialEvents") ? query.flag("sendInitialEvents") : isAnyRevision
        let now = pipeline.store.durableRevision
        let start = sendsInitialEvents ? nil : isAnyRevision ? now : Revision(version)
        watch.start(after: start, marksInitialEvents: query.flag("sendInitialEvents"))
    }
}

/// The event of a change for all who watch everything, in the version that is stored.
private struct StandardEvent: Sendable {
    let line: [UInt8]
}

/// What a watch says of changes: which of them, and in which shape. Changes of what was selected before and is no more
/// are deletions to whoever watches a selection, and the reverse.
struct WatchEvents {
    enum Kind: String { case added = "ADDED", modified = "MODIFIED", deleted = "DELETED" }

    let resource: ServedResource
    let selection: Selection
    let form: Representation.Form
    let included: Table.IncludedObject
    let sendsBookmarks: Bool

    /// The event of a document that was there when the watch began; `nil` when it is not selected.
    func initial(_ entry: Entry, isFirst: Bool, now: Instant) throws(APIError) -> [UInt8]? {
        if !selection.isEverything, !selection.matches(try APIPipeline.decode(entry, resource)) { return nil }
        return try event(.added, APIPipeline.bytes(entry), isFirst: isFirst, now: now)
    }

    /// The event of a change; `nil` when nobody who watches this selection sees it.
    func event(_ change: Change, isFirst: Bool, now: Instant) throws(APIError) -> [UInt8]? {
        if selection.isEverything {
            let kind: Kind = change.kind == .delete ? .deleted : change.isCreate ? .added : .modified
            guard case .document = form, resource.isStorageVersion, !resource.mayHoldOldVersions else {
                return try event(kind, APIPipeline.bytes(change), isFirst: isFirst, now: now)
            }
            // The same for all who watch so, and they are the most: made once.
            return try change.shared { () throws(APIError) in
                StandardEvent(line: line(kind.rawValue, try APIPipeline.bytes(change)))
            }.line
        }
        let value = try APIPipeline.bytes(change)
        var was = false
        if let previous = change.previousEntry { was = try isSelected(try APIPipeline.bytes(previous)) }
        let isNow = change.kind == .put ? try isSelected(value) : false
        switch (was, isNow) {
        case (false, false): return nil
        case (false, true): return try event(.added, value, isFirst: isFirst, now: now)
        case (true, true): return try event(.modified, value, isFirst: isFirst, now: now)
        case (true, false):
            if change.kind == .delete { return try event(.deleted, value, isFirst: isFirst, now: now) }
            return try event(.deleted, departed(change), isFirst: isFirst, now: now)
        }
    }

    /// What it was when it was last selected, with the revision of the change that ended that.
    private func departed(_ change: Change) throws(APIError) -> [UInt8] {
        guard let previous = change.previousEntry else { return try APIPipeline.bytes(change) }
        let document = APIPipeline.withRevision(try APIPipeline.decode(previous), change.revision)
        return EncodedDocument(document).bytes(at: change.revision)
    }

    private func isSelected(_ value: [UInt8]) throws(APIError) -> Bool { selection.matches(try decode(value)) }

    private func decode(_ value: [UInt8]) throws(APIError) -> Document {
        guard let json = try? JSONParser.parse(value) else {
            throw APIPipeline.internalError("a stored document cannot be read")
        }
        return try VersionConversion.served(Document(json), as: resource)
    }

    private func event(_ kind: Kind, _ value: [UInt8], isFirst: Bool, now: Instant) throws(APIError) -> [UInt8] {
        switch form {
        case .table(let version):
            let document = try decode(value)
            let table = Table(resource, version: version, included: included, now: now)
            let metadata: JSON = ["resourceVersion": .string(document.resourceVersion)]
            return line(kind.rawValue, table.json([document], metadata: metadata, columns: isFirst).encoded)
        case .partialMetadata(let version, _):
            return line(kind.rawValue, PartialMetadata.json(try decode(value), version: version).encoded)
        default:
            return line(kind.rawValue, resource.isCurrent(value) ? value : try decode(value).json.encoded)
        }
    }

    /// Wants everything at once that a webhook has to convert of these changes.
    func prepare(_ changes: [Change], now: Instant) throws(APIError) {
        try resource.conversions?.each(changes) { change throws(APIError) in
            _ = try event(change, isFirst: false, now: now)
        }
    }

    /// As `prepare`, of documents that were there when the watch began.
    func prepare(_ entries: ArraySlice<Entry>, now: Instant) throws(APIError) {
        try resource.conversions?.each(entries) { entry throws(APIError) in
            _ = try initial(entry, isFirst: false, now: now)
        }
    }

    /// Says how far the watch has come, so that it can be resumed there.
    func bookmark(_ revision: Revision, endsInitialEvents: Bool) -> [UInt8] {
        var metadata: JSONObject = [:]
        if endsInitialEvents { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
        metadata["resourceVersion"] = .string(revision.description)
        var object: JSON = [
            "apiVersion": .string(resource.apiVersion), "kind": .string(resource.kind.kind),
            "metadata": .object(metadata),
        ]
        switch form {
        case .partialMetadata(let version, _): object = PartialMetadata.json(Document(object), version: version)
        case .table(let version):
            object = [
                "kind": "Table", "apiVersion": .string("meta.k8s.io/\(version)"),
                "metadata": ["resourceVersion": .string(revision.description)], "columnDefinitions": .null,
                "rows": [["cells": [], "object": object]],
            ]
        default: break
        }
        return line("BOOKMARK", object.encoded)
    }

    func error(_ error: APIError) -> [UInt8] { line("ERROR", error.status.encoded) }

    private func line(_ kind: String, _ object: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(object.count + 40)
        bytes.append(contentsOf: "{\"type\":\"\(kind)\",\"object\":".utf8)
        bytes.append(contentsOf: object)
        bytes.append(contentsOf: "}\n".utf8)
        return bytes
    }
}

/// A running watch over HTTP: reads its cursor on the event loop of its connection, as far as the client keeps up. While
/// the client is behind, the watch costs a position in the log and no memory.
final class WatchResponse {
    private let exchange: APIExchange
    private let events: WatchEvents
    private let namespace: String
    private let duration: TimeAmount
    private var cursor: Cursor?
    private var initial: [Entry] = []
    private var sentInitial = 0
    private var marksInitialEvents = false
    /// Changes that the cursor has given and the client has not.
    private var changes: [Change] = []
    /// Whether a webhook is being asked; nothing is sent meanwhile.
    private var isConverting = false
    private var isFirst = true
    private var isArmed = false
    private var timers: [Scheduled<Void>] = []
    private var bookmarks: RepeatedTask?

    private var response: ResponseWriter { exchange.response }
    private var store: Keyspace { exchange.pipeline.store }

    init(_ exchange: APIExchange, _ events: WatchEvents, namespace: String, duration: TimeAmount) {
        self.exchange = exchange
        self.events = events
        self.namespace = namespace
        self.duration = duration
    }

    /// `revision` is where the client has come to; `nil` begins with what is there.
    func start(after revision: Revision?, marksInitialEvents: Bool) {
        response.begin(.ok, exchange.headers("application/json"))
        self.marksInitialEvents = marksInitialEvents
        let prefix = events.resource.prefix(namespace: namespace)
        do throws(StoreError) {
            var after = revision
            if after == nil {
                let snapshot = store.snapshot(.durable)
                initial = snapshot.list(prefix: prefix)
                after = snapshot.revision
            }
            cursor = try store.watch(prefixes: [prefix], after: after ?? .empty, visibility: .durable)
        } catch {
            return end(with: error, revision)
        }
        schedule()
        pump()
    }

    private func schedule() {
        let loop = response.eventLoop
        let bound = NIOLoopBound(self, eventLoop: loop)
        timers.append(loop.scheduleTask(in: duration) { bound.value.finish() })
        if events.sendsBookmarks {
            bookmarks = loop.scheduleRepeatedTask(
                initialDelay: APIServerLimits.bookmarkInterval, delay: APIServerLimits.bookmarkInterval
            ) { _ in bound.value.sendBookmark() }
        }
        response.onWritable { [self] in pump() }
        response.onClose { [self] in stop() }
    }

    private func stop() {
        cursor?.cancel()
        cursor = nil
        for timer in timers { timer.cancel() }
        timers = []
        bookmarks?.cancel()
        bookmarks = nil
        response.onWritable {}
    }

    private func finish() {
        guard cursor != nil else { return }
        if events.sendsBookmarks { sendBookmark() }
        stop()
        response.end()
    }

    private func sendBookmark() {
        guard let cursor, sentInitial == initial.count, changes.isEmpty, response.isWritable else { return }
        response.write(ByteBuffer(bytes: events.bookmark(cursor.revision, endsInitialEvents: false)))
    }

    /// Sends what there is, as long as the client takes it.
    private func pump() {
        guard let cursor, !isConverting else { return }
        do throws(APIError) {
            try pumpInitial(cursor)
            while response.isWritable, sentInitial == initial.count {
                if changes.isEmpty { changes = try poll(cursor) }
                if changes.isEmpty { return arm(cursor) }
                try sendChanges()
            }
        } catch {
            if error == Conversions.missing { convert() } else { end(with: error) }
        }
    }

    private func sendChanges() throws(APIError) {
        try events.prepare(changes, now: now)
        var buffer = ByteBuffer()
        for change in changes {
            guard let bytes = try events.event(change, isFirst: isFirst, now: now) else { continue }
            isFirst = false
            buffer.writeBytes(bytes)
        }
        changes = []
        events.resource.conversions?.forget()
        response.write(buffer)
    }

    private func convert() {
        isConverting = true
        exchange.convert(events.resource) { [self] failure in
            isConverting = false
            if cursor == nil { return }
            if let failure { end(with: failure) } else { pump() }
        }
    }

    private func pumpInitial(_ cursor: Cursor) throws(APIError) {
        while sentInitial < initial.count, response.isWritable {
            let end = min(initial.count, sentInitial + APIServerLimits.conversionDocuments)
            try events.prepare(initial[sentInitial..<end], now: now)
            var buffer = ByteBuffer()
            while sentInitial < end, buffer.readableBytes < APIServerLimits.streamHighWatermark {
                if let bytes = try events.initial(initial[sentInitial], isFirst: isFirst, now: now) {
                    isFirst = false
                    buffer.writeBytes(bytes)
                }
                sentInitial += 1
            }
            if sentInitial == end { events.resource.conversions?.forget() }
            response.write(buffer)
        }
        guard sentInitial == initial.count else { return }
        initial = []
        sentInitial = 0
        if marksInitialEvents {
            marksInitialEvents = false
            if events.sendsBookmarks {
                response.write(ByteBuffer(bytes: events.bookmark(cursor.revision, endsInitialEvents: true)))
            }
        }
    }

    private var now: Instant { exchange.pipeline.clock.now() }

    private func poll(_ cursor: Cursor) throws(APIError) -> [Change] {
        do throws(StoreError) {
            return try cursor.poll()
        } catch {
            throw Self.refusal(error, cursor.revision, store)
        }
    }

    private func arm(_ cursor: Cursor) {
        if isArmed { return }
        isArmed = true
        let bound = NIOLoopBound(self, eventLoop: response.eventLoop)
        cursor.onChange {
            bound.eventLoop.execute {
                bound.value.isArmed = false
                bound.value.pump()
            }
        }
    }

    private func end(with error: StoreError, _ revision: Revision?) {
        end(with: Self.refusal(error, revision ?? .empty, store))
    }

    private func end(with error: APIError) {
        response.write(ByteBuffer(bytes: events.error(error)))
        stop()
        response.end()
    }

    private static func refusal(_ error: StoreError, _ revision: Revision, _ store: Keyspace) -> APIError {
        if case .compacted = error {
            return .expired("too old resource version: \(revision) (\(store.compactedRevision))")
        }
        return APIError(error)
    }
}
