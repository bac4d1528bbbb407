internal import Crypto
internal import Documents
package import Logging
package import NIOCore
internal import NIOPosix
internal import Seams
internal import Store

/// The API on its TLS socket: certificates, credentials, listener, kubeconfig. Started after the pipeline, stopped before
/// the store.
package final class APIService: Sendable {
    package struct Options: Sendable {
        /// Holds `pki/` and `kubeconfig`.
        package var dataDirectory: String
        package var host: String
        /// 0 picks a free one.
        package var port: Int

        package init(dataDirectory: String, host: String, port: Int) {
            self.dataDirectory = dataDirectory
            self.host = host
            self.port = port
        }
    }

    package let handler: APIRequestHandler
    /// Where clients reach the API, `https://127.0.0.1:6443`.
    package let url: String
    package let port: Int
    private let listener: HTTPListener
    private let tidying: RepeatedTask

    private init(handler: APIRequestHandler, url: String, listener: HTTPListener, tidying: RepeatedTask) {
        self.handler = handler
        self.url = url
        self.listener = listener
        self.tidying = tidying
        port = listener.port
    }

    /// Binds the socket and then writes the kubeconfig, so that who finds it can connect.
    package static func start(
        _ pipeline: APIPipeline, _ options: Options, group: any EventLoopGroup, logger: Logger
    ) async throws -> APIService {
        let pki = "\(options.dataDirectory)/pki"
        let any = options.host == "0.0.0.0" || options.host == "::"
        let hosts = ["127.0.0.1", "localhost", "::1"] + (any ? [] : [options.host])
        let material = try CertificateAuthority.material(directory: pki, hosts: hosts, now: pipeline.clock.now())
        let token = try administratorToken(pki)
        let tokens = ServiceAccountTokens(key: try TokenKey.load(directory: pki), pipeline: pipeline)
        let credentials = Credentials(administratorToken: token, serviceAccounts: tokens)
        let handler = APIRequestHandler(pipeline: pipeline, credentials: credentials)
        pipeline.setAuthority(String(decoding: material.authority, as: UTF8.self))
        let store = pipeline.store
        handler.addCheck("store") { store.writeRefusal.map(Self.publicReason) }
        store.onWritability { refusal in
            if let refusal {
                logger.error("the store refuses writes", metadata: ["reason": "\(refusal)"])
            } else {
                logger.info("the store takes writes again")
            }
        }
        let listener = try await HTTPListener.start(
            host: options.host, port: options.port, certificate: material.certificate, key: material.key, group: group,
            handler: handler)
        let host = any ? "127.0.0.1" : options.host.contains(":") ? "[\(options.host)]" : options.host
        let url = "https://\(host):\(listener.port)"
        pipeline.setServerAddress("\(host):\(listener.port)")
        let kubeconfig = AdministratorKubeconfig(server: url, authority: material.authority, token: token)
        try PrivateFile.write(Array(kubeconfig.text.utf8), to: "\(options.dataDirectory)/kubeconfig")
        let tidying = group.next().scheduleRepeatedTask(initialDelay: .milliseconds(20), delay: .milliseconds(20)) {
            _ in
            // What a write left over, in small parts, so that the loop stays free for requests.
            pipeline.tidy(limit: APIServerLimits.tidyStepsPerWrite)
        }
        logger.info("the API is served", metadata: ["url": "\(url)"])
        return APIService(handler: handler, url: url, listener: listener, tidying: tidying)
    }

    /// Why nothing is written, for readers without credentials: no path, no file.
    private static func publicReason(_ refusal: StoreError) -> String {
        if case .full = refusal { return "no space on the device; free some, writing resumes by itself" }
        return "nothing is written any more; the server's log says why"
    }

    package func stop() async {
        tidying.cancel()
        await listener.stop()
    }

    /// The token of the kubeconfig: made at the first start and kept, so that a copied kubeconfig goes on working.
    private static func administratorToken(_ pki: String) throws -> String {
        let path = "\(pki)/admin.token"
        if let known = try PrivateFile.read(path), known.count >= 32 { return String(decoding: known, as: UTF8.self) }
        let token = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0).hexadecimal }
        try PrivateFile.write(Array(token.utf8), to: path)
        return token
    }
}

/// The kubeconfig that lets its reader administer the server.
struct AdministratorKubeconfig {
    let server: String
    /// PEM.
    let authority: [UInt8]
    let token: String

    var text: String {
        let json: JSON = [
            "apiVersion": "v1", "kind": "Config", "current-context": "espalier", "preferences": [:],
            "clusters": [
                [
                    "name": "espalier",
                    "cluster": [
                        "server": .string(server), "certificate-authority-data": .string(Base64.encode(authority)),
                    ],
                ]
            ],
            "users": [["name": "admin", "user": ["token": .string(token)]]],
            "contexts": [
                [
                    "name": "espalier", "context": ["cluster": "espalier", "user": "admin", "namespace": "default"],
                ]
            ],
        ]
        return YAMLWriter.text(json)
    }
}
