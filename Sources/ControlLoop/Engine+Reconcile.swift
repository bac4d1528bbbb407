internal import Client
internal import Documents
internal import Logging
internal import Seams

extension Engine {
    /// One pass over one primary: observe, decide, bring about.
    mutating func reconcile(_ item: Item, now: Instant) async {
        guard let primary = cache.get(key(item)) else { return queue.forget(item) }
        statistics.reconciles += 1
        let children = cache.controlled(by: primary.uid).filter { isChildKind($0.key.resource, of: item.loop) }
        let outcome = reconcilers[item.loop].decide(
            primary, children: children, refusals: [], view: View(cache), now: now)
        do {
            try await bringAbout(outcome, item, primary, children, now: now)
        } catch {
            statistics.failures += 1
            let due = queue.failed(item, now: now)
            var details = metadata(item)
            details["error"] = "\(error)"
            details["again"] = "\(due - now)"
            logger.debug("reconcile failed, will try again", metadata: details)
        }
    }

    private func isChildKind(_ resource: GroupResource, of loop: Int) -> Bool {
        reconcilers[loop].interests.contains { $0.isChild && $0.resource == resource }
    }

    private mutating func bringAbout(
        _ outcome: Outcome, _ item: Item, _ primary: Document, _ children: [OwnedDocument], now: Instant
    ) async throws(APIError) {
        var final = outcome
        var refusals: [Refusal] = []
        var version = primary.resourceVersion
        if !primary.isBeingDeleted {
            version = try await writePrimary(outcome, item, primary, version, now: now)
            refusals = try await writeOthers(outcome, item, primary, version, now: now)
            refusals += try await writeChildren(outcome, item, primary, now: now)
            try await deleteUnwanted(outcome, item, primary, version, children, now: now)
            if !refusals.isEmpty {
                final = reconcilers[item.loop].decide(
                    primary, children: children, refusals: refusals, view: View(cache), now: now)
            }
        }
        for event in final.events.prefix(ControlLoopLimits.eventsPerReconcile) {
            await write(event, about: primary, item, now: now)
        }
        if let status = final.status { version = try await write(status: status, item, primary, version, now: now) }
        if primary.isBeingDeleted { _ = try await writePrimary(final, item, primary, version, now: now) }
        if final.isExpired, !primary.isBeingDeleted { try await delete(key(item), uid: primary.uid, item, now: now) }
        if let wakeAt = final.wakeAt { queue.add(item, at: wakeAt) }
        if refusals.isEmpty {
            queue.succeeded(item)
        } else {
            statistics.failures += 1
            queue.failed(item, now: now)
        }
    }

    /// The loop's own finalizers, annotations and fields on the primary, and the finalizers it lets go. Takes and answers the primary's version: a write of
    /// somebody else in between is a conflict, and the loop decides again.
    private mutating func writePrimary(
        _ outcome: Outcome, _ item: Item, _ primary: Document, _ version: String, now: Instant
    ) async throws(APIError) -> String {
        let loop = reconcilers[item.loop]
        var metadata: JSONObject = ["name": .string(primary.name), "resourceVersion": .string(version)]
        if !primary.namespace.isEmpty { metadata["namespace"] = .string(primary.namespace) }
        if !outcome.annotations.isEmpty {
            let sorted = outcome.annotations.sorted { $0.key < $1.key }
            metadata["annotations"] = .object(JSONObject(sorted.map { ($0.key, JSON.string($0.value)) }))
        }
        if !outcome.finalizers.isEmpty { metadata["finalizers"] = .array(outcome.finalizers.map(JSON.string)) }
        var wanted = Document([
            "apiVersion": .string(primary.apiVersion), "kind": .string(primary.kind), "metadata": .object(metadata),
        ])
        wanted["spec"] = outcome.spec
        let version = try await release(outcome, item, primary, version, now: now)
        let isNothingWanted = outcome.annotations.isEmpty && outcome.finalizers.isEmpty && outcome.spec == nil
        if isNothingWanted, !hasApplied(loop.owner, primary) { return version }
        if Comparison.difference(wanted: wanted, live: primary, owner: loop.owner) == nil { return version }
        wanted.metadata["resourceVersion"] = .string(version)
        statistics.primaryWrites += 1
        var options = WriteOptions(fieldManager: loop.owner.name)
        options.force = true
        let stored = try await client.apply(wanted, subresource: nil, options: options)
        expectPrimary(item, stored, now: now)
        return stored.resourceVersion
    }

    /// Takes finalizers from the primary that others put there.
    private mutating func release(
        _ outcome: Outcome, _ item: Item, _ primary: Document, _ version: String, now: Instant
    ) async throws(APIError) -> String {
        let kept = primary.finalizers.filter { !outcome.releases.contains($0) }
        if kept.count == primary.finalizers.count { return version }
        statistics.primaryWrites += 1
        let finalizers: JSON = kept.isEmpty ? .null : .array(kept.map(JSON.string))
        let stored = try await client.patch(
            key(item), .merge(["metadata": ["resourceVersion": .string(version), "finalizers": finalizers]]),
            subresource: nil, options: WriteOptions(fieldManager: reconcilers[item.loop].owner.name))
        expectPrimary(item, stored, now: now)
        return stored.resourceVersion
    }

    /// A document that loses its last finalizer while it is being deleted is not seen again.
    private mutating func expectPrimary(_ item: Item, _ stored: Document, now: Instant) {
        let isGone = stored.isBeingDeleted && stored.finalizers.isEmpty
        ownWrites.expect(
            item, key(item), isGone ? .gone(uid: stored.uid) : .version(stored.resourceVersion),
            cached: cache.get(key(item)), now: now)
    }

    private func hasApplied(_ owner: FieldOwner, _ document: Document) -> Bool {
        (document.json["metadata"]?["managedFields"]?.arrayValue ?? []).contains {
            $0["manager"]?.stringValue == owner.name && $0["operation"]?.stringValue == "Apply"
                && ($0["subresource"]?.stringValue ?? "").isEmpty
        }
    }

    private mutating func write(
        status: JSON, _ item: Item, _ primary: Document, _ version: String, now: Instant
    ) async throws(APIError) -> String {
        let owner = reconcilers[item.loop].owner
        var wanted = Document([
            "apiVersion": .string(primary.apiVersion), "kind": .string(primary.kind),
            "metadata": ["name": .string(primary.name), "resourceVersion": .string(version)], "status": status,
        ])
        if !primary.namespace.isEmpty { wanted.metadata["namespace"] = .string(primary.namespace) }
        guard let difference = Comparison.difference(wanted: wanted, live: primary, owner: owner, subresource: "status")
        else { return version }
        if case .insideAtomic = difference, status == primary.status { return version }
        statistics.statusWrites += 1
        var options = WriteOptions(fieldManager: owner.name)
        options.force = true
        do {
            let stored = try await client.apply(wanted, subresource: .status, options: options)
            ownWrites.expect(item, key(item), .version(stored.resourceVersion), cached: cache.get(key(item)), now: now)
            return stored.resourceVersion
        } catch  where error.reason == .notFound {
            return version  // the primary went while we decided; its deletion is on the way to the cache
        }
    }
}
