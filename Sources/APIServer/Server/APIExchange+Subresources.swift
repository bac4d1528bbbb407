internal import Documents
internal import NIOHTTP1

/// What stands behind the name of a document in a path.
extension APIExchange {
    func runSubresource(
        _ verb: String, _ subresource: String, _ resource: ServedResource, _ path: ResourcePath
    ) throws(APIError) {
        let key = try named(resource, path)
        switch subresource {
        case "status" where resource.version.hasStatus: try runPart(verb, "status", resource, key)
        case "scale":
            guard let scale = resource.version.scale else { throw .notFound(key.resource, key.name) }
            try runScale(verb, scale, resource, key)
        case "finalize" where resource.groupResource == WellKnown.namespaces && verb == "update":
            try update(resource, key, subresource: nil)
        case "token" where resource.groupResource == WellKnown.serviceAccounts:
            if verb != "create" { throw Self.notSupported(verb, resource) }
            try runTokenRequest(key)
        default:
            guard resource.groupResource == WellKnown.pods else { throw .notFound(key.resource, key.name) }
            try runPodSubresource(verb, subresource, resource, key)
        }
    }

    private func runPodSubresource(
        _ verb: String, _ subresource: String, _ resource: ServedResource, _ key: ObjectKey
    ) throws(APIError) {
        switch (subresource, verb) {
        case ("log", "get"): try runLog(key)
        case ("binding", "create"): try bind(key)
        case ("eviction", "create"): try evict(key)
        case ("ephemeralcontainers", _), ("resize", _): try runPart(verb, subresource, resource, key)
        case ("exec", "get"), ("exec", "create"): try runCommand(key, isAttach: false)
        case ("attach", "get"), ("attach", "create"): try runCommand(key, isAttach: true)
        case ("portforward", "get"), ("portforward", "create"): try runPortForward(key)
        case ("proxy", _):
            throw APIError(
                code: 501, reason: .methodNotAllowed,
                message: "pods/proxy is not served; reach the pod with pods/portforward")
        case ("log", _), ("binding", _), ("eviction", _): throw Self.notSupported(verb, resource)
        default: throw .notFound(key.resource, key.name)
        }
    }

    /// A subresource that is a part of the document itself.
    private func runPart(
        _ verb: String, _ subresource: String, _ resource: ServedResource, _ key: ObjectKey
    ) throws(APIError) {
        switch verb {
        case "get": try get(resource, key)
        case "update": try update(resource, key, subresource: subresource)
        case "patch": try patch(resource, key, subresource: subresource)
        default: throw Self.notSupported(verb, resource)
        }
    }

    // MARK: Requests dressed as documents

    /// A Binding sent to the collection names the pod by its own name.
    func runBinding(_ resource: ServedResource, _ path: ResourcePath) throws(APIError) {
        guard request.method == .POST, path.name == nil, let namespace = path.namespace else {
            throw Self.methodNotAllowed
        }
        try bind(ObjectKey(WellKnown.pods, namespace: namespace, name: ""))
    }

    private func bind(_ key: ObjectKey) throws(APIError) {
        var options = try writeRequest("CreateOptions")
        let binding = try readRequest("v1", "Binding", key, &options)
        let named = ObjectKey(key.resource, namespace: key.namespace, name: key.name.isEmpty ? binding.name : key.name)
        answerSuccess(try pipeline.bind(named, binding, options))
    }

    private func evict(_ key: ObjectKey) throws(APIError) {
        var options = try writeRequest("CreateOptions")
        let eviction = try readRequest("policy/v1", "Eviction", key, &options)
        var request = try deleteRequest(eviction["deleteOptions"] ?? .null)
        request.isDryRun = request.isDryRun || options.isDryRun
        answerSuccess(try pipeline.evict(key, request))
    }

    /// The body, which must be of this kind and about this document.
    func readRequest(
        _ apiVersion: String, _ kind: String, _ key: ObjectKey, _ options: inout WriteRequest
    ) throws(APIError) -> Document {
        representation = try Representation.negotiate(accept: header("Accept"))
        representation.form = .document
        let document = Document(try readBody(&options))
        let found = (document.apiVersion, document.kind)
        let isMeant = (found.0.isEmpty || found.0 == apiVersion) && (found.1.isEmpty || found.1 == kind)
        guard document.json.objectValue != nil, isMeant else {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind)): expected \(apiVersion) \(kind), found "
                    + "\(found.0) \(found.1)")
        }
        guard document.name.isEmpty || key.name.isEmpty || document.name == key.name else {
            throw .badRequest(
                "the name of the object (\(document.name)) does not match the name on the URL (\(key.name))")
        }
        return document
    }

    private func runTokenRequest(_ key: ObjectKey) throws(APIError) {
        guard let tokens = handler.credentials.serviceAccounts else { throw .notFound(key.resource, key.name) }
        var options = try writeRequest("CreateOptions")
        let request = try readRequest("authentication.k8s.io/v1", "TokenRequest", key, &options)
        let answer = try tokens.issue(request, key)
        whenDurable(nil) { exchange throws(APIError) in exchange.answer(.created, answer.json) }
    }

    private func answerSuccess(_ answer: WriteAnswer) {
        whenDurable(answer.revision) { exchange throws(APIError) in
            exchange.answer(
                .created, ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201])
        }
    }
}
