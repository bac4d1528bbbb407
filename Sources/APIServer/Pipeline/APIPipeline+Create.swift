internal import Admission
package import Documents
internal import Seams
internal import Store
internal import Synchronization

extension APIPipeline {
    /// Stores a new document. `namespace` is that of the request; empty for cluster-scoped documents.
    package func create(
        _ resource: ServedResource, namespace: String, _ document: Document, _ options: WriteRequest,
        isApply: Bool = false
    ) throws(APIError) -> WriteAnswer {
        var document = document
        try checkIdentity(&document, resource, namespace: namespace)
        let generates = document.name.isEmpty && !prefix(document).isEmpty
        for attempt in 0..<APIServerLimits.writeAttempts {
            var candidate = document
            if generates {
                let suffix = attempt == 0 ? options.nameSuffix : nil
                let name = String(prefix(document).prefix(58)) + (suffix ?? nameSuffix())
                candidate.json["metadata"]?["name"] = .string(name)
            }
            if let answer = try attemptCreate(resource, namespace, candidate, options, isApply: isApply) {
                return answer
            }
            let isTaken =
                store.snapshot(.sequenced).get(StoreKey(resource.key(namespace: namespace, name: candidate.name)))
                != nil
            if isTaken, !generates { throw .alreadyExists(resource.groupResource, candidate.name) }
        }
        throw Self.tooManyRaces
    }

    /// `nil` when another write was faster.
    private func attemptCreate(
        _ resource: ServedResource, _ namespace: String, _ document: Document, _ options: WriteRequest, isApply: Bool
    ) throws(APIError) -> WriteAnswer? {
        let key = resource.key(namespace: namespace, name: document.name)
        var conditions: [Transaction.Condition] = []
        if resource.isNamespaced { conditions.append(try openNamespace(namespace, key)) }
        var new = document
        prepareMetadata(&new, resource)
        if resource.version.hasStatus { new["status"] = nil }
        var reserved: String?
        Self.dropEmptyMetadata(&new)
        try prepareForCreate(&new, resource, &reserved)
        defer { if let reserved { cluster.withLock { $0.addresses.release(reserved) } } }
        let admitted = try admit(
            resource, .create, old: nil, new: new, subresource: nil, options, isPatch: isApply)
        new = admitted.document
        if resource.groupResource == WellKnown.customResourceDefinitions {
            new = CustomResources.established(new, old: nil, clock.now())
        }
        if !isApply {
            // The finalizers of a namespace are the server's own: no manager owns them.
            var declared = new
            if resource.groupResource == WellKnown.namespaces { declared["spec"] = nil }
            let owned = ServerSideApply.update(
                from: nil, to: declared.json, schema: resource.version.schema, manager: options.fieldManager,
                apiVersion: resource.apiVersion, subresource: nil, now: clock.now(),
                hasStatus: resource.version.hasStatus)
            new.json["metadata"]?["managedFields"] = owned["metadata"]?["managedFields"]
        }
        if store.snapshot(.sequenced).get(StoreKey(key)) != nil { return nil }
        if options.isDryRun {
            return WriteAnswer(
                document: Self.withRevision(new, nil), revision: nil, isCreated: true, warnings: admitted.warnings)
        }
        var writes = [PendingWrite(resource: resource, key: key, entry: nil, old: nil, new: new)]
        if resource.groupResource == WellKnown.namespaces { writes += contents(of: document.name) }
        guard let done = try commit(writes, conditions: conditions) else { return nil }
        reserved = nil
        tidy(limit: APIServerLimits.tidyStepsPerWrite)
        return WriteAnswer(
            document: Self.withRevision(new, done.revision), bytes: done.bytes[0], revision: done.revision,
            isCreated: true,
            warnings: admitted.warnings)
    }

    /// Checks what the document says of itself against where it was sent, and fills what it leaves out.
    func checkIdentity(_ document: inout Document, _ resource: ServedResource, namespace: String) throws(APIError) {
        if resource.isNamespaced {
            if document.namespace.isEmpty {
                document.json["metadata"]?["namespace"] = .string(namespace)
            } else if document.namespace != namespace {
                throw .badRequest(
                    "the namespace of the provided object does not match the namespace sent on the request")
            }
        } else if !document.namespace.isEmpty {
            document.json["metadata"]?["namespace"] = nil
        }
        let isEmptyRevision = document.resourceVersion.isEmpty || document.resourceVersion == "0"
        if !isEmptyRevision { throw .badRequest("resourceVersion should not be set on objects to be created") }
    }

    private func prefix(_ document: Document) -> String {
        document.json["metadata"]?["generateName"]?.stringValue ?? ""
    }

    /// Five letters that form no words.
    func nameSuffix() -> String {
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        return String((0..<5).map { _ in alphabet[random.next(below: alphabet.count)] })
    }

    func prepareMetadata(_ document: inout Document, _ resource: ServedResource) {
        var metadata = document.metadata
        for member in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink", "resourceVersion"] {
            metadata[member] = nil
        }
        metadata["uid"] = .string(uniqueIdentifier())
        metadata["creationTimestamp"] = .string(clock.now().rfc3339)
        if resource.hasGeneration { metadata["generation"] = 1 }
        document.metadata = metadata
    }

    /// The namespace of a new document must be there and stay; the commit makes sure of it.
    private func openNamespace(_ namespace: String, _ key: ObjectKey) throws(APIError) -> Transaction.Condition {
        let namespaceKey = StoreKey(ObjectKey(WellKnown.namespaces, name: namespace))
        guard let entry = store.snapshot(.sequenced).get(namespaceKey) else {
            throw .notFound(WellKnown.namespaces, namespace)
        }
        let isTerminating = cluster.withLock { $0.terminating.contains(namespace) }
        guard isTerminating else { return .unchanged(namespaceKey, entry.modRevision) }
        throw APIError(
            code: 403, reason: .forbidden,
            message: "\(key.resource) \"\(key.name)\" is forbidden: unable to create new content in namespace "
                + "\(namespace) because it is being terminated",
            name: key.name, group: key.resource.group, kind: key.resource.resource,
            causes: [
                APIError.Cause(
                    reason: "NamespaceTerminating", message: "namespace \(namespace) is being terminated",
                    field: "metadata.namespace")
            ])
    }
}
