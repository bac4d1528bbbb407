internal import Admission
internal import Documents
internal import Seams
internal import Store
internal import Synchronization

/// One document's part of a commit.
struct PendingWrite {
    let resource: ServedResource
    let key: ObjectKey
    /// The entry the write was decided on; it must still be there, unchanged. `nil`: nothing may be there.
    let entry: Entry?
    let old: Document?
    /// `nil` deletes.
    let new: Document?

    var storeKey: StoreKey { StoreKey(key) }
}

extension APIPipeline {
    /// Commits `writes` as one revision under `conditions`. `nil` when another write was faster: then decide again.
    /// The bytes are those of the writes' documents, in order, with the revision in them.
    func commit(
        _ writes: [PendingWrite], conditions extra: [Transaction.Condition] = []
    ) throws(APIError) -> (revision: Revision, bytes: [[UInt8]])? {
        var conditions = extra
        var operations: [Transaction.Operation] = []
        var encoded: [EncodedDocument?] = []
        for write in writes {
            let key = write.storeKey
            conditions.append(write.entry.map { .unchanged(key, $0.modRevision) } ?? .absent(key))
            guard let document = write.new else {
                encoded.append(nil)
                operations.append(.delete(key))
                continue
            }
            let encoding = EncodedDocument(try VersionConversion.stored(document, from: write.resource))
            if encoding.bytes.count > APIServerLimits.documentBytes {
                throw Self.tooLarge(APIServerLimits.documentBytes)
            }
            encoded.append(encoding)
            operations.append(
                .put(
                    key, value: encoding.bytes, revisionOffset: encoding.revisionOffset,
                    sealed: StoreMaintenance.isSealed(write.key.resource, configuration.sealedResources)))
        }
        let transaction = Transaction(conditions: conditions, operations: operations)
        let revision: Revision
        do throws(StoreError) {
            revision = try cluster.withLock { state throws(StoreError) in
                let revision = try store.commit(transaction)
                for write in writes { state.record(key: write.key, old: write.old, new: write.new) }
                return revision
            }
        } catch {
            if case .conditionFailed = error { return nil }
            throw APIError(error)
        }
        if writes.contains(where: { $0.key.resource == WellKnown.customResourceDefinitions }) { refreshCatalogue() }
        return (revision, encoded.map { $0?.bytes(at: revision) ?? [] })
    }

    static func tooLarge(_ limit: Int) -> APIError {
        APIError(
            code: 413, reason: .requestEntityTooLarge, message: "Request entity too large: limit is \(limit)")
    }

    /// After so many attempts the client shall try, not we.
    static var tooManyRaces: APIError {
        APIError(
            code: 429, reason: .tooManyRequests,
            message: "the document changes faster than this write could be applied; please try again",
            retryAfterSeconds: 1)
    }

    /// Runs admission on `document`.
    func admit(
        _ resource: ServedResource, _ operation: AdmissionRequest.Operation, old: Document?, new: Document,
        subresource: String?, _ options: WriteRequest, isPatch: Bool
    ) throws(APIError) -> AdmissionResult {
        var result = try Admission.admit(
            AdmissionRequest(
                definition: resource.definition, version: resource.version.name, operation: operation, old: old,
                new: new,
                subresource: subresource, fieldValidation: options.fieldValidation,
                duplicateFields: options.duplicateFields, isPatch: isPatch))
        // Before who owns what is worked out: a document that cannot be stored is not worth it, and a dry run ends there.
        if result.document.json.isLonger(than: APIServerLimits.documentBytes) {
            throw Self.tooLarge(APIServerLimits.documentBytes)
        }
        if subresource == nil {
            result.warnings += UnservedSettings.warnings(result.document, resource.definition, isNew: old == nil)
        }
        return result
    }

    /// Metadata is the same for every kind, and has no empty maps and lists: they mean what their absence means.
    static func dropEmptyMetadata(_ document: inout Document) {
        guard document.json["metadata"]?.objectValue?.members.contains(where: { isEmpty($0.value) }) == true else {
            return
        }
        var metadata = document.metadata
        metadata.filter { !isEmpty($0.value) }
        document.metadata = metadata
    }

    private static func isEmpty(_ value: JSON) -> Bool {
        switch value {
        case .null: true
        case .array(let elements): elements.isEmpty
        case .object(let object): object.isEmpty
        default: false
        }
    }

    /// The document with a revision in it, as a client sees it.
    static func withRevision(_ document: Document, _ revision: Revision?) -> Document {
        var document = document
        document.json["metadata"]?["resourceVersion"] = revision.map { .string($0.description) }
        return document
    }

    /// Whether two documents are the same but for their resourceVersion and the times of their managed fields.
    static func isSame(_ left: Document, _ right: Document) -> Bool {
        // Entries are sorted by time, so they cannot be compared in order.
        guard let owners = ManagedFields(left.json["metadata"]?["managedFields"]),
            let others = ManagedFields(right.json["metadata"]?["managedFields"]), owners.isSame(exceptTimes: others)
        else { return false }
        func bare(_ document: Document) -> JSON {
            var json = document.json
            json["metadata"]?["managedFields"] = nil
            json["metadata"]?["resourceVersion"] = nil
            return json
        }
        return bare(left) == bare(right)
    }
}
