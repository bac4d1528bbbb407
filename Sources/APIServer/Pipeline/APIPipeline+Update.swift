internal import Admission
package import Documents
internal import Seams
internal import Store

extension APIPipeline {
    /// What turns the stored document into the one wanted; called again when another write was faster.
    typealias Transformation = (_ old: Document) throws(APIError) -> Document

    /// Replaces a document, or its part behind `subresource`.
    package func update(
        _ resource: ServedResource, _ key: ObjectKey, _ document: Document, _ options: WriteRequest,
        subresource: String?
    ) throws(APIError) -> WriteAnswer {
        if !document.name.isEmpty, document.name != key.name {
            throw .badRequest(
                "the name of the object (\(document.name)) does not match the name on the URL (\(key.name))")
        }
        if !document.namespace.isEmpty, document.namespace != key.namespace {
            throw .badRequest("the namespace of the provided object does not match the namespace sent on the request")
        }
        let version = document.resourceVersion
        if !version.isEmpty, version != "0", Revision(version) == nil {
            throw .badRequest("invalid resource version: metadata.resourceVersion: Invalid value: \"\(version)\"")
        }
        return try change(resource, key, options, subresource: subresource, isPatch: false) { _ throws(APIError) in
            if version.isEmpty || version == "0", !resource.definition.isBuiltIn {
                throw Self.revisionRequired(resource, key.name)
            }
            return document
        }
    }

    /// Upstream names the resource here, not the kind.
    private static func revisionRequired(_ resource: ServedResource, _ name: String) -> APIError {
        let kind = GroupVersionKind(group: resource.kind.group, version: "", kind: resource.definition.plural)
        return .invalid(
            kind, name,
            [
                APIError.Cause(
                    reason: "FieldValueInvalid", message: "Invalid value: 0: must be specified for an update",
                    field: "metadata.resourceVersion")
            ])
    }

    /// Patches a document, or its part behind `subresource`. A `resourceVersion` that the patch sets pins the document.
    package func patch(
        _ resource: ServedResource, _ key: ObjectKey, _ patch: DocumentPatch, _ options: WriteRequest,
        subresource: String?
    ) throws(APIError) -> WriteAnswer {
        try change(resource, key, options, subresource: subresource, isPatch: true) { old throws(APIError) in
            let result = try patch.applied(to: old.json, schema: resource.version.schema)
            let document = Document(result)
            guard document.kind == old.kind, document.apiVersion == old.apiVersion else {
                throw .badRequest("a patch cannot change apiVersion or kind of \(key.resource) \"\(key.name)\"")
            }
            if document.name != old.name {
                throw .badRequest(
                    "the name of the object (\(document.name)) does not match the name on the URL (\(key.name))")
            }
            return document
        }
    }

    /// Server-side apply: `config` is all that its manager wants. Creates what is missing, except behind a subresource.
    package func apply(
        _ resource: ServedResource, _ key: ObjectKey, _ config: Document, _ options: WriteRequest, subresource: String?
    ) throws(APIError) -> WriteAnswer {
        if !config.name.isEmpty, config.name != key.name {
            throw .badRequest(
                "the name of the object (\(config.name)) does not match the name on the URL (\(key.name))")
        }
        if !config.namespace.isEmpty, config.namespace != key.namespace {
            throw .badRequest("the namespace of the provided object does not match the namespace sent on the request")
        }
        var config = config
        if config.name.isEmpty { config.json["metadata"]?["name"] = .string(key.name) }
        let pinned = config.resourceVersion
        for _ in 0..<APIServerLimits.writeAttempts {
            let entry = store.snapshot(.sequenced).get(StoreKey(key))
            if entry != nil {
                return try change(
                    resource, key, options, subresource: subresource, isPatch: true, isApply: true
                ) { old throws(APIError) in
                    if !pinned.isEmpty, pinned != old.resourceVersion { throw Self.modified(key) }
                    if !config.uid.isEmpty, config.uid != old.uid { throw Self.otherUID(config.uid, old, key) }
                    return Document(try self.applied(config, to: old, resource, options, subresource))
                }
            }
            if subresource != nil { throw .notFound(key.resource, key.name) }
            if !config.uid.isEmpty {
                throw .conflict(
                    key.resource, key.name,
                    "uid mismatch: the provided object specified uid \(config.uid), and no existing object was found")
            }
            if !pinned.isEmpty { throw Self.modified(key) }
            var document = config
            document.json = try applied(config, to: nil, resource, options, nil)
            do throws(APIError) {
                return try create(resource, namespace: key.namespace, document, options, isApply: true)
            } catch {
                if error.reason != .alreadyExists { throw error }
            }
        }
        throw Self.tooManyRaces
    }

