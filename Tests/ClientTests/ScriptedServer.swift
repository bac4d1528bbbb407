import Client
import Documents
import NIOCore
import NIOHTTP1
import NIOPosix
import Seams
import Synchronization

@testable import APIServer

/// A TLS server that answers what a test says, over the real listener.
final class ScriptedServer: Sendable {
    enum Answer: Sendable {
        case whole(Int, String)
        case refused(APIError)
        /// Pieces sent one after the other, then the end of the body.
        case pieces([String])
        /// Begins a body and never ends it.
        case open([String])
    }

    /// Remembers what was asked, and asks the test's closure what to say.
    private final class Script: HTTPRequestHandler {
        let respond: @Sendable (String, HTTPHeaders, String) -> Answer
        let asked = Mutex<[String]>([])

        init(_ respond: @escaping @Sendable (String, HTTPHeaders, String) -> Answer) { self.respond = respond }

        func authenticate(_ head: HTTPRequestHead) -> Result<Identity, APIError> {
            .success(Identity(user: "test", groups: []))
        }

        func refuse(_ error: APIError, _ head: HTTPRequestHead, response: ResponseWriter) {
            let body = ByteBuffer(string: error.status.text())
            response.send(HTTPResponseStatus(statusCode: error.code), ["Content-Type": "application/json"], body)
        }

        func handle(_ request: APIServer.HTTPRequest, from identity: Identity, response: ResponseWriter) {
            let line = "\(request.method.rawValue) \(request.target)"
            asked.withLock { $0.append(line) }
            let headers: HTTPHeaders = ["Content-Type": "application/json"]
            switch respond(line, request.headers, String(buffer: request.body)) {
            case .whole(let status, let text):
                response.send(HTTPResponseStatus(statusCode: status), headers, ByteBuffer(string: text))
            case .refused(let error): response.send(error)
            case .pieces(let pieces):
                response.begin(.ok, headers)
                for piece in pieces { response.write(ByteBuffer(string: piece)) }
                response.end()
            case .open(let pieces):
                response.begin(.ok, headers)
                for piece in pieces { response.write(ByteBuffer(string: piece)) }
            }
        }
    }

    private let script: Script
    private let listener: HTTPListener
    let material: CertificateAuthority.Material

    /// `METHOD target` of every request so far.
    var asked: [String] { script.asked.withLock { $0 } }
    var port: Int { listener.port }

    private init(script: Script, listener: HTTPListener, material: CertificateAuthority.Material) {
        self.script = script
        self.listener = listener
        self.material = material
    }

    /// Runs `body` against a server that answers with `respond(METHOD target, headers, body)`.
    static func run(
        _ respond: @escaping @Sendable (String, HTTPHeaders, String) -> Answer,
        _ body: (ScriptedServer) async throws -> Void
    ) async throws {
        let material = try CertificateAuthority.ephemeral(hosts: ["127.0.0.1"], now: SystemClock().now())
        let script = Script(respond)
        let listener = try await HTTPListener.start(
            host: "127.0.0.1", port: 0, certificate: material.certificate, key: material.key,
            group: MultiThreadedEventLoopGroup.singleton, handler: script)
        let server = ScriptedServer(script: script, listener: listener, material: material)
        do {
            try await body(server)
        } catch {
            await listener.stop()
            throw error
        }
        await listener.stop()
    }

    /// `token` is what a token file holds, where there is one.
    func client(
        authority: [UInt8]? = nil, token: String? = nil, patience: Duration = .seconds(30)
    ) throws -> HTTPClient {
        var endpoint = Endpoint(host: "127.0.0.1", port: port)
        endpoint.certificateAuthority = authority ?? material.authority
        endpoint.bearerToken = token == nil ? "secret" : nil
        endpoint.bearerTokenFile = token.map { _ in "/token" }
        return try HTTPClient(
            endpoint: endpoint, patience: patience, readFile: { _ in Array((token ?? "").utf8) })
    }

    /// What a server without WatchList says to who asks for one.
    static func older(_ line: String) -> Answer? {
        if !line.contains("sendInitialEvents") { return nil }
        let refusal = APIError(
            code: 422, reason: .invalid,
            message:
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        )
        return .whole(422, refusal.status.text())
    }

    /// Discovery with one kind of the core group and one of our own.
    static func discovery(_ line: String) -> Answer? {
        func list(_ group: String, _ version: String, _ kind: String, _ plural: String) -> String {
            #"""
            {"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{"name":"\#(group)"},
             "versions":[{"version":"\#(version)","resources":[{"resource":"\#(plural)","singularResource":"\#(kind.lowercased())",
             "responseKind":{"group":"\#(group)","version":"\#(version)","kind":"\#(kind)"},"scope":"Namespaced",
             "verbs":["get","list","watch"],"shortNames":["x"]}]}]}]}
            """#
        }
        switch line {
        case "GET /api": return .whole(200, list("", "v1", "ConfigMap", "configmaps"))
        case "GET /apis": return .whole(200, list("espalier.dev", "v1alpha1", "Landscape", "landscapes"))
        default: return nil
        }
    }
}
