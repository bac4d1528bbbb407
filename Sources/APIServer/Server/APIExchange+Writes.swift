internal import Admission
internal import Documents
internal import NIOCore
internal import NIOHTTP1
internal import Store

/// Create, update, patch, apply and delete. Each decides at once and answers when the decision is durable.
extension APIExchange {
    func create(_ resource: ServedResource, _ path: ResourcePath) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"))
        var options = try writeRequest("CreateOptions")
        let document = try readDocument(resource, &options)
        try respond(try pipeline.create(resource, namespace: path.namespace ?? "", document, options), resource)
    }

    func update(_ resource: ServedResource, _ key: ObjectKey, subresource: String?) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"))
        var options = try writeRequest("UpdateOptions")
        let document = try readDocument(resource, &options)
        try respond(try pipeline.update(resource, key, document, options, subresource: subresource), resource)
    }

    func patch(_ resource: ServedResource, _ key: ObjectKey, subresource: String?) throws(APIError) {
        let encoding = try PatchEncoding(contentType: header("Content-Type"), isBuiltIn: resource.definition.isBuiltIn)
        representation = try Representation.negotiate(accept: header("Accept"))
        var options = try writeRequest("PatchOptions", isApply: encoding == .apply, isPatch: true)
        let answer: WriteAnswer
        if encoding == .apply {
            let config = Document(try readYAML(&options))
            guard config.kind == resource.kind.kind, config.apiVersion == resource.apiVersion else {
                let kind = config.groupVersionKind
                throw .badRequest("invalid object type: \(kind.group)/\(kind.version), Kind=\(kind.kind)")
            }
            answer = try pipeline.apply(resource, key, config, options, subresource: subresource)
        } else {
            answer = try pipeline.patch(
                resource, key, try readPatch(encoding, &options), options, subresource: subresource)
        }
        try respond(answer, resource)
    }

    private func readPatch(_ encoding: PatchEncoding, _ options: inout WriteRequest) throws(APIError) -> DocumentPatch {
        let json: JSON
        do throws(JSONParseError) {
            let parsed = try JSONParser.parseReportingDuplicates(bodyBytes)
            json = parsed.value
            if encoding != .json { options.duplicateFields = parsed.duplicates }
        } catch {
            throw .badRequest("error decoding patch: \(error.goDescription)")
        }
        switch encoding {
        case .json:
            guard json.arrayValue != nil else {
                throw .badRequest("error decoding patch: expected an array of operations, found \(json.typeName)")
            }
            return .json(json)
        case .strategic:
            guard json.objectValue != nil else {
                throw .badRequest("error decoding patch: expected an object, found \(json.typeName)")
            }
            return .strategic(json)
        case .merge, .apply:
            guard json.objectValue != nil else {
                throw .badRequest("error decoding patch: expected an object, found \(json.typeName)")
            }
            return .merge(json)
        }
    }

    /// Answers with the document once it is durable.
    private func respond(_ answer: WriteAnswer, _ resource: ServedResource) throws(APIError) {
        warnings += answer.warnings
        whenDurable(answer.revision) { exchange throws(APIError) in
            let status: HTTPResponseStatus = answer.isCreated ? .created : .ok
            if exchange.representation.form == .document, resource.isStorageVersion, let bytes = answer.bytes {
                return try exchange.answer(status, bytes: bytes)
            }
            var document = answer.document
            if resource.conversions != nil, let bytes = answer.bytes, let stored = try? JSONParser.parse(bytes) {
                document = try VersionConversion.served(Document(stored), as: resource)
            }
            document["apiVersion"] = .string(resource.apiVersion)
            if exchange.representation.form == .document { document = Document(document.json.sortedDeeply) }
            try exchange.answer(status, document, resource)
        }
    }

    // MARK: Scale

    func runScale(
        _ verb: String, _ scale: ResourceDefinition.Scale, _ resource: ServedResource, _ key: ObjectKey
    ) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"))
        if verb == "get" {
            let document = try APIPipeline.decode(try pipeline.get(key, .durable), resource)
            return try answer(.ok, try pipeline.scale(of: document, scale), ScaleTable.resource)
        }
        representation.form = .document
        var options = try writeRequest(verb == "patch" ? "PatchOptions" : "UpdateOptions", isPatch: verb == "patch")
        let transform: (Document) throws(APIError) -> Document
        switch verb {
        case "update":
            let wanted = Document(try readBody(&options))
            transform = { _ throws(APIError) in wanted }
        case "patch":
            let encoding = try PatchEncoding(contentType: header("Content-Type"), isBuiltIn: true)
            let patch =
                encoding == .apply ? DocumentPatch.merge(try readYAML(&options)) : try readPatch(encoding, &options)
            let schema = Schema(["type": "object", "x-kubernetes-preserve-unknown-fields": true])
            transform = { current throws(APIError) in Document(try patch.applied(to: current.json, schema: schema)) }
        default: throw Self.methodNotAllowed
        }
        let result = try pipeline.changeScale(resource, key, scale, options, transform)
        whenDurable(result.revision) { exchange throws(APIError) in
            exchange.answer(.ok, try exchange.pipeline.scale(of: result.document, scale).json)
        }
    }

    // MARK: Delete

    func delete(_ resource: ServedResource, _ key: ObjectKey) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"))
        let answer = try pipeline.delete(resource, key, try deleteRequest())
        whenDurable(answer.revision) { exchange throws(APIError) in
            if answer.isGone, resource.groupResource != WellKnown.pods {
                var details: JSONObject = ["name": .string(key.name)]
                if !resource.kind.group.isEmpty { details["group"] = .string(resource.kind.group) }
                details["kind"] = .string(resource.definition.plural)
                details["uid"] = .string(answer.document.uid)
                exchange.representation.form = .document
                return exchange.answer(
                    .ok,
                    [
                        "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success",
                        "details": .object(details),
                    ])
            }
            try exchange.answer(.ok, answer.document, resource)
        }
    }

    func deleteCollection(_ resource: ServedResource, _ path: ResourcePath) throws(APIError) {
        let selection = try Selection(
            labelSelector: query["labelSelector"], fieldSelector: query["fieldSelector"], resource)
        let answer = try pipeline.deleteCollection(
            resource, namespace: path.namespace ?? "", selection, try deleteRequest())
        whenDurable(answer.revision) { exchange throws(APIError) in
            let list: JSON = [
                "apiVersion": .string(resource.apiVersion), "kind": .string(resource.definition.listKind),
                "metadata": ["continue": "", "resourceVersion": .string(answer.revision?.description ?? "")],
                "items": .array(answer.documents.map(\.json)),
            ]
            exchange.answer(.ok, list.sortedDeeply)
        }
    }

    /// Options in the body win over those in the query.
    private func deleteRequest() throws(APIError) -> DeleteRequest {
        var unused = WriteRequest(fieldManager: "")
        return try deleteRequest(bodyBytes.isEmpty ? JSON.null : try readBody(&unused))
    }

    /// `body` holds DeleteOptions, or nothing.
    func deleteRequest(_ body: JSON) throws(APIError) -> DeleteRequest {
        var request = DeleteRequest()
        request.uid = body["preconditions"]?["uid"]?.stringValue
        request.resourceVersion = body["preconditions"]?["resourceVersion"]?.stringValue
        let seconds = try query.integer("gracePeriodSeconds")
        request.gracePeriodSeconds = body["gracePeriodSeconds"]?.integerValue ?? seconds
        let policy = body["propagationPolicy"]?.stringValue ?? query["propagationPolicy"]
        if !policy.isEmpty {
            guard let propagation = DeleteRequest.Propagation(rawValue: policy) else {
                throw optionRefusal(
                    "DeleteOptions", "propagationPolicy", "FieldValueNotSupported",
                    "Unsupported value: \"\(policy)\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                )
            }
            request.propagation = propagation
        } else if body["orphanDependents"]?.boolValue == true || query.flag("orphanDependents") {
            request.propagation = .orphan
        }
        let dryRun = body["dryRun"]?.arrayValue?.compactMap(\.stringValue) ?? query.all("dryRun")
        request.isDryRun = try isDryRun(dryRun, "DeleteOptions")
        return request
    }

    // MARK: Options

    func writeRequest(_ kind: String, isApply: Bool = false, isPatch: Bool = false) throws(APIError)
        -> WriteRequest
    {
        var manager = query["fieldManager"]
        if manager.isEmpty, isApply {
            throw optionRefusal(
                kind, "fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
        }
        if manager.utf8.count > APIServerLimits.fieldManagerBytes {
            throw optionRefusal(
                kind, "fieldManager", "FieldValueTooLong",
                "Too long: may not be more than \(APIServerLimits.fieldManagerBytes) bytes")
        }
        if manager.isEmpty {
            manager = String(header("User-Agent").prefix { $0 != "/" }.prefix(APIServerLimits.fieldManagerBytes))
            if manager.isEmpty { manager = "unknown" }
        }
        var request = WriteRequest(fieldManager: manager)
        request.nameSuffix = nameSuffix
        request.isDryRun = try isDryRun(query.all("dryRun"), kind)
        switch query["fieldValidation"] {
        case "", "Warn": request.fieldValidation = .warn
        case "Strict": request.fieldValidation = .strict
        case "Ignore": request.fieldValidation = .ignore
        case let other:
            throw optionRefusal(
                kind, "fieldValidation", "FieldValueNotSupported",
                "Unsupported value: \"\(other)\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"")
        }
        if isPatch, query.has("force") {
            guard isApply else {
                throw optionRefusal(
                    kind, "force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch")
            }
            request.force = query.flag("force")
        }
        return request
    }

    private func isDryRun(_ values: [String], _ kind: String) throws(APIError) -> Bool {
        let given = values.filter { !$0.isEmpty }
        guard given.allSatisfy({ $0 == "All" }) else {
            let found = JSON.array(given.map(JSON.string)).text()
            throw optionRefusal(
                kind, "dryRun", "FieldValueNotSupported", "Unsupported value: \(found): supported values: \"All\"")
        }
        return !given.isEmpty
    }

    private func optionRefusal(_ kind: String, _ field: String, _ reason: String, _ message: String) -> APIError {
        .invalid(
            GroupVersionKind(group: "meta.k8s.io", version: "", kind: kind), "",
            [APIError.Cause(reason: reason, message: message, field: field)])
    }
}

extension JSON {
    /// With the members of every object in byte order.
    var sortedDeeply: JSON {
        switch self {
        case .array(let elements): .array(elements.map(\.sortedDeeply))
        case .object(let object): .object(JSONObject(object.sortedMembers.map { ($0.key, $0.value.sortedDeeply) }))
        default: self
        }
    }
}