    private func applied(
        _ config: Document, to old: Document?, _ resource: ServedResource, _ options: WriteRequest,
        _ subresource: String?
    ) throws(APIError) -> JSON {
        var config = config
        if resource.groupResource == WellKnown.secrets { Self.mergeStringData(&config) }
        return try ServerSideApply.apply(
            config: config.json, to: old?.json, schema: resource.version.schema, manager: options.fieldManager,
            apiVersion: resource.apiVersion, subresource: subresource, force: options.force, now: clock.now(),
            hasStatus: resource.version.hasStatus)
    }

    static func modified(_ key: ObjectKey) -> APIError {
        .conflict(
            key.resource, key.name,
            "the object has been modified; please apply your changes to the latest version and try again")
    }

    /// The loop of every write to a document that exists: read, transform, admit, commit, and again when another write
    /// was faster.
    func change(
        _ resource: ServedResource, _ key: ObjectKey, _ options: WriteRequest, subresource: String?, isPatch: Bool,
        isApply: Bool = false, _ transform: Transformation
    ) throws(APIError) -> WriteAnswer {
        for _ in 0..<APIServerLimits.writeAttempts {
            guard let entry = store.snapshot(.sequenced).get(StoreKey(key)) else {
                throw .notFound(key.resource, key.name)
            }
            let old = try Self.decode(entry, resource)
            var new = try transform(old)
            try checkUpdate(new, old: old, key)
            restoreMetadata(&new, from: old, subresource: subresource)
            Self.dropEmptyMetadata(&new)
            if subresource == "status" {
                new = Self.onlyStatus(of: new, in: old)
            } else if let part = subresource.flatMap(PodPart.init), resource.groupResource == WellKnown.pods {
                new = part.taken(from: new, in: old)
            } else if resource.version.hasStatus {
                new["status"] = old["status"]
            }
            if subresource == nil { try prepareForUpdate(&new, old: old, resource) }
            let admitted = try admit(
                resource, .update, old: old, new: new, subresource: subresource, options, isPatch: isPatch)
            new = finished(admitted.document, old: old, resource, options, subresource: subresource, isApply: isApply)
            if Self.isSame(new, old) {
                return WriteAnswer(
                    document: old, bytes: try Self.bytes(entry), revision: entry.modRevision,
                    warnings: admitted.warnings)
            }
            if let answer = try store(new, over: (entry, old), resource, key, options, admitted.warnings) {
                return answer
            }
        }
        throw Self.tooManyRaces
    }

