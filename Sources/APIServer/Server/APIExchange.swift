internal import Documents
internal import NIOCore
internal import NIOHTTP1
internal import Store

/// One request and its answer. Belongs to the event loop of its connection.
final class APIExchange {
    let handler: APIRequestHandler
    let request: HTTPRequest
    let identity: Identity
    let target: RequestTarget
    let response: ResponseWriter
    var representation = Representation()
    var warnings: [String] = []
    /// The resource of the request where a webhook converts its documents, with what was converted so far.
    private var converting: ServedResource?
    private var conversionRounds = APIServerLimits.conversionRounds
    /// The end of a generated name, the same however often the request is run.
    private(set) lazy var nameSuffix = pipeline.nameSuffix()

    init(
        _ handler: APIRequestHandler, _ request: HTTPRequest, _ identity: Identity, _ target: RequestTarget,
        _ response: ResponseWriter
    ) {
        self.handler = handler
        self.request = request
        self.identity = identity
        self.target = target
        self.response = response
        isPretty = Self.isPretty(request.headers, target.query)
    }

    let isPretty: Bool
    var pipeline: APIPipeline { handler.pipeline }
    var query: Query { target.query }

    func header(_ name: String) -> String { request.headers[name].joined(separator: ",") }

    /// People read with curl and browsers; programs ask for nothing.
    static func isPretty(_ headers: HTTPHeaders, _ query: Query) -> Bool {
        if query.has("pretty") { return query.flag("pretty") }
        let agent = headers.first(name: "User-Agent") ?? ""
        return agent.hasPrefix("curl/") || agent.hasPrefix("Wget") || agent.hasPrefix("Mozilla/5.0")
    }

    // MARK: Routing

    func run() throws(APIError) {
        if case .resource(let path) = target.route { return try runResource(path) }
        try authorize(AccessRequest(identity: identity, verb: request.method.rawValue.lowercased(), path: target.path))
        if case .store(let operation) = target.route { return try runStore(operation) }
        guard request.method == .GET || request.method == .HEAD else { throw Self.methodNotAllowed }
        try runDocument()
    }

    func authorize(_ access: AccessRequest) throws(APIError) {
        if !handler.authorizer.allows(access) { throw access.refusal }
    }

    static let methodNotAllowed = APIError(
        code: 405, reason: .methodNotAllowed, message: "the server does not allow this method on the requested resource"
    )

    private func runResource(_ path: ResourcePath) throws(APIError) {
        guard
            let found = pipeline.catalogue.resource(
                group: path.group, version: path.version, resource: path.resource),
            path.namespace == nil || found.isNamespaced
        else { return notFound() }
        let resource = prepareConversion(of: found)
        let isWatch = path.isWatch || query.flag("watch") && path.name == nil
        let verb: String
        switch (request.method, path.name) {
        case (.GET, _) where path.isWatch: verb = "watch"
        case _ where path.isWatch: throw Self.methodNotAllowed
        case (.GET, nil), (.HEAD, nil): verb = isWatch ? "watch" : "list"
        case (.GET, _), (.HEAD, _): verb = "get"
        case (.POST, _): verb = "create"
        case (.PUT, _): verb = "update"
        case (.PATCH, _): verb = "patch"
        case (.DELETE, nil): verb = "deletecollection"
        case (.DELETE, _): verb = "delete"
        default: throw Self.methodNotAllowed
        }
        var access = AccessRequest(identity: identity, verb: verb, resource: resource.groupResource, path: target.path)
        access.namespace = path.namespace ?? (resource.groupResource == WellKnown.namespaces ? path.name ?? "" : "")
        access.name = path.name ?? ""
        access.subresource = path.subresource ?? ""
        try authorize(access)
        if ReviewKinds.isReview(resource.groupResource) { return try runReview(resource) }
        if resource.groupResource == WellKnown.bindings { return try runBinding(resource, path) }
        if resource.isNamespaced, path.namespace == nil, path.name != nil || verb == "create" { return notFound() }
        try run(verb, resource, path)
    }

    private func run(_ verb: String, _ resource: ServedResource, _ path: ResourcePath) throws(APIError) {
        if let subresource = path.subresource { return try runSubresource(verb, subresource, resource, path) }
        guard resource.definition.verbs.contains(verb) else { throw Self.methodNotAllowed }
        switch verb {
        case "list": try list(resource, path)
        case "watch": try watch(resource, path)
        case "get": try get(resource, key(resource, path))
        case "create":
            if path.name != nil {
                var options = WriteRequest(fieldManager: "")
                // As upstream, which reads the body of a custom resource before it looks at the address.
                if !resource.definition.isBuiltIn { _ = try readDocument(resource, &options) }
                throw Self.methodNotAllowed
            }
            try create(resource, path)
        case "update": try update(resource, try named(resource, path), subresource: nil)
        case "patch": try patch(resource, try named(resource, path), subresource: nil)
        case "delete": try delete(resource, key(resource, path))
        case "deletecollection": try deleteCollection(resource, path)
        default: throw Self.methodNotAllowed
        }
    }

    static func notSupported(_ verb: String, _ resource: ServedResource) -> APIError {
        APIError(
            code: 405, reason: .methodNotAllowed,
            message: "\(verb) is not supported on resources of kind \"\(resource.groupResource)\"",
            group: resource.kind.group, kind: resource.definition.plural)
    }

    func key(_ resource: ServedResource, _ path: ResourcePath) -> ObjectKey {
        resource.key(namespace: path.namespace ?? "", name: path.name ?? "")
    }

