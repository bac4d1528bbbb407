internal import Documents
internal import NIOCore
internal import NIOHTTP1
internal import Seams
internal import Store

/// Get, list and the logs of pods.
extension APIExchange {
    func get(_ resource: ServedResource, _ key: ObjectKey) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"))
        let version = query["resourceVersion"]
        if !version.isEmpty { _ = try Self.revision(version) }
        let entry = try pipeline.get(key, .durable)
        if representation.form == .document, resource.isStorageVersion {
            let bytes = try APIPipeline.bytes(entry)
            if resource.isCurrent(bytes) { return try answer(.ok, bytes: bytes) }
        }
        try answer(.ok, try APIPipeline.decode(entry, resource), resource)
    }

    /// One document in the form the client wants.
    func answer(_ status: HTTPResponseStatus, _ document: Document, _ resource: ServedResource) throws(APIError) {
        switch representation.form {
        case .table(let version):
            let table = Table(
                resource, version: version, included: try Table.included(query["includeObject"]),
                now: pipeline.clock.now())
            answer(status, table.json([document], metadata: ["resourceVersion": .string(document.resourceVersion)]))
        case .partialMetadata(let version, _): answer(status, PartialMetadata.json(document, version: version))
        default: answer(status, document.json)
        }
    }

    static func revision(_ text: String) throws(APIError) -> Revision {
        guard let revision = Revision(text) else {
            throw .badRequest(
                "invalid resource version: resourceVersion: Invalid value: \"\(text)\": strconv.ParseUint: parsing \"\(text)\": invalid syntax"
            )
        }
        return revision
    }

    func list(_ resource: ServedResource, _ path: ResourcePath) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"))
        if case .partialMetadata(_, isList: false) = representation.form {
            let type = resource.definition.isBuiltIn ? resource.definition.listKind : "unstructured.UnstructuredList"
            throw APIError(
                code: 406, reason: .notAcceptable,
                message: "you requested PartialObjectMetadata, but the requested object is a list (*\(type))")
        }
        let request = try listRequest(resource, path)
        let wanted = Revision(request.resourceVersion)
        if let wanted, wanted > pipeline.store.durableRevision, wanted <= pipeline.store.sequencedRevision {
            return whenDurable(wanted) { exchange throws(APIError) in try exchange.sendList(resource, request) }
        }
        try sendList(resource, request)
    }

    func listRequest(_ resource: ServedResource, _ path: ResourcePath) throws(APIError) -> ListRequest {
        var request = ListRequest()
        request.namespace = path.namespace ?? ""
        request.selection = try Selection(
            labelSelector: query["labelSelector"], fieldSelector: query["fieldSelector"], resource)
        _ = try query.integer("timeoutSeconds")
        request.limit = Int(clamping: max(0, try query.integer("limit") ?? 0))
        request.continuation = query["continue"]
        request.resourceVersion = query["resourceVersion"]
        if !request.resourceVersion.isEmpty { _ = try Self.revision(request.resourceVersion) }
        try ListOptionsRules.check(query, isWatch: false)
        request.match = ListRequest.Match(rawValue: query["resourceVersionMatch"])
        if !request.continuation.isEmpty, !request.resourceVersion.isEmpty, request.resourceVersion != "0" {
            throw .badRequest("specifying resource version is not allowed when using continue")
        }
        return request
    }

    private func sendList(_ resource: ServedResource, _ request: ListRequest) throws(APIError) {
        let list = try pipeline.list(resource, request, .durable)
        var metadata: JSONObject = ["resourceVersion": .string(list.revision.description)]
        if !list.continuation.isEmpty { metadata["continue"] = .string(list.continuation) }
        if let remaining = list.remaining { metadata["remainingItemCount"] = .integer(Int64(remaining)) }
        switch representation.form {
        case .table(let version):
            let table = Table(
                resource, version: version, included: try Table.included(query["includeObject"]),
                now: pipeline.clock.now())
            answer(.ok, table.json(try APIPipeline.decode(list.entries, resource), metadata: .object(metadata)))
        case .partialMetadata(let version, _):
            var items: [JSON] = []
            for document in try APIPipeline.decode(list.entries, resource) {
                items.append(PartialMetadata.json(document, version: version))
            }
            answer(
                .ok,
                [
                    "kind": "PartialObjectMetadataList", "apiVersion": .string("meta.k8s.io/\(version)"),
                    "metadata": .object(metadata), "items": .array(items),
                ])
        default:
            if metadata["continue"] == nil { metadata["continue"] = "" }
            metadata.sort()
            try answer(.ok, bytes: try listBytes(resource, list, JSON.object(metadata)))
        }
    }

    /// A list whose items are the stored bytes, one behind the other.
    private func listBytes(_ resource: ServedResource, _ list: ListAnswer, _ metadata: JSON) throws(APIError) -> [UInt8]
    {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(list.entries.reduce(512) { $0 + $1.count + 1 })
        bytes.append(contentsOf: "{\"apiVersion\":\"\(resource.apiVersion)\",\"items\":[".utf8)
        var isCurrent = resource.isStorageVersion
        let start = bytes.count
        if isCurrent {
            do throws(StoreError) {
                try list.entries.readValues { position, value in
                    if position > 0 { bytes.append(UInt8(ascii: ",")) }
                    isCurrent = isCurrent && resource.isCurrent(value)
                    bytes.append(contentsOf: value)
                }
            } catch {
                throw APIError(error)
            }
        }
        if !isCurrent {
            bytes.removeSubrange(start...)
            for (position, document) in try APIPipeline.decode(list.entries, resource).enumerated() {
                if position > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes.append(contentsOf: document.json.encoded)
            }
        }
        bytes.append(contentsOf: "],\"kind\":\"\(resource.definition.listKind)\",\"metadata\":".utf8)
        bytes.append(contentsOf: metadata.encoded)
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    // MARK: Logs

    func runLog(_ key: ObjectKey) throws(APIError) {
        _ = try pipeline.get(key, .durable)
        guard let source = handler.logSource else {
            throw APIError(
                code: 503, reason: .serviceUnavailable, message: "no node serves logs yet; try again",
                retryAfterSeconds: 1)
        }
        var request = PodLogRequest(namespace: key.namespace, pod: key.name)
        request.container = query["container"]
        request.follows = query.flag("follow")
        request.previous = query.flag("previous")
        request.timestamps = query.flag("timestamps")
        request.tailLines = try query.integer("tailLines").map { Int(clamping: $0) }
        request.sinceSeconds = try query.integer("sinceSeconds")
        request.limitBytes = try query.integer("limitBytes").map { Int(clamping: $0) }
        LogResponse(self).start { [request] () throws(APIError) in try await source.open(request) }
    }
}

