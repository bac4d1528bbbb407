internal import Client
internal import Documents
internal import Logging
internal import Seams

extension Engine {
    /// Brings about what is no child. Answers what the API refused; throws what may succeed when tried again.
    mutating func writeOthers(
        _ outcome: Outcome, _ item: Item, _ primary: Document, _ version: String, now: Instant
    ) async throws(APIError) -> [Refusal] {
        var refusals: [Refusal] = []
        for other in outcome.others.prefix(ControlLoopLimits.children) {
            do {
                switch other.intent {
                case .create(let document): try await createOther(other, document, item, now: now)
                case .apply(let document): try await applyOther(other, document, item, now: now)
                case .delete(let uid, let releasing):
                    try await deleteOther(other, uid, releasing, item, primary, version, now: now)
                }
            } catch  where [.invalid, .forbidden, .badRequest].contains(error.reason) || error.isUnfit {
                refusals.append(Refusal(key: other.key, message: error.message))
                log("other document refused", other, item, "\(error)")
            }
        }
        return refusals
    }

    private func log(_ message: Logger.Message, _ other: Other, _ item: Item, _ detail: String) {
        var details = metadata(item)
        details["document"] = "\(other.key)"
        details["reason"] = "\(other.reason)"
        details["detail"] = "\(detail)"
        logger.debug(message, metadata: details)
    }

    private mutating func createOther(
        _ other: Other, _ document: Document, _ item: Item, now: Instant
    ) async throws(APIError) {
        if cache.get(other.key) != nil { return }
        log("create", other, item, "does not exist")
        statistics.childWrites += 1
        let options = WriteOptions(fieldManager: reconcilers[item.loop].owner.name)
        do {
            let stored = try await client.create(document, options: options)
            ownWrites.expect(item, other.key, .version(stored.resourceVersion), cached: nil, now: now)
        } catch  where error.reason == .alreadyExists {
            throw .conflict(other.key.resource, other.key.name, "it was made while the cache did not show it")
        }
    }

    private mutating func applyOther(
        _ other: Other, _ document: Document, _ item: Item, now: Instant
    ) async throws(APIError) {
        let owner = reconcilers[item.loop].owner
        guard let existing = cache.get(other.key), !existing.isBeingDeleted,
            let difference = Comparison.difference(wanted: document, live: existing, owner: owner)
        else { return }
        log("apply", other, item, "\(difference)")
        statistics.childWrites += 1
        var pinned = document
        pinned.metadata["resourceVersion"] = .string(existing.resourceVersion)
        var options = WriteOptions(fieldManager: owner.name)
        options.force = true
        let stored = try await client.apply(pinned, subresource: nil, options: options)
        ownWrites.expect(item, other.key, .version(stored.resourceVersion), cached: existing, now: now)
    }

    /// As with children that are not wanted: the cache may be old, so that both are read again first.
    private mutating func deleteOther(
        _ other: Other, _ uid: String, _ releasing: [String], _ item: Item, _ primary: Document, _ version: String,
        now: Instant
    ) async throws(APIError) {
        guard let existing = cache.get(other.key), existing.uid == uid, !existing.isBeingDeleted else { return }
        let current = try await client.get(key(item))
        if current.uid != primary.uid || current.resourceVersion != version {
            throw .conflict(key(item).resource, primary.name, "it changed while it was decided what is to go")
        }
        let fresh: Document
        do { fresh = try await client.get(other.key) } catch  where error.reason == .notFound { return }
        if fresh.uid != uid || fresh.isBeingDeleted { return }
        if fresh.resourceVersion != existing.resourceVersion {
            throw .conflict(other.key.resource, other.key.name, "it changed while it was found not to be wanted")
        }
        log("delete", other, item, "is to go")
        let kept = fresh.finalizers.filter { !releasing.contains($0) }
        if kept.count < fresh.finalizers.count {
            let version = JSON.string(fresh.resourceVersion)
            let finalizers: JSON = kept.isEmpty ? .null : .array(kept.map(JSON.string))
            _ = try await client.patch(
                other.key, .merge(["metadata": ["resourceVersion": version, "finalizers": finalizers]]),
                subresource: nil, options: WriteOptions(fieldManager: reconcilers[item.loop].owner.name))
        }
        try await delete(other.key, uid: uid, item, now: now)
    }
}
