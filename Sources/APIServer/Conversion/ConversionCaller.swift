internal import Admission
internal import Client
internal import Documents
internal import Seams
internal import Store
internal import Synchronization

/// Asks the conversion webhooks of users' kinds. Keeps a client for each, so that connections are used again.
final class ConversionCaller: Sendable {
    private let pipeline: APIPipeline
    private let clients = Mutex<[Address: HTTPClient]>([:])

    /// Where a webhook is, and how it is known there.
    private struct Address: Hashable {
        var host: String
        var port: Int
        var serverName: String?
        var authority: [UInt8]
    }

    init(pipeline: APIPipeline) { self.pipeline = pipeline }

    /// Converts what is wanted, and makes it known. Answers why not.
    func convert(_ wanted: Conversions.Wanted, _ definition: ResourceDefinition, _ conversions: Conversions) async
        -> APIError?
    {
        guard let webhook = definition.conversion else { return Conversions.missing }
        var from = wanted.documents.first?.groupVersionKind ?? GroupVersionKind(group: "", version: "", kind: "")
        if wanted.isList { from.kind = definition.listKind }
        let review = ConversionReview(
            documents: wanted.documents, target: wanted.target, subject: "\(from.apiVersion), Kind=\(from.kind)",
            version: webhook.reviewVersion, uid: pipeline.uniqueIdentifier(), isList: wanted.isList)
        do throws(APIError) {
            let converted = try review.converted(by: try await ask(webhook, review))
            conversions.learn(wanted, converted.map { Self.shaped($0, definition) })
            return nil
        } catch {
            return error
        }
    }

    /// What a webhook says of a document counts as far as the schema of that version knows it.
    private static func shaped(_ document: Document, _ definition: ResourceDefinition) -> Document {
        DocumentAdmission.reshaped(document, definition: definition, version: document.groupVersionKind.version)
    }

    private func ask(_ webhook: ResourceDefinition.ConversionWebhook, _ review: ConversionReview) async throws(APIError)
        -> JSON
    {
        let (address, target, url) = try address(of: webhook, review)
        let place = "Post \"\(url)\(target.contains("?") ? "&" : "?")\(Self.timeout)\":"
        do throws(APIError) {
            let client = try client(address)
            let answer = try await client.send(
                "POST", target, headers: [("Content-Type", "application/json"), ("Accept", "application/json")],
                body: review.request.encoded)
            guard (200..<300).contains(answer.status) else {
                throw review.failed("the server answered \(answer.status): \(Self.text(answer.body))")
            }
            do throws(JSONParseError) {
                return try JSONParser.parse(answer.body, maximumBytes: APIServerLimits.conversionBytes)
            } catch {
                throw review.failed("the answer cannot be read: \(error)")
            }
        } catch {
            if error.code == 500, error.reason == .unknown { throw error }
            throw review.failed("\(place) \(error.message)")
        }
    }

    /// How upstream's messages say how long it waits.
    private static let timeout = "timeout=\(APIServerLimits.conversionTimeout.components.seconds)s"

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes.prefix(300), as: UTF8.self) }

    private func address(
        of webhook: ResourceDefinition.ConversionWebhook, _ review: ConversionReview
    ) throws(APIError) -> (Address, target: String, url: String) {
        switch webhook.place {
        case .url(let url):
            let endpoint: Endpoint
            do throws(APIError) {
                endpoint = try Endpoint(url: url)
            } catch {
                throw review.failed(error.message)
            }
            let address = Address(host: endpoint.host, port: endpoint.port, authority: webhook.authority)
            return (address, endpoint.basePath.isEmpty ? "/" : endpoint.basePath, url)
        case .service(let namespace, let name, let path, let port):
            let serverName = "\(name).\(namespace).svc"
            let url = "https://\(serverName):\(port)\(path)"
            let key = ObjectKey(WellKnown.services, namespace: namespace, name: name)
            guard let entry = try? pipeline.get(key, .durable), let service = try? APIPipeline.decode(entry) else {
                throw review.failed("Post \"\(url)?\(Self.timeout)\": service \"\(name)\" not found")
            }
            let host = service.spec["clusterIP"]?.stringValue ?? ""
            let ports = service.spec["ports"]?.arrayValue ?? []
            guard host.contains("."), ports.contains(where: { $0["port"]?.integerValue == Int64(port) }) else {
                throw review.failed(
                    "Post \"\(url)?\(Self.timeout)\": service \"\(name)\" has no address of its own with a port \(port)"
                )
            }
            return (
                Address(host: host, port: port, serverName: serverName, authority: webhook.authority),
                path.isEmpty ? "/" : path, url
            )
        }
    }

    private func client(_ address: Address) throws(APIError) -> HTTPClient {
        if let known = clients.withLock({ $0[address] }) { return known }
        var endpoint = Endpoint(host: address.host, port: address.port)
        endpoint.serverName = address.serverName
        endpoint.certificateAuthority = address.authority
        endpoint.responseTimeout = APIServerLimits.conversionTimeout
        let client = try HTTPClient(endpoint: endpoint)
        clients.withLock { clients in
            if clients.count >= APIServerLimits.conversionClients { clients.removeAll() }
            clients[address] = client
        }
        return client
    }
}