/// Which parameters of a list or a watch go together: the rules of upstream, in its words.
enum ListOptionsRules {
    static func check(_ query: Query, isWatch: Bool) throws(APIError) {
        let version = query["resourceVersion"]
        let match = query["resourceVersionMatch"]
        let sendsInitialEvents = query.has("sendInitialEvents")
        if sendsInitialEvents {
            guard isWatch else {
                let unbound =
                    version.isEmpty && !match.isEmpty
                    ? [
                        cause(
                            "resourceVersionMatch",
                            "resourceVersionMatch is forbidden unless resourceVersion is provided")
                    ] : []
                throw refusal(unbound + [cause("sendInitialEvents", "sendInitialEvents is forbidden for list")])
            }
            guard match == "NotOlderThan" else {
                throw refusal(
                    "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
            }
            return
        }
        if match.isEmpty { return }
        if isWatch {
            throw refusal(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        }
        if version.isEmpty {
            throw refusal(
                "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
        }
        if !query["continue"].isEmpty {
            throw refusal("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
        }
        guard match == "Exact" || match == "NotOlderThan" else {
            let message = "Unsupported value: \"\(match)\": supported values: \"Exact\", \"NotOlderThan\", \"\""
            throw refusal("resourceVersionMatch", message, reason: "FieldValueNotSupported")
        }
        if match == "Exact", version == "0" {
            throw refusal(
                "resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
        }
    }

    private static func refusal(_ field: String, _ message: String, reason: String = "FieldValueForbidden") -> APIError
    {
        refusal([cause(field, message, reason: reason)])
    }

    private static func cause(_ field: String, _ message: String, reason: String = "FieldValueForbidden")
        -> APIError.Cause
    {
        let text = reason == "FieldValueForbidden" ? "Forbidden: \(message)" : message
        return APIError.Cause(reason: reason, message: text, field: field)
    }

    private static func refusal(_ causes: [APIError.Cause]) -> APIError {
        .invalid(GroupVersionKind(group: "meta.k8s.io", version: "", kind: "ListOptions"), "", causes)
    }
}
