internal import Admission
package import Client
package import Documents
internal import Store

/// The verbs of the API for the loops and agents of the same process: the pipeline itself, no sockets and no encoding in
/// between. Writes answer as soon as they are sequenced; nobody waits for the disk. Who must not act on what a power cut
/// could undo watches with durable visibility.
package final class InProcessClient: Client {
    private let pipeline: APIPipeline

    package init(pipeline: APIPipeline) { self.pipeline = pipeline }

    package func resource(for kind: GroupVersionKind) async throws(APIError) -> ResourceInformation {
        try served(kind).information
    }

    package func get(_ key: ObjectKey) async throws(APIError) -> Document {
        let resource = try served(key.resource)
        return try APIPipeline.decode(try pipeline.get(key, .sequenced), resource)
    }

    package func list(
        _ resource: GroupResource, namespace: String, options: ListOptions
    ) async throws(APIError) -> DocumentList {
        let resource = try served(resource)
        var request = ListRequest()
        request.namespace = namespace
        request.selection = try Selection(
            labelSelector: options.labelSelector, fieldSelector: options.fieldSelector, resource)
        let answer = try pipeline.list(resource, request, .sequenced)
        var items: [Document] = []
        items.reserveCapacity(answer.entries.count)
        for entry in answer.entries { items.append(try APIPipeline.decode(entry, resource)) }
        return DocumentList(resourceVersion: "\(answer.revision)", items: items)
    }

    package func watch(
        _ resources: [GroupResource], options: WatchOptions
    ) async throws(APIError) -> any WatchStream {
        var watched: [ServedResource] = []
        for resource in resources { watched.append(try served(resource)) }
        return try InProcessWatch(pipeline.store, watched, options)
    }

    package func create(_ document: Document, options: WriteOptions) async throws(APIError) -> Document {
        let resource = try served(document.groupVersionKind)
        return try pipeline.create(resource, namespace: document.namespace, document, options.request).document
    }

    package func update(
        _ document: Document, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let (resource, key) = try target(document)
        return try pipeline.update(resource, key, document, options.request, subresource: subresource?.rawValue)
            .document
    }

    package func patch(
        _ key: ObjectKey, _ patch: Patch, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let documentPatch: DocumentPatch =
            switch patch {
            case .merge(let json): .merge(json)
            case .json(let json): .json(json)
            case .strategic(let json): .strategic(json)
            }
        return try pipeline.patch(
            try served(key.resource), key, documentPatch, options.request, subresource: subresource?.rawValue
        ).document
    }

    package func apply(
        _ document: Document, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let (resource, key) = try target(document)
        return try pipeline.apply(resource, key, document, options.request, subresource: subresource?.rawValue).document
    }

    package func delete(_ key: ObjectKey, options: DeleteOptions) async throws(APIError) {
        var request = DeleteRequest()
        request.uid = options.uid
        request.resourceVersion = options.resourceVersion
        request.propagation = DeleteRequest.Propagation(rawValue: options.propagation.rawValue)
        request.gracePeriodSeconds = options.gracePeriodSeconds.map(Int64.init)
        request.isDryRun = options.dryRun
        _ = try pipeline.delete(try served(key.resource), key, request)
    }

    private func target(_ document: Document) throws(APIError) -> (ServedResource, ObjectKey) {
        let resource = try served(document.groupVersionKind)
        return (resource, resource.key(namespace: document.namespace, name: document.name))
    }

    private func served(_ kind: GroupVersionKind) throws(APIError) -> ServedResource {
        if let resource = pipeline.catalogue.resource(for: kind) { return resource }
        throw APIError(
            code: 404, reason: .notFound,
            message: "no matches for kind \"\(kind.kind)\" in version \"\(kind.apiVersion)\"",
            group: kind.group, kind: kind.kind)
    }

    private func served(_ resource: GroupResource) throws(APIError) -> ServedResource {
        if let resource = pipeline.catalogue.storage(resource) { return resource }
        throw APIError(
            code: 404, reason: .notFound, message: "the server doesn't have a resource type \"\(resource)\"",
            group: resource.group, kind: resource.resource)
    }
}

extension ServedResource {
    /// What discovery says of the resource, for clients in the process.
    var information: ResourceInformation {
        ResourceInformation(
            resource: groupResource, version: version.name, kind: definition.kind, isNamespaced: isNamespaced)
    }
}

extension WriteOptions {
    /// In the process there is nobody to read a warning: an unknown field is an error.
    fileprivate var request: WriteRequest {
        var request = WriteRequest(fieldManager: fieldManager)
        request.isDryRun = dryRun
        request.fieldValidation = .strict
        request.force = force
        return request
    }
}
