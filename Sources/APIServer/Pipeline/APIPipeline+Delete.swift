internal import Admission
package import Documents
internal import Seams
package import Store
internal import Synchronization

/// How a deletion is meant: the `DeleteOptions` of Kubernetes.
package struct DeleteRequest: Sendable {
    package enum Propagation: String, Sendable {
        case background = "Background", foreground = "Foreground", orphan = "Orphan"
    }
    package var uid: String?
    package var resourceVersion: String?
    package var propagation: Propagation?
    package var gracePeriodSeconds: Int64?
    package var isDryRun = false

    package init() {}
}

extension APIPipeline {
    /// Deletes a document, or marks it as being deleted where finalizers or running processes must be waited for.
    package func delete(
        _ resource: ServedResource, _ key: ObjectKey, _ request: DeleteRequest
    ) throws(APIError) -> WriteAnswer {
        if key.resource == WellKnown.namespaces,
            ["default", "kube-system", "kube-public", "kube-node-lease"].contains(key.name)
        {
            throw APIError(
                code: 403, reason: .forbidden,
                message: "namespaces \"\(key.name)\" is forbidden: this namespace may not be deleted",
                name: key.name, kind: "namespaces")
        }
        for _ in 0..<APIServerLimits.writeAttempts {
            guard let entry = store.snapshot(.sequenced).get(StoreKey(key)) else {
                throw .notFound(key.resource, key.name)
            }
            let old = try Self.decode(entry, resource)
            try checkPreconditions(request, old, resource)
            let marked = marked(old, resource, request)
            if request.isDryRun {
                return WriteAnswer(document: marked ?? old, revision: nil, isGone: marked == nil)
            }
            if let marked, Self.isSame(marked, old) {
                return WriteAnswer(document: old, bytes: try Self.bytes(entry), revision: entry.modRevision)
            }
            let write = PendingWrite(resource: resource, key: key, entry: entry, old: old, new: marked)
            guard let done = try commit([write]) else { continue }
            tidy(limit: APIServerLimits.tidyStepsPerWrite)
            return WriteAnswer(
                document: Self.withRevision(marked ?? old, done.revision), bytes: marked == nil ? nil : done.bytes[0],
                revision: done.revision, isGone: marked == nil)
        }
        throw Self.tooManyRaces
    }

    private func checkPreconditions(_ request: DeleteRequest, _ old: Document, _ resource: ServedResource)
        throws(APIError)
    {
        // Upstream names the Kind here, where every other conflict names the resource.
        let kind = GroupResource(group: resource.kind.group, resource: resource.kind.kind)
        if let uid = request.uid, uid != old.uid {
            throw .conflict(
                kind, old.name,
                "the UID in the precondition (\(uid)) does not match the UID in record (\(old.uid)). "
                    + "The object might have been deleted and then recreated")
        }
        if let version = request.resourceVersion, version != old.resourceVersion {
            throw .conflict(
                kind, old.name,
                "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion in record "
                    + "(\(old.resourceVersion)). The object might have been modified")
        }
    }

    /// The document as it stays while its deletion waits for something; `nil` when it can go now.
    private func marked(_ old: Document, _ resource: ServedResource, _ request: DeleteRequest) -> Document? {
        var finalizers = old.finalizers
        if let propagation = request.propagation {
            finalizers.removeAll { $0 == OwnershipGraph.foregroundFinalizer || $0 == OwnershipGraph.orphanFinalizer }
            if propagation == .foreground { finalizers.append(OwnershipGraph.foregroundFinalizer) }
            if propagation == .orphan { finalizers.append(OwnershipGraph.orphanFinalizer) }
        }
        let isDefinition = resource.groupResource == WellKnown.customResourceDefinitions
        if isDefinition, !old.isBeingDeleted { finalizers.append(CustomResources.cleanupFinalizer) }
        let isNamespace = resource.groupResource == WellKnown.namespaces
        let grace = gracePeriod(old, resource, request)
        if finalizers.isEmpty, grace == 0, !isNamespace { return nil }
        var new = old
        var metadata = old.metadata
        metadata["finalizers"] = finalizers.isEmpty ? nil : .array(finalizers.map(JSON.string))
        let remaining = metadata["deletionGracePeriodSeconds"]?.integerValue
        if old.deletionTimestamp == nil || (remaining ?? 0) > grace {
            metadata["deletionTimestamp"] = .string((clock.now() + .seconds(grace)).rfc3339)
            if !isNamespace { metadata["deletionGracePeriodSeconds"] = .integer(grace) }
            if resource.hasGeneration { metadata["generation"] = .integer(old.generation + 1) }
        }
        new.metadata = metadata
        if isNamespace { new.json["status"] = .object(JSONObject([("phase", "Terminating")])) }
        return new
    }

    /// Only a pod that a node runs takes time to end.
    private func gracePeriod(_ old: Document, _ resource: ServedResource, _ request: DeleteRequest) -> Int64 {
        guard resource.groupResource == WellKnown.pods, !(old.spec["nodeName"]?.stringValue ?? "").isEmpty else {
            return 0
        }
        if ["Succeeded", "Failed"].contains(old.status["phase"]?.stringValue ?? "") { return 0 }
        let own = old.spec["terminationGracePeriodSeconds"]?.integerValue ?? 30
        return max(0, request.gracePeriodSeconds ?? own)
    }

    /// Deletes every document of a collection that `selection` finds. Answers what it found.
    package func deleteCollection(
        _ resource: ServedResource, namespace: String, _ selection: Selection, _ request: DeleteRequest
    ) throws(APIError) -> (documents: [Document], revision: Revision?) {
        var documents: [Document] = []
        var revision: Revision?
        let entries = store.snapshot(.sequenced).list(prefix: resource.prefix(namespace: namespace))
        for (entry, document) in zip(entries, try Self.decode(entries, resource)) {
            guard selection.matches(document) else { continue }
            do throws(APIError) {
                let answer = try delete(resource, entry.key.objectKey, request)
                if let next = answer.revision { revision = max(revision ?? next, next) }
                documents.append(answer.document)
            } catch {
                if error.reason != .notFound { throw error }
            }
        }
        return (documents, revision)
    }
}