    private func checkUpdate(_ new: Document, old: Document, _ key: ObjectKey) throws(APIError) {
        let version = new.resourceVersion
        if !version.isEmpty, version != "0", version != old.resourceVersion { throw Self.modified(key) }
        if !new.uid.isEmpty, new.uid != old.uid { throw Self.otherUID(new.uid, old, key) }
        guard old.isBeingDeleted else { return }
        let added = new.finalizers.filter { !old.finalizers.contains($0) }.sorted()
        if !added.isEmpty {
            let list = added.map { "\"\($0)\"" }.joined(separator: ", ")
            let message =
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\(list)}"
            throw .invalid(
                old.groupVersionKind, key.name,
                [APIError.Cause(reason: "FieldValueForbidden", message: message, field: "metadata.finalizers")])
        }
    }

    private static func otherUID(_ uid: String, _ old: Document, _ key: ObjectKey) -> APIError {
        let place = (old.namespace.isEmpty ? [key.name] : [old.namespace, key.name]).joined(separator: "/")
        let group = key.resource.group.contains(".") ? "\(key.resource.group)/" : ""
        return .conflict(
            key.resource, key.name,
            "StorageError: invalid object, Code: 4, Key: /registry/\(group)\(key.resource.resource)/\(place), "
                + "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: \(uid), "
                + "UID in object meta: \(old.uid)")
    }

    /// Fields of metadata that the server alone writes.
    private func restoreMetadata(_ new: inout Document, from old: Document, subresource: String?) {
        var metadata = new.metadata
        for member in [
            "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
            "generation", "selfLink", "resourceVersion", "generateName",
        ] {
            metadata[member] = old.json["metadata"]?[member]
        }
        new.metadata = metadata
    }

    /// A write to `/status` changes the status and who owns it, nothing else.
    private static func onlyStatus(of new: Document, in old: Document) -> Document {
        var result = old
        result["status"] = new["status"]
        result.json["metadata"]?["managedFields"] = new.json["metadata"]?["managedFields"]
        return result
    }

    /// Generation, conditions of definitions, and who owns what.
    private func finished(
        _ document: Document, old: Document, _ resource: ServedResource, _ options: WriteRequest, subresource: String?,
        isApply: Bool
    ) -> Document {
        var new = document
        if resource.groupResource == WellKnown.customResourceDefinitions, subresource == nil {
            new = CustomResources.established(new, old: old, clock.now())
        }
        if resource.hasGeneration, Self.isDeclarationChanged(new, old, hasStatus: resource.version.hasStatus) {
            new.json["metadata"]?["generation"] = .integer(old.generation + 1)
        }
        if !isApply {
            new.json = ServerSideApply.update(
                from: old.json, to: new.json, schema: resource.version.schema, manager: options.fieldManager,
                apiVersion: resource.apiVersion, subresource: subresource,
                now: subresource == "scale" ? nil : clock.now(),  // upstream notes no time of a scale
                hasStatus: resource.version.hasStatus)
        }
        return new
    }

    private static func isDeclarationChanged(_ new: Document, _ old: Document, hasStatus: Bool) -> Bool {
        func declaration(_ document: Document) -> JSON {
            var json = document.json
            json["metadata"] = nil
            if hasStatus { json["status"] = nil }
            return json
        }
        return declaration(new) != declaration(old)
    }

    /// Commits the new document; or its end, when its last finalizer went. `nil` when another write was faster.
    private func store(
        _ new: Document, over stored: (entry: Entry, document: Document), _ resource: ServedResource, _ key: ObjectKey,
        _ options: WriteRequest, _ warnings: [String]
    ) throws(APIError) -> WriteAnswer? {
        let isLast =
            stored.document.isBeingDeleted && !stored.document.finalizers.isEmpty && new.finalizers.isEmpty
            && (new.json["metadata"]?["deletionGracePeriodSeconds"]?.integerValue ?? 0) == 0
        if options.isDryRun {
            return WriteAnswer(document: new, revision: nil, isGone: isLast, warnings: warnings)
        }
        let write = PendingWrite(
            resource: resource, key: key, entry: stored.entry, old: stored.document, new: isLast ? nil : new)
        guard let done = try commit([write]) else { return nil }
        tidy(limit: APIServerLimits.tidyStepsPerWrite)
        return WriteAnswer(
            document: Self.withRevision(new, done.revision), bytes: isLast ? nil : done.bytes[0],
            revision: done.revision,
            isGone: isLast, warnings: warnings)
    }
}

/// A patch in one of the three forms that are not server-side apply.
package enum DocumentPatch: Sendable {
    case merge(JSON)
    case json(JSON)
    case strategic(JSON)

    func applied(to document: JSON, schema: Schema) throws(APIError) -> JSON {
        switch self {
        case .merge(let patch): return MergePatch.apply(patch, to: document)
        case .json(let patch): return try JSONPatch.apply(patch, to: document)
        case .strategic(let patch): return try StrategicMergePatch.apply(patch, to: document, schema: schema)
        }
    }
}