    func named(_ resource: ServedResource, _ path: ResourcePath) throws(APIError) -> ObjectKey {
        guard path.name != nil else { throw .badRequest("name must be provided") }
        return key(resource, path)
    }

    // MARK: Answering

    func headers(_ contentType: String) -> HTTPHeaders {
        var headers: HTTPHeaders = ["Cache-Control": "no-cache, private", "Content-Type": contentType]
        for warning in warnings.prefix(64) {
            let text = warning.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: " ")
            headers.add(name: "Warning", value: "299 - \"\(text)\"")
        }
        return headers
    }

    func answer(_ status: HTTPResponseStatus, _ json: JSON) {
        switch representation.encoding {
        case .yaml:
            response.send(status, headers("application/yaml"), ByteBuffer(string: YAMLWriter.text(json)))
        case .json:
            response.send(status, headers("application/json"), Self.body(json, isPretty: isPretty))
        }
    }

    /// JSON for people has no newline at its end, JSON for programs has one.
    static func body(_ json: JSON, isPretty: Bool) -> ByteBuffer {
        isPretty ? ByteBuffer(string: json.text(indent: true)) : line(json.encoded)
    }

    static func line(_ bytes: [UInt8]) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: bytes.count + 1)
        buffer.writeBytes(bytes)
        buffer.writeInteger(UInt8(ascii: "\n"))
        return buffer
    }

    /// Bytes that are JSON already go out as they are, unless somebody wants them otherwise.
    func answer(_ status: HTTPResponseStatus, bytes: [UInt8]) throws(APIError) {
        if representation.encoding == .json, !isPretty {
            return response.send(status, headers("application/json"), Self.line(bytes))
        }
        guard let json = try? JSONParser.parse(bytes, maximumBytes: .max) else {
            throw APIPipeline.internalError("a stored document cannot be read")
        }
        answer(status, json)
    }

    func plain(_ status: HTTPResponseStatus, _ text: String) {
        var headers = headers("text/plain; charset=utf-8")
        headers.replaceOrAdd(name: "X-Content-Type-Options", value: "nosniff")
        response.send(status, headers, ByteBuffer(string: text))
    }

    func notFound() { plain(.notFound, "404 page not found\n") }

    func refuse(_ error: APIError) {
        representation.encoding = .json
        var headers = headers("application/json")
        if error.retryAfterSeconds > 0 {
            headers.replaceOrAdd(name: "Retry-After", value: String(error.retryAfterSeconds))
        }
        let body = Self.body(error.status, isPretty: isPretty)
        response.send(HTTPResponseStatus(statusCode: error.code), headers, body)
    }

    /// Refuses a request. A write is judged by what is sequenced: its refusal must not tell of something that a power cut
    /// could still undo. That the store takes no writes tells of nothing.
    func refuseWhenDurable(_ error: APIError) {
        if request.method == .GET || request.method == .HEAD || error.code == 503 { return refuse(error) }
        whenDurable(nil) { _ throws(APIError) in throw error }
    }

    /// Runs `body` on the event loop once `revision` cannot be lost any more; refuses where it never will be known. `nil`
    /// stands for everything an answer that writes nothing may have seen.
    func whenDurable(_ revision: Revision?, _ body: @escaping (APIExchange) throws(APIError) -> Void) {
        let revision = revision ?? pipeline.store.sequencedRevision
        guard revision > pipeline.store.durableRevision else { return finish(.success(()), body) }
        let bound = NIOLoopBound((self, body), eventLoop: response.eventLoop)
        pipeline.store.whenDurable(revision) { result in
            bound.eventLoop.execute {
                let (exchange, body) = bound.value
                exchange.finish(result, body)
            }
        }
    }

    private func finish(
        _ result: Result<Void, StoreError>, _ body: @escaping (APIExchange) throws(APIError) -> Void
    ) {
        if case .failure(let error) = result { return refuse(APIError(error)) }
        attempt(body) { $0.refuse($1) }
    }
}

/// Requests for versions that a webhook converts.
extension APIExchange {
    private func prepareConversion(of resource: ServedResource) -> ServedResource {
        if resource.definition.conversion == nil { return resource }
        let known = converting?.conversions ?? Conversions()
        let prepared = resource.converting(with: known)
        converting = prepared
        return prepared
    }

    /// Runs `body`, and again each time a webhook has converted what it lacked. Until it lacks nothing it has written
    /// and answered nothing.
    func attempt(
        _ body: @escaping (APIExchange) throws(APIError) -> Void,
        otherwise refuse: @escaping (APIExchange, APIError) -> Void
    ) {
        do throws(APIError) {
            try body(self)
        } catch {
            guard error == Conversions.missing, let converting, conversionRounds > 0 else { return refuse(self, error) }
            conversionRounds -= 1
            convert(converting) { [self] failure in
                if let failure { refuse(self, failure) } else { attempt(body, otherwise: refuse) }
            }
        }
    }

    /// Asks the webhook for what is wanted of it, and calls `done` on the event loop, with why it failed where it did.
    func convert(_ resource: ServedResource, _ done: @escaping (APIError?) -> Void) {
        guard let conversions = resource.conversions, let wanted = conversions.takeWanted() else {
            return done(Conversions.missing)
        }
        let bound = NIOLoopBound(done, eventLoop: response.eventLoop)
        let (converter, definition) = (handler.converter, resource.definition)
        // Bridges the event loop to the webhook, which has its own deadline.
        Task {
            let failure = await converter.convert(wanted, definition, conversions)
            bound.eventLoop.execute { bound.value(failure) }
        }
    }
}
