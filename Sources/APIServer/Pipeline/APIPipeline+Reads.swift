package import Documents
package import Store

/// What a list asks for.
package struct ListRequest: Sendable {
    package enum Match: String, Sendable { case exact = "Exact", notOlderThan = "NotOlderThan" }

    package var namespace = ""
    package var selection = Selection.everything
    /// 0: no limit.
    package var limit = 0
    package var continuation = ""
    package var resourceVersion = ""
    package var match: Match?

    package init() {}
}

/// A page of a list, all of one revision.
package struct ListAnswer: Sendable {
    package var entries: [Entry]
    package var revision: Revision
    /// Where the next page begins; empty at the end.
    package var continuation: String
    /// How many follow; `nil` where a selector makes it unknown.
    package var remaining: Int?
}

extension APIPipeline {
    /// The stored entry of a document.
    package func get(_ key: ObjectKey, _ visibility: Keyspace.Visibility) throws(APIError) -> Entry {
        guard let entry = store.snapshot(visibility).get(StoreKey(key)) else { throw .notFound(key.resource, key.name) }
        return entry
    }

    package func list(
        _ resource: ServedResource, _ request: ListRequest, _ visibility: Keyspace.Visibility
    ) throws(APIError) -> ListAnswer {
        let start = try request.continuation.isEmpty ? nil : ContinueToken(parsing: request.continuation, resource)
        let snapshot = try snapshot(for: request, start, visibility)
        let prefix = resource.prefix(namespace: request.namespace)
        if start == nil, let name = request.selection.exactName, !request.namespace.isEmpty || !resource.isNamespaced {
            let key = resource.key(namespace: request.namespace, name: name)
            var found: [Entry] = []
            if let entry = snapshot.get(StoreKey(key)), try isSelected(entry, request.selection, resource) {
                found = [entry]
            }
            return ListAnswer(entries: found, revision: snapshot.revision, continuation: "", remaining: nil)
        }
        var entries: [Entry] = []
        var after = start?.key
        var isEnd = false
        while !isEnd {
            let page = snapshot.list(
                prefix: prefix, after: after, limit: request.limit > 0 ? request.limit - entries.count + 1 : nil)
            isEnd = request.limit == 0 || page.count <= request.limit - entries.count
            if resource.conversions != nil, !request.selection.isEverything { _ = try Self.decode(page, resource) }
            for entry in page {
                if request.limit > 0, entries.count == request.limit {
                    return self.page(entries, snapshot, request, resource)
                }
                after = entry.key
                if try isSelected(entry, request.selection, resource) {
                    entries.append(entry)
                }
            }
        }
        return ListAnswer(entries: entries, revision: snapshot.revision, continuation: "", remaining: nil)
    }

    private func isSelected(_ entry: Entry, _ selection: Selection, _ resource: ServedResource) throws(APIError) -> Bool
    {
        if selection.isEverything { return true }
        return selection.matches(try Self.decode(entry, resource))
    }

    /// A page that is full, while more follows.
    private func page(_ entries: [Entry], _ snapshot: Snapshot, _ request: ListRequest, _ resource: ServedResource)
        -> ListAnswer
    {
        guard let last = entries.last else {
            return ListAnswer(entries: [], revision: snapshot.revision, continuation: "", remaining: nil)
        }
        let prefix = resource.prefix(namespace: request.namespace)
        let token = ContinueToken(revision: snapshot.revision, key: last.key, resource)
        var remaining: Int?
        if request.selection.isEverything {
            let following =
                request.continuation.isEmpty
                ? snapshot.count(prefix: prefix) - entries.count
                : snapshot.count(prefix: prefix, after: last.key)
            remaining = following
        }
        return ListAnswer(entries: entries, revision: snapshot.revision, continuation: token.text, remaining: remaining)
    }

    private func snapshot(
        for request: ListRequest, _ start: ContinueToken?, _ visibility: Keyspace.Visibility
    ) throws(APIError) -> Snapshot {
        do throws(StoreError) {
            if let start {
                guard let revision = start.revision else { return store.snapshot(visibility) }
                return try store.snapshot(at: revision)
            }
            if request.match == .exact, let revision = Revision(request.resourceVersion) {
                if revision > store.snapshot(visibility).revision { throw StoreError.future(revision) }
                return try store.snapshot(at: revision)
            }
            let snapshot = store.snapshot(visibility)
            if let revision = Revision(request.resourceVersion), revision > snapshot.revision {
                throw StoreError.future(revision)
            }
            return snapshot
        } catch {
            if case .compacted = error, let start { throw Self.expiredToken(start) }
            if case .future(let revision) = error {
                var refusal = APIError(error)
                refusal.message =
                    "Timeout: Too large resource version: \(revision), current: \(store.snapshot(visibility).revision)"
                throw refusal
            }
            throw APIError(error)
        }
    }

    private static func expiredToken(_ start: ContinueToken) -> APIError {
        .expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
                + "the continue parameter, or use the continue token in this response to retrieve the remainder of the "
                + "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
                + "modified, or deleted between the time the first chunk was returned and now may show up in the list.")
    }
}

/// Where a page ended: opaque to clients, in the form of upstream.
struct ContinueToken {
    /// `nil`: go on in the present, at the price of consistency.
    let revision: Revision?
    let key: StoreKey
    private let start: String

    init(revision: Revision, key: StoreKey, _ resource: ServedResource) {
        self.revision = revision
        self.key = key
        let object = key.objectKey
        start = (resource.isNamespaced ? "\(object.namespace)/" : "") + "\(object.name)\u{0}"
    }

    init(parsing text: String, _ resource: ServedResource) throws(APIError) {
        let refusal = "invalid continue token: continue key is not valid:"
        guard let bytes = Base64.decodeURL(text) else {
            throw .badRequest("\(refusal) it is not base64")
        }
        let json: JSON
        do throws(JSONParseError) {
            json = try JSONParser.parse(bytes)
        } catch {
            throw .badRequest("\(refusal) \(error.goDescription)")
        }
        guard json["v"]?.stringValue == "meta.k8s.io/v1", let version = json["rv"]?.integerValue,
            let start = json["start"]?.stringValue
        else { throw .badRequest("\(refusal) it was not made by this server") }
        revision = version > 0 ? Revision(rawValue: UInt64(version)) : nil
        self.start = start
        var parts = start.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if parts.count == 1 { parts.insert("", at: 0) }
        if parts[1].hasSuffix("\u{0}") { parts[1].removeLast() }
        key = StoreKey(resource.key(namespace: parts[0], name: parts[1]))
    }

    var text: String {
        let json: JSON = [
            "v": "meta.k8s.io/v1", "rv": .integer(Int64(revision?.rawValue ?? 0)), "start": .string(start),
        ]
        return Base64.encodeURL(json.encoded)
    }
}
