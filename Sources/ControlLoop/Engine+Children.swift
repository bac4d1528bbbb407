internal import Client
internal import Documents
internal import Logging
internal import Seams

extension Engine {
    /// Applies and creates what differs, in the order of the outcome. Answers what the API refused; throws what may
    /// succeed when tried again.
    mutating func writeChildren(
        _ outcome: Outcome, _ item: Item, _ primary: Document, now: Instant
    ) async throws(APIError) -> [Refusal] {
        var refusals: [Refusal] = []
        let owner = OwnerReference(controller: primary)
        for child in outcome.children.prefix(ControlLoopLimits.children) {
            do {
                switch child.intent {
                case .keep: break
                case .apply(let document):
                    try await apply(child, owned(document, owner), item, primary, now: now)
                case .create(let document):
                    try await create(child, owned(document, owner), item, primary, now: now)
                }
            } catch  where [.invalid, .forbidden, .badRequest, .alreadyExists].contains(error.reason) || error.isUnfit {
                refusals.append(Refusal(key: child.key, message: error.message))
                var details = metadata(item)
                details["child"] = "\(child.key)"
                details["error"] = "\(error)"
                logger.warning("child refused", metadata: details)
            }
        }
        return refusals
    }

    private func owned(_ document: Document, _ owner: OwnerReference) -> Document {
        var result = document
        result.metadata["ownerReferences"] = [owner.json]
        return result
    }

    /// Whether the child may be written: it is not there, or it is ours and stays. Throws where it is somebody else's.
    private func mayWrite(_ child: Child, _ existing: Document?, _ primary: Document) throws(APIError) -> Bool {
        guard let existing else { return true }
        if existing.isBeingDeleted { return false }  // its end brings us back
        guard let controller = existing.controller else {
            throw APIError(
                code: 409, reason: .alreadyExists,
                message: "\(child.key) exists and is not part of \(primary.kind) \(primary.name): rename or delete it")
        }
        if controller.uid == primary.uid { return true }
        // Of an earlier incarnation.
        if controller.kind == primary.kind, controller.name == primary.name { return false }
        throw APIError(
            code: 409, reason: .alreadyExists,
            message: "\(child.key) exists and is part of \(controller.kind) \(controller.name): rename one of the two")
    }

    private mutating func apply(
        _ child: Child, _ document: Document, _ item: Item, _ primary: Document, now: Instant
    ) async throws(APIError) {
        let owner = reconcilers[item.loop].owner
        let existing = cache.get(child.key)
        guard try mayWrite(child, existing, primary) else { return }
        var difference = "does not exist"
        let hash = StableHash.of(document.json.encoded)
        if let existing {
            switch Comparison.difference(wanted: document, live: existing, owner: owner) {
            case nil: return
            case .insideAtomic(let path):
                if let memory = remembered[child.key], memory.uid == existing.uid, memory.hash == hash { return }
                difference = path
            case .field(let path): difference = path
            }
        }
        var details = metadata(item)
        details["child"] = "\(child.key)"
        details["difference"] = "\(difference)"
        details["reason"] = "\(child.reason)"
        logger.debug("apply", metadata: details)
        statistics.childWrites += 1
        var options = WriteOptions(fieldManager: owner.name)
        options.force = true
        let stored = try await client.apply(
            try await pinned(document, to: existing, child.key), subresource: nil, options: options)
        remembered[child.key] = (stored.uid, hash)
        ownWrites.expect(item, child.key, .version(stored.resourceVersion), cached: existing, now: now)
    }

    /// The document as a write that succeeds only on what the cache shows. A cache that is behind must neither bring back
    /// what somebody has changed since, nor take over what was made since for a primary of the same name.
    private func pinned(_ document: Document, to existing: Document?, _ key: ObjectKey) async throws(APIError)
        -> Document
    {
        var document = document
        if let existing {
            document.metadata["resourceVersion"] = .string(existing.resourceVersion)
            return document
        }
        do { _ = try await client.get(key) } catch  where error.reason == .notFound { return document }
        throw .conflict(key.resource, key.name, "it was made while the cache did not show it")
    }

    private mutating func create(
        _ child: Child, _ document: Document, _ item: Item, _ primary: Document, now: Instant
    ) async throws(APIError) {
        let existing = cache.get(child.key)
        guard try mayWrite(child, existing, primary), existing == nil else { return }
        var details = metadata(item)
        details["child"] = "\(child.key)"
        details["reason"] = "\(child.reason)"
        logger.debug("create", metadata: details)
        statistics.childWrites += 1
        let stored: Document
        do {
            stored = try await client.create(
                document, options: WriteOptions(fieldManager: reconcilers[item.loop].owner.name))
        } catch  where error.reason == .alreadyExists {
            // The cache is behind. Whether what stands there is ours is decided when it has caught up.
            throw .conflict(child.key.resource, child.key.name, "it was made while the cache did not show it")
        }
        ownWrites.expect(item, child.key, .version(stored.resourceVersion), cached: nil, now: now)
    }

    /// Deletes the primary's children that are no longer wanted. The cache may be old, so that both the primary and the
    /// child are read again first: a decision about an older primary deletes nothing, and a child of the same name with
    /// another UID or another owner is left alone.
    mutating func deleteUnwanted(
        _ outcome: Outcome, _ item: Item, _ primary: Document, _ version: String, _ children: [OwnedDocument],
        now: Instant
    ) async throws(APIError) {
        let wanted = Set(outcome.children.map(\.key))
        let unwanted = children.filter { !wanted.contains($0.key) && !$0.document.isBeingDeleted }
        if unwanted.isEmpty { return }
        let current = try await client.get(key(item))
        if current.uid != primary.uid || current.resourceVersion != version {
            throw .conflict(key(item).resource, primary.name, "it changed while its children were being compared")
        }
        for child in unwanted {
            let fresh: Document
            do { fresh = try await client.get(child.key) } catch  where error.reason == .notFound { continue }
            if fresh.uid != child.document.uid || fresh.controller?.uid != primary.uid || fresh.isBeingDeleted {
                continue
            }
            if fresh.resourceVersion != child.document.resourceVersion {
                throw .conflict(child.key.resource, child.key.name, "it changed while it was found not to be wanted")
            }
            var details = metadata(item)
            details["child"] = "\(child.key)"
            logger.debug("delete", metadata: details)
            try await delete(child.key, uid: fresh.uid, item, now: now)
        }
    }

    mutating func delete(_ key: ObjectKey, uid: String, _ item: Item, now: Instant) async throws(APIError) {
        statistics.childDeletes += 1
        do {
            try await client.delete(key, options: DeleteOptions(uid: uid))
        } catch  where error.reason == .notFound {
            // Gone already: what was wanted.
        }
        ownWrites.expect(item, key, .gone(uid: uid), cached: cache.get(key), now: now)
    }
}
