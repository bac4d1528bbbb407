internal import Documents
internal import Seams
internal import Store
internal import Synchronization

/// What the server does by itself: garbage collection by owner, and emptying namespaces and resources that are being
/// deleted. Every step reads the present, so a step that was repeated or came late changes nothing.
extension APIPipeline {
    /// Works off tasks, `limit` of them at most. True when there are more.
    @discardableResult
    package func tidy(limit: Int) -> Bool {
        for _ in 0..<limit {
            guard let task = cluster.withLock({ $0.nextTask() }) else { return false }
            do throws(APIError) {
                try perform(task)
            } catch {
                // Another write was faster, or the disk is full: the task stays, and this call ends, lest it spins.
                if error.reason != .notFound { cluster.withLock { $0.add(task) } }
                return true
            }
        }
        return true
    }

    private func perform(_ task: TidyTask) throws(APIError) {
        switch task {
        case .examine(let uid): try examine(uid)
        case .finishForeground(let uid): try finishForeground(uid)
        case .orphan(let uid): try orphanDependents(uid)
        case .provisionNamespace(let name): try provision(name)
        case .purgeNamespace(let name): try purgeNamespace(name)
        case .purgeResource(let resource): try purge(resource)
        }
    }

    /// The document with a UID, as it is now.
    private func present(_ uid: String) throws(APIError) -> (ServedResource, ObjectKey, Document)? {
        guard let key = cluster.withLock({ $0.ownership[uid]?.key }), let resource = catalogue.storage(key.resource),
            let entry = store.snapshot(.sequenced).get(StoreKey(key))
        else { return nil }
        let document = try Self.decode(entry)
        return document.uid == uid ? (resource, key, document) : nil
    }

    /// Deletes a document none of whose owners lives; of several owners, takes out those that are gone.
    private func examine(_ uid: String) throws(APIError) {
        guard let (resource, key, document) = try present(uid) else { return }
        let owners = document.ownerReferences
        if owners.isEmpty { return }
        var solid: [OwnerReference] = []
        var waiting: [OwnerReference] = []
        cluster.withLock { state in
            for owner in owners {
                guard let node = state.ownership[owner.uid],
                    node.key.namespace.isEmpty || node.key.namespace == key.namespace
                else { continue }
                if node.waitsForDependents { waiting.append(owner) } else { solid.append(owner) }
            }
        }
        if !solid.isEmpty {
            if solid.count == owners.count { return }
            let kept = Set(solid.map(\.uid))
            try edit(resource, key, uid) { document in Self.keepOwners(&document) { kept.contains($0) } }
            return
        }
        if document.isBeingDeleted { return }
        var request = DeleteRequest()
        request.uid = uid
        let hasDependents = cluster.withLock { $0.ownership.hasDependents(uid) }
        request.propagation = !waiting.isEmpty && hasDependents ? .foreground : .background
        if document.finalizers.contains(OwnershipGraph.orphanFinalizer) { request.propagation = .orphan }
        _ = try delete(resource, key, request)
    }

    private func finishForeground(_ uid: String) throws(APIError) {
        guard cluster.withLock({ $0.ownership.blocking(uid).isEmpty }),
            let (resource, key, document) = try present(uid),
            document.finalizers.contains(OwnershipGraph.foregroundFinalizer)
        else { return }
        try edit(resource, key, uid) { Self.removeFinalizer(OwnershipGraph.foregroundFinalizer, from: &$0) }
    }

    private func orphanDependents(_ uid: String) throws(APIError) {
        guard let (resource, key, document) = try present(uid),
            document.finalizers.contains(OwnershipGraph.orphanFinalizer)
        else { return }
        for dependent in cluster.withLock({ $0.ownership.dependents(of: uid) }) {
            guard let (resource, key, _) = try present(dependent) else { continue }
            try edit(resource, key, dependent) { document in Self.keepOwners(&document) { $0 != uid } }
        }
        try edit(resource, key, uid) { Self.removeFinalizer(OwnershipGraph.orphanFinalizer, from: &$0) }
    }

    private func purgeNamespace(_ name: String) throws(APIError) {
        var remaining: [(resource: GroupResource, count: Int)] = []
        var finalizers: [String: Int] = [:]
        for definition in catalogue.definitions where definition.isNamespaced && definition.storedAs == nil {
            guard let resource = catalogue.storage(definition.groupResource) else { continue }
            let prefix = resource.prefix(namespace: name)
            try deleteAll(resource, prefix)
            let entries = store.snapshot(.sequenced).list(prefix: prefix, limit: APIServerLimits.pageDocuments)
            if entries.isEmpty { continue }
            remaining.append((definition.groupResource, entries.count))
            for entry in entries {
                for finalizer in try Self.decode(entry).finalizers { finalizers[finalizer, default: 0] += 1 }
            }
        }
        let key = ObjectKey(WellKnown.namespaces, name: name)
        guard let resource = catalogue.storage(WellKnown.namespaces),
            let entry = store.snapshot(.sequenced).get(StoreKey(key))
        else { return }
        let old = try Self.decode(entry)
        guard old.isBeingDeleted else { return }
        guard remaining.isEmpty else {
            let conditions = NamespaceConditions(remaining: remaining, finalizers: finalizers)
            try edit(resource, key, old.uid) {
                $0.json["status"]?["conditions"] = conditions.json(since: old, now: self.clock.now())
            }
            return
        }
        if !old.finalizers.isEmpty { return }
        _ = try commit([PendingWrite(resource: resource, key: key, entry: entry, old: old, new: nil)])
    }

