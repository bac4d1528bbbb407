package import Documents
internal import Synchronization

extension HTTPClient: Client {
    package func resource(for kind: GroupVersionKind) async throws(APIError) -> ResourceInformation {
        if let known = discovered.withLock({ $0[kind] }) { return known }
        try await discover()
        if let known = discovered.withLock({ $0[kind] }) { return known }
        throw APIError(
            code: 404, reason: .notFound,
            message: "no matches for kind \"\(kind.kind)\" in version \"\(kind.apiVersion)\"",
            group: kind.group, kind: kind.kind)
    }

    package func get(_ key: ObjectKey) async throws(APIError) -> Document {
        try await document("GET", try await path(key))
    }

    package func list(
        _ resource: GroupResource, namespace: String, options: ListOptions
    ) async throws(APIError) -> DocumentList {
        let collection = path(try await information(of: resource), namespace: namespace)
        var items: [Document] = []
        var resumption = ""
        var revision = ""
        repeat {
            let query = Self.query([
                ("labelSelector", options.labelSelector), ("fieldSelector", options.fieldSelector),
                ("limit", String(ClientLimits.pageSize)), ("continue", resumption),
            ])
            let page = try await document("GET", collection + query)
            let apiVersion = page.apiVersion
            let kind = page.kind.hasSuffix("List") ? String(page.kind.dropLast(4)) : page.kind
            for var item in page["items"]?.arrayValue ?? [] {
                if item["apiVersion"] == nil { item["apiVersion"] = .string(apiVersion) }
                if item["kind"] == nil { item["kind"] = .string(kind) }
                items.append(Document(item))
            }
            revision = page.resourceVersion
            resumption = page.metadata["continue"]?.stringValue ?? ""
        } while !resumption.isEmpty
        return DocumentList(resourceVersion: revision, items: items)
    }

    package func create(_ document: Document, options: WriteOptions) async throws(APIError) -> Document {
        let information = try await resource(for: document.groupVersionKind)
        let collection = path(information, namespace: document.namespace)
        return try await self.document("POST", collection + query(options), document.json.encoded)
    }

    package func update(
        _ document: Document, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let path = try await path(try await key(of: document), subresource?.rawValue)
        return try await self.document("PUT", path + query(options), document.json.encoded)
    }

    package func patch(
        _ key: ObjectKey, _ patch: Patch, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let (type, body) =
            switch patch {
            case .merge(let json): ("application/merge-patch+json", json)
            case .json(let json): ("application/json-patch+json", json)
            case .strategic(let json): ("application/strategic-merge-patch+json", json)
            }
        let path = try await path(key, subresource?.rawValue)
        return try await document("PATCH", path + query(options), body.encoded, contentType: type)
    }

    package func apply(
        _ document: Document, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document {
        let path = try await path(try await key(of: document), subresource?.rawValue)
        let query = query(options, force: options.force)
        return try await self.document(
            "PATCH", path + query, document.json.encoded, contentType: "application/apply-patch+yaml")
    }

    package func delete(_ key: ObjectKey, options: DeleteOptions) async throws(APIError) {
        var body: JSON = ["kind": "DeleteOptions", "apiVersion": "v1"]
        body["propagationPolicy"] = .string(options.propagation.rawValue)
        if let seconds = options.gracePeriodSeconds { body["gracePeriodSeconds"] = .integer(Int64(seconds)) }
        if let uid = options.uid { body["preconditions"] = ["uid": .string(uid)] }
        if let revision = options.resourceVersion {
            var preconditions = body["preconditions"] ?? [:]
            preconditions["resourceVersion"] = .string(revision)
            body["preconditions"] = preconditions
        }
        if options.dryRun { body["dryRun"] = ["All"] }
        _ = try await document("DELETE", try await path(key), body.encoded)
    }

    /// The key of a document, by its kind.
    package func key(of document: Document) async throws(APIError) -> ObjectKey {
        let information = try await resource(for: document.groupVersionKind)
        return ObjectKey(
            information.resource, namespace: information.isNamespaced ? document.namespace : "", name: document.name)
    }

    private func query(_ options: WriteOptions, force: Bool = false) -> String {
        Self.query([
            ("fieldManager", options.fieldManager), ("fieldValidation", "Strict"),
            ("dryRun", options.dryRun ? "All" : ""), ("force", force ? "true" : ""),
        ])
    }

    private func document(
        _ method: String, _ target: String, _ body: [UInt8]? = nil, contentType: String = "application/json"
    ) async throws(APIError) -> Document {
        let answer = try await request(method, target, contentType: contentType, body: body)
        if answer.status >= 300 { throw Self.error(status: answer.status, answer.body) }
        do throws(JSONParseError) {
            return Document(try JSONParser.parse(answer.body, maximumBytes: ClientLimits.responseBytes))
        } catch {
            throw APIError.unreachable("expected JSON from \(target), found: \(error)")
        }
    }
}
