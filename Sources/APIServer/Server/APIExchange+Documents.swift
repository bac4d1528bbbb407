internal import Documents
internal import NIOCore
internal import NIOHTTP1
internal import Store

/// What the server says about itself.
extension APIExchange {
    func runDocument() throws(APIError) {
        let documents = pipeline.documents
        switch target.route {
        case .version:
            response.send(.ok, headers("application/json"), ByteBuffer(string: Self.version.text(indent: true)))
        case .health(let kind, let check): health(kind, check)
        case .coreVersions: try discovery(core: true, documents)
        case .groups: try discovery(core: false, documents)
        case .group(let name):
            guard let group = documents.discovery.groupDocument(name) else { return notFound() }
            try answerNegotiated(group)
        case .resources(let group, let version):
            guard let list = documents.discovery.resources(group: group, version: version) else { return notFound() }
            try answerNegotiated(list)
        case .openAPIIndex: send(documents.openAPIIndex, isImmutable: false)
        case .openAPIDocument(let name):
            guard let document = documents.openAPI(name) else { return notFound() }
            send(document, isImmutable: query.has("hash"))
        case .metrics: plain(.ok, metrics)
        case .openAPIVersion2: openAPIVersion2(documents)
        case .openIDConfiguration:
            openID("application/json") { $0.configuration(serverAddress: documents.discovery.serverAddress) }
        case .openIDKeys: openID("application/jwk-set+json", \.keySet)
        case .unknown, .resource, .store: notFound()
        }
    }

    static let version: JSON = [
        "major": "1", "minor": "32", "gitVersion": "v1.32.0+espalier", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "",
        "goVersion": "", "compiler": "swift", "platform": "linux/amd64",
    ]

    private func openID(_ contentType: String, _ document: (ServiceAccountTokens) -> JSON) {
        guard let tokens = handler.credentials.serviceAccounts else { return notFound() }
        let headers: HTTPHeaders = ["Cache-Control": "public, max-age=3600", "Content-Type": contentType]
        response.send(.ok, headers, ByteBuffer(bytes: document(tokens).encoded))
    }

    private func answerNegotiated(_ json: JSON) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"))
        answer(.ok, json)
    }

    private func discovery(core: Bool, _ documents: CatalogueDocuments) throws(APIError) {
        representation = try Representation.negotiate(accept: header("Accept"), discovery: true)
        guard case .discovery(let version) = representation.form else {
            return answer(.ok, core ? documents.discovery.coreVersions : documents.discovery.groups)
        }
        let encoded = documents.aggregated(core: core, version: version)
        var headers: HTTPHeaders = [
            "Cache-Control": "public", "ETag": "\"\(encoded.tag)\"", "Vary": "Accept",
        ]
        if header("If-None-Match") == "\"\(encoded.tag)\"" { return response.send(.notModified, headers, ByteBuffer()) }
        headers.add(
            name: "Content-Type", value: "application/json;g=apidiscovery.k8s.io;v=\(version);as=APIGroupDiscoveryList")
        response.send(.ok, headers, body(encoded))
    }

    private func openAPIVersion2(_ documents: CatalogueDocuments) {
        let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
        guard header("Accept").contains(protobuf) else { return send(documents.openAPIVersion2, isImmutable: false) }
        // As upstream answers: clients cannot read a media type with an @ in it.
        let type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        send(documents.openAPIVersion2Protobuf, isImmutable: false, contentType: type)
    }

    private func send(
        _ encoded: CatalogueDocuments.Encoded, isImmutable: Bool, contentType: String = "application/json"
    ) {
        var headers: HTTPHeaders = [
            "Cache-Control": isImmutable ? "public, immutable" : "no-cache, private", "ETag": "\"\(encoded.tag)\"",
            "Vary": "Accept",
        ]
        if header("If-None-Match") == "\"\(encoded.tag)\"" { return response.send(.notModified, headers, ByteBuffer()) }
        headers.add(name: "Content-Type", value: contentType)
        response.send(.ok, headers, ByteBuffer(bytes: encoded.bytes))
    }

    private func body(_ encoded: CatalogueDocuments.Encoded) -> ByteBuffer {
        guard isPretty, let json = try? JSONParser.parse(encoded.bytes, maximumBytes: .max) else {  // we encoded it
            return ByteBuffer(bytes: encoded.bytes)
        }
        return ByteBuffer(string: json.text(indent: true))
    }

    /// `/healthz` and `/livez` say that the process lives; `/readyz` that every part of it does its work.
    private func health(_ kind: String, _ check: String?) {
        var results: [(name: String, isVital: Bool, failure: String?)] = [("ping", true, nil)]
        if kind == "readyz" { results += handler.checkResults }
        if let check {
            guard let found = results.first(where: { $0.name == check }) else { return notFound() }
            results = [found]
        }
        let failed = results.filter { $0.failure != nil && ($0.isVital || check != nil) }
        if failed.isEmpty, !query.has("verbose") { return plain(.ok, "ok") }
        var text = results.map { result in
            result.failure.map { "[-]\(result.name) failed: \($0)\n" } ?? "[+]\(result.name) ok\n"
        }.joined()
        text += "\(kind) check \(failed.isEmpty ? "passed" : "failed")\n"
        plain(failed.isEmpty ? .ok : .serviceUnavailable, text)
    }

    private var metrics: String {
        let store = pipeline.store
        return """
            # TYPE espalier_store_revision gauge
            espalier_store_revision{state="sequenced"} \(store.sequencedRevision)
            espalier_store_revision{state="durable"} \(store.durableRevision)
            espalier_store_revision{state="compacted"} \(store.compactedRevision)
            # TYPE espalier_store_writable gauge
            espalier_store_writable \(store.writeRefusal == nil ? 1 : 0)
            # TYPE espalier_store_documents gauge
            espalier_store_documents \(store.snapshot(.durable).count(prefix: []))

            """ + handler.gaugeText
    }
}
