package import Seams

/// Field ownership: merging what managers apply, and recording who owns what after every other write. The rules are
/// those of Kubernetes (structured-merge-diff v6). Pure functions over documents; the caller stores what comes out.
///
/// A field that a manager applied and no longer applies is removed unless someone else owns it. A field of another
/// owner changes only by force. Writes that are no applies take what they change.
package enum ServerSideApply {
    /// What one write is about, beside its documents.
    struct Context {
        var root: MergeType
        var manager: String
        var apiVersion: String
        var subresource: String
        /// Whether status is written through its subresource only.
        var hasStatus: Bool
        /// `nil`: no time is noted.
        var now: String?

        func identity(_ operation: ManagedFields.Operation) -> ManagedFields.Identity {
            ManagedFields.Identity(
                manager: manager, operation: operation, subresource: subresource, apiVersion: apiVersion)
        }

        /// Top-level members that a write through this endpoint leaves as they are.
        func resets(_ member: String) -> Bool {
            guard hasStatus else { return false }
            return subresource == "status" ? member != "status" : member == "status"
        }

        func withoutReset(_ set: FieldSet) -> FieldSet {
            guard hasStatus else { return set }
            return FieldSet(set.entries.filter { !resets($0.element.fieldName ?? "") })
        }
    }

    /// Applies `config`, the whole intent of `manager`, to the stored document (`nil`: there is none yet).
    ///
    /// The result has `metadata.managedFields`; it is `live` itself where nothing changed, so that nothing is written.
    /// `hasStatus` says that status is a subresource: then an apply reaches either the status or everything else.
    /// Throws 409 with a cause for each field another manager owns, 500 for a `config` that does not fit the schema.
    package static func apply(
        config: JSON, to live: JSON?, schema: Schema, manager: String, apiVersion: String, subresource: String?,
        force: Bool, now: Instant, hasStatus: Bool = false
    ) throws(APIError) -> JSON {
        let context = Context(
            root: .root(schema), manager: manager, apiVersion: apiVersion, subresource: subresource ?? "",
            hasStatus: hasStatus, now: now.rfc3339)
        if let managed = config["metadata"]?["managedFields"], !managed.isNull {
            throw .badRequest("metadata.managedFields must be nil")
        }
        try refuseUnfit(config, context)
        guard var managed = ManagedFields(live?["metadata"]?["managedFields"]) else {
            throw APIError(
                code: 500, reason: .internalError,
                message: "failed to decode managed fields: metadata.managedFields of the stored document is malformed; "
                    + "reset it with a patch that sets it to [{}]")
        }
        let bare = live.map(withoutManagedFields) ?? .object(JSONObject())
        if managed.isEmpty, live != nil { claim(everythingIn: bare, &managed, context) }
        var merged = try mergeAllowingLastApplied(config, bare, &managed, context, force: force)
        if manager == lastAppliedOwner, lastApplied(in: merged) != nil { setLastApplied(of: config, in: &merged) }
        return stored(merged, managed, over: live)
    }

    /// Records in `new` who owns what after a create, an update or a patch that turned `live` into it.
    ///
    /// Managed fields in `new` count where they are well-formed, so that clients can edit them; else those of `live`
    /// do. Never fails: where the bookkeeping is impossible the document is stored without.
    package static func update(
        from live: JSON?, to new: JSON, schema: Schema, manager: String, apiVersion: String, subresource: String?,
        now: Instant?, hasStatus: Bool = false
    ) -> JSON {
        let context = Context(
            root: .root(schema), manager: manager, apiVersion: apiVersion, subresource: subresource ?? "",
            hasStatus: hasStatus, now: now?.rfc3339)
        var managed = startingPoint(live, new, ignoresNew: subresource != nil)
        let bareLive = live.map(withoutManagedFields) ?? .object(JSONObject())
        let bareNew = withoutManagedFields(new)
        // Who switched tracking off by emptying the list, is left alone until the next apply.
        if !(managed.isEmpty && live != nil) {
            record(from: bareLive, to: bareNew, &managed, context)
            managed.capUpdaters()
        }
        return stored(bareNew, managed, over: live)
    }

    private static func startingPoint(_ live: JSON?, _ new: JSON, ignoresNew: Bool) -> ManagedFields {
        let old = ManagedFields(live?["metadata"]?["managedFields"]) ?? ManagedFields()
        let given = new["metadata"]?["managedFields"]
        if ignoresNew { return old }
        if let items = given?.arrayValue, items.count == 1, items[0].objectValue?.isEmpty == true {
            return ManagedFields()
        }
        guard let given, let parsed = ManagedFields(given), !parsed.isEmpty else { return old }
        return parsed
    }

    private static func record(
        from live: JSON, to new: JSON, _ managed: inout ManagedFields, _ context: Context
    ) {
        managed.updateEach { context.root.reconciled($0.fields) }
        let comparison = context.root.compare(live, new)
        if comparison.isSame { return }
        let changed = context.withoutReset(comparison.modified.union(comparison.added))
        let removed = context.withoutReset(comparison.removed)
        managed.updateEach { $0.fields.difference(changed).difference(removed) }
        let own = changed.withoutServerFields
        if own.isEmpty { return }
        let identity = context.identity(.update)
        let previous = managed[identity]?.fields ?? FieldSet()
        managed.set(previous.union(own), for: identity, apiVersion: context.apiVersion)
        managed.setTime(context.now, for: identity)
    }

    /// The document was never applied: what it holds belongs to `before-first-apply`.
    private static func claim(everythingIn live: JSON, _ managed: inout ManagedFields, _ context: Context) {
        var before = context
        before.manager = ManagedFields.beforeFirstApply
        before.subresource = ""
        before.hasStatus = false
        record(from: .object(JSONObject()), to: live, &managed, before)
    }

    private static func mergeAllowingLastApplied(
        _ config: JSON, _ live: JSON, _ managed: inout ManagedFields, _ context: Context, force: Bool
    ) throws(APIError) -> JSON {
        let before = managed
        do throws(ApplyConflicts) {
            return try merge(config, live, &managed, context, force: force)
        } catch {
            managed = before
            guard context.manager == lastAppliedOwner, let allowed = lastAppliedFields(in: live, context) else {
                throw error.apiError
            }
            let left = error.removing(allowed)
            if !left.isEmpty { throw left.apiError }
            do throws(ApplyConflicts) {
                return try merge(config, live, &managed, context, force: true)
            } catch {
                throw error.apiError
            }
        }
    }

    /// Merge, prune, and take the fields from whoever owned them.
    private static func merge(
        _ config: JSON, _ live: JSON, _ managed: inout ManagedFields, _ context: Context, force: Bool
    ) throws(ApplyConflicts) -> JSON {
        managed.updateEach { context.root.reconciled($0.fields) }
        let identity = context.identity(.apply)
        let wanted = reachable(config, context)
        let last = managed[identity]?.fields ?? FieldSet()
        let own = context.withoutReset(context.root.fieldSet(of: wanted)).withoutServerFields
        managed.set(own, for: identity, apiVersion: context.apiVersion)
        let merged = prune(context.root.merge(live, wanted), last, managed, context)
        if merged == live { return live }
        let comparison = context.root.compare(live, merged)
        let changed = comparison.modified.union(comparison.added)
        var conflicts = ApplyConflicts()
        for entry in managed.entries where entry.identity != identity {
            let taken = entry.fields.intersection(changed)
            if !taken.isEmpty { conflicts.append(entry.identity, taken) }
        }
        if !force && !conflicts.isEmpty { throw conflicts }
        managed.updateEach { entry in
            entry.identity == identity
                ? entry.fields : entry.fields.difference(changed).difference(comparison.removed)
        }
        managed.setTime(context.now, for: identity)
        return merged
    }

    /// Takes out what the manager applied last time and, now, nobody owns.
    private static func prune(
        _ merged: JSON, _ last: FieldSet, _ managed: ManagedFields, _ context: Context
    ) -> JSON {
        if last.isEmpty { return merged }
        let owned = context.root.withNamedMembers(managed.owned).union(.serverFields)
        let orphaned = context.withoutReset(context.root.withNamedMembers(last).difference(owned))
        return context.root.remove(orphaned, from: merged) ?? .object(JSONObject())
    }

    /// What of `config` a client can change through this endpoint.
    private static func reachable(_ config: JSON, _ context: Context) -> JSON {
        guard var object = config.objectValue else { return config }
        object.filter { ["apiVersion", "kind"].contains($0.key) || !context.resets($0.key) }
        object.update("metadata") { metadata in
            guard var members = metadata.objectValue else { return }
            members.filter { !writtenByServer.contains($0.key) }
            metadata = .object(members)
        }
        return .object(object)
    }

    private static let writtenByServer: Set<String> = [
        "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
        "resourceVersion", "selfLink", "uid",
    ]

    private static func refuseUnfit(_ config: JSON, _ context: Context) throws(APIError) {
        let errors = context.root.errors(in: config)
        if errors.isEmpty { return }
        throw .unfit(
            Document(config),
            errors.count == 1 ? errors[0].description : "errors:" + errors.map { "\n  \($0)" }.joined())
    }

    private static func withoutManagedFields(_ document: JSON) -> JSON {
        var document = document
        if document["metadata"]?["managedFields"] != nil {
            guard var object = document.objectValue else { return document }
            object.update("metadata") { $0["managedFields"] = nil }
            document = .object(object)
        }
        return document
    }

    /// `document` with its managed fields. It is `live` where they differ in their times at most.
    private static func stored(_ document: JSON, _ managed: ManagedFields, over live: JSON?) -> JSON {
        if let live, let old = ManagedFields(live["metadata"]?["managedFields"]), managed.isSame(exceptTimes: old) {
            if document == withoutManagedFields(live) { return live }
        }
        var result = document
        if !managed.isEmpty {
            guard var object = document.objectValue else { return document }
            if !object.contains("metadata") { object.append("metadata", .object(JSONObject())) }
            object.update("metadata") { $0["managedFields"] = managed.json }
            result = .object(object)
        }
        return result
    }
}

extension FieldSet {
    /// The set without the fields that the server alone writes and nobody owns.
    var withoutServerFields: FieldSet { difference(Self.serverFields) }

    fileprivate static let serverFields: FieldSet = {
        let metadata = PathElement.field("metadata")
        let names = [
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
            "resourceVersion",
        ]
        return FieldSet(
            paths: [[.field("apiVersion")], [.field("kind")], [metadata]] + names.map { [metadata, .field($0)] })
    }()
}