    private func purge(_ groupResource: GroupResource) throws(APIError) {
        guard let definitions = catalogue.storage(WellKnown.customResourceDefinitions) else { return }
        if let resource = catalogue.storage(groupResource) {
            try deleteAll(resource, resource.keyPrefix)
            if store.snapshot(.sequenced).count(prefix: resource.keyPrefix) > 0 { return }
        }
        let key = definitions.key(namespace: "", name: groupResource.description)
        guard let entry = store.snapshot(.sequenced).get(StoreKey(key)) else { return }
        try edit(definitions, key, try Self.decode(entry).uid) {
            Self.removeFinalizer(CustomResources.cleanupFinalizer, from: &$0)
        }
    }

    private func deleteAll(_ resource: ServedResource, _ prefix: [UInt8]) throws(APIError) {
        for entry in store.snapshot(.sequenced).list(prefix: prefix) {
            let document = try Self.decode(entry)
            if document.isBeingDeleted { continue }
            var request = DeleteRequest()
            request.uid = document.uid
            request.propagation = .background
            do throws(APIError) {
                _ = try delete(resource, entry.key.objectKey, request)
            } catch {
                if error.reason != .notFound, error.reason != .conflict { throw error }
            }
        }
    }

    // MARK: Edits of metadata

    /// Changes a document without admission: the server's own bookkeeping must not fail on a schema that has moved on.
    private func edit(
        _ resource: ServedResource, _ key: ObjectKey, _ uid: String, _ change: (inout Document) -> Void
    ) throws(APIError) {
        for _ in 0..<APIServerLimits.writeAttempts {
            guard let entry = store.snapshot(.sequenced).get(StoreKey(key)) else { return }
            let old = try Self.decode(entry)
            guard old.uid == uid else { return }
            var new = old
            change(&new)
            if Self.isSame(new, old) { return }
            let isLast =
                old.isBeingDeleted && !old.finalizers.isEmpty && new.finalizers.isEmpty
                && (old.json["metadata"]?["deletionGracePeriodSeconds"]?.integerValue ?? 0) == 0
            let write = PendingWrite(resource: resource, key: key, entry: entry, old: old, new: isLast ? nil : new)
            if try commit([write]) != nil { return }
        }
        throw Self.tooManyRaces
    }

    private static func keepOwners(_ document: inout Document, _ isKept: (String) -> Bool) {
        let owners = document.json["metadata"]?["ownerReferences"]?.arrayValue ?? []
        let kept = owners.filter { isKept($0["uid"]?.stringValue ?? "") }
        document.json["metadata"]?["ownerReferences"] = kept.isEmpty ? nil : .array(kept)
    }

    private static func removeFinalizer(_ name: String, from document: inout Document) {
        let kept = document.finalizers.filter { $0 != name }
        document.json["metadata"]?["finalizers"] = kept.isEmpty ? nil : .array(kept.map(JSON.string))
    }
}

/// What a namespace that is being deleted says of what still holds it.
struct NamespaceConditions {
    let remaining: [(resource: GroupResource, count: Int)]
    let finalizers: [String: Int]

    /// Keeps the times of conditions that say the same as before.
    func json(since old: Document, now: Instant) -> JSON {
        let before = old.status["conditions"]?.arrayValue ?? []
        func condition(_ type: String, _ status: Bool, _ reason: String, _ message: String) -> JSON {
            let word: JSON = status ? "True" : "False"
            let known = before.first { $0["type"]?.stringValue == type && $0["status"] == word }
            return [
                "type": .string(type), "status": word,
                "lastTransitionTime": known?["lastTransitionTime"] ?? .string(now.rfc3339), "reason": .string(reason),
                "message": .string(message),
            ]
        }
        let resources = remaining.map { "\($0.resource) has \($0.count) resource instances" }.joined(separator: ", ")
        let held = finalizers.sorted { $0.key < $1.key }.map { "\($0.key) in \($0.value) resource instances" }.joined(
            separator: ", ")
        return .array([
            condition(
                "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
                "All resources successfully discovered"),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
                "All legacy kube types successfully parsed"),
            condition(
                "NamespaceDeletionContentFailure", false, "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization"),
            condition(
                "NamespaceContentRemaining", true, "SomeResourcesRemain", "Some resources are remaining: \(resources)"),
            finalizers.isEmpty
                ? condition(
                    "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers",
                    "All content-preserving finalizers finished")
                : condition(
                    "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                    "Some content in the namespace has finalizers remaining: \(held)"),
        ])
    }
}
