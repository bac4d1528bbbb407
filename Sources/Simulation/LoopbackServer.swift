internal import APIServer
internal import Client
internal import Documents
internal import NIOPosix
internal import Seams

/// The API of a simulation on a TLS socket of this machine, and a client of it: the same two ends as with `operate`.
struct LoopbackServer: Sendable {
    let client: HTTPClient
    private let listener: HTTPListener
    private static let token = "simulated"
    /// By the real clock, which is what TLS looks at; made once, as it takes longer than many a story.
    private static let material = Result {
        try CertificateAuthority.ephemeral(hosts: ["127.0.0.1"], now: SystemClock().now())
    }

    static func start(_ pipeline: APIPipeline) async throws -> LoopbackServer {
        let material = try Self.material.get()
        let listener = try await HTTPListener.start(
            host: "127.0.0.1", port: 0, certificate: material.certificate, key: material.key,
            group: MultiThreadedEventLoopGroup.singleton,
            handler: APIRequestHandler(pipeline: pipeline, credentials: Credentials(administratorToken: Self.token)))
        var endpoint = Endpoint(host: "127.0.0.1", port: listener.port)
        endpoint.certificateAuthority = material.authority
        endpoint.bearerToken = Self.token
        return LoopbackServer(client: try HTTPClient(endpoint: endpoint), listener: listener)
    }

    private init(client: HTTPClient, listener: HTTPListener) {
        self.client = client
        self.listener = listener
    }

    /// Closes every connection. Nobody is left to wait for it: what owned the server is gone.
    func stop() {
        Task { [listener] in await listener.stop() }  // from a deinitialiser, which cannot await
    }
}
