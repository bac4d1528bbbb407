package import Documents
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Seams
internal import Synchronization

/// Speaks HTTP/1.1 over TLS to any Kubernetes API. Keeps connections for reuse; every answer has a bound in size and
/// time.
package final class HTTPClient: Sendable {
    package let endpoint: Endpoint
    private let tls: NIOSSLContext
    private let group: any EventLoopGroup
    private let idle = Mutex<[any Channel]>([])
    /// Discovery, filled on first use.
    let discovered = Mutex<[GroupVersionKind: ResourceInformation]>([:])
    let versions = Mutex<[GroupResource: ResourceInformation]>([:])
    private let tokenFile: TokenFile?
    /// Whether the server was found not to begin a watch with what is there and to mark the end of that.
    let listsFirst = Mutex(false)
    /// How long a server that begins a watch may say nothing before it is taken for one that does not mark the end.
    let patience: Duration
    private let onWarning: (@Sendable (String) -> Void)?
    private let warned = Mutex<Set<String>>([])

    /// `readFile` reads the endpoint's token file, where it names one. `onWarning` is told each warning of the server once.
    package init(
        endpoint: Endpoint, patience: Duration = ClientLimits.watchPatience,
        onWarning: (@Sendable (String) -> Void)? = nil,
        readFile: @escaping @Sendable (String) throws -> [UInt8] = { _ in [] }
    ) throws(APIError) {
        self.endpoint = endpoint
        self.patience = patience
        self.onWarning = onWarning
        tokenFile = endpoint.bearerTokenFile.map { path in TokenFile(path, readFile) }
        group = MultiThreadedEventLoopGroup.singleton
        do {
            tls = try NIOSSLContext(configuration: try Self.configuration(endpoint))
        } catch {
            throw APIError.unreachable("the TLS material of the kubeconfig cannot be used: \(error)")
        }
    }

    private static func configuration(_ endpoint: Endpoint) throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        if !endpoint.certificateAuthority.isEmpty {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(endpoint.certificateAuthority))
        }
        if let certificate = endpoint.clientCertificate, let key = endpoint.clientKey {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(certificate).map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem))
        }
        return configuration
    }

    /// One request with a whole answer, whatever its status. `target` is the path with its query, percent-encoded.
    package func request(
        _ method: String, _ target: String, contentType: String = "application/json",
        accept: String = "application/json",
        body: [UInt8]? = nil
    ) async throws(APIError) -> (status: Int, contentType: String, body: [UInt8]) {
        let request = makeRequest(method, target, contentType, accept, body)
        var answer = try await exchange(request, streams: false)
        // A server that says "not now" has done nothing: asking again is safe, writes included.
        for _ in 0..<ClientLimits.busyRetries where answer.status == 429 {
            guard let seconds = answer.headers.first(name: "Retry-After").flatMap({ Int($0) }) else { break }
            let wait = Duration.seconds(min(seconds, ClientLimits.busySeconds))
            let jitter = SystemRandomSource().fraction() / 2
            do { try await SystemClock().sleep(for: wait * (1 + jitter)) } catch { break }  // cancelled
            answer = try await exchange(request, streams: false)
        }
        guard case .whole(let bytes) = answer.body else { throw APIError.unreachable("expected a whole answer") }
        if let onWarning {
            for text in answer.headers["Warning"].compactMap(WarningHeader.text)
            where warned.withLock({ $0.insert(text).inserted }) { onWarning(text) }
        }
        return (answer.status, answer.headers.first(name: "Content-Type") ?? "", bytes)
    }

    /// One request whose successful answer is read as it arrives. Any other answer is thrown.
    package func stream(
        _ target: String, accept: String = "application/json", method: String = "GET"
    ) async throws(APIError) -> ByteStream {
        let request = makeRequest(method, target, "application/json", accept, method == "GET" ? nil : [])
        let answer = try await exchange(request, streams: true)
        switch answer.body {
        case .stream(let stream): return stream
        case .whole(let bytes): throw Self.error(status: answer.status, bytes)
        }
    }

    /// One request to a service that is no Kubernetes API, with exactly these headers beside those of HTTP, and a whole
    /// answer, whatever its status. It must be such that doing it twice does no harm.
    package func send(
        _ method: String, _ target: String, headers: [(name: String, value: String)], body: [UInt8]?
    ) async throws(APIError) -> (status: Int, headers: [(name: String, value: String)], body: [UInt8]) {
        var request = HTTPRequest(method: HTTPMethod(rawValue: method), target: endpoint.basePath + target, body: body)
        request.headers = headers.map { ($0.name, $0.value) }
        request.isRepeatable = true
        let answer = try await exchange(request, streams: false)
        guard case .whole(let bytes) = answer.body else { throw APIError.unreachable("expected a whole answer") }
        return (answer.status, answer.headers.map { ($0.name, $0.value) }, bytes)
    }

    /// The error an unsuccessful answer carries: its Status document where it has one.
    static func error(status: Int, _ body: [UInt8]) -> APIError {
        if let json = try? JSONParser.parse(body), let error = APIError(status: json) { return error }
        let text = String(decoding: body.prefix(300), as: UTF8.self)
        return APIError(code: status, reason: .internalError, message: "the server answered \(status): \(text)")
    }

    private func makeRequest(
        _ method: String, _ target: String, _ contentType: String, _ accept: String, _ body: [UInt8]?
    ) -> HTTPRequest {
        var request = HTTPRequest(method: HTTPMethod(rawValue: method), target: endpoint.basePath + target, body: body)
        request.headers = [("Accept", accept), ("User-Agent", endpoint.userAgent)]
        request.isRepeatable = method == "GET"
        if body != nil { request.headers.append(("Content-Type", contentType)) }
        if let token = endpoint.bearerToken ?? tokenFile?.token {
            request.headers.append(("Authorization", "Bearer \(token)"))
        }
        return request
    }

    /// A connection that was kept may have been closed meanwhile, and a new one as well where the process had to wait: a
    /// read is then tried again on a fresh one, and a write as long as nothing of it was sent.
    private func exchange(_ request: HTTPRequest, streams: Bool) async throws(APIError) -> HTTPAnswer {
        var kept = takeIdle()
        for attempt in 1... {
            let channel = if let kept { kept } else { try await connect() }
            do throws(ExchangeFailure) {
                return try await send(request, streams: streams, on: channel)
            } catch {
                let mayRepeat = !error.wasSent || request.isRepeatable && kept != nil
                let isTransport = error.error.reason == .serviceUnavailable
                if !mayRepeat || !isTransport || attempt > ClientLimits.freshConnections { throw error.error }
            }
            kept = nil
        }
        throw APIError.unreachable("no connection lasted")
    }

    private func send(_ request: HTTPRequest, streams: Bool, on channel: any Channel) async throws(ExchangeFailure)
        -> HTTPAnswer
    {
        let promise = channel.eventLoop.makePromise(of: HTTPAnswer.self)
        let host = endpoint.authority
        channel.eventLoop.execute {
            do {
                let handler = try channel.pipeline.syncOperations.handler(type: ExchangeHandler.self)
                handler.start(request, host: host, streams: streams, promise: promise, channel: channel)
            } catch {
                promise.fail(ExchangeFailure.unsent)
            }
        }
        do {
            return try await promise.futureResult.get()
        } catch let failure as ExchangeFailure {
            throw failure
        } catch let error as APIError {
            throw ExchangeFailure(error: error)
        } catch {
            throw ExchangeFailure(error: .unreachable(APIError.words(for: error)))
        }
    }

    private func connect() async throws(APIError) -> any Channel {
        let tls = endpoint.isPlain ? nil : tls
        let name = endpoint.serverName ?? (Self.isAddress(endpoint.host) ? nil : endpoint.host)
        let timeout = TimeAmount(endpoint.responseTimeout)
        do {
            return try await ClientBootstrap(group: group)
                .connectTimeout(ClientLimits.connectTimeout)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        if let tls { try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: name)) }
                        try pipeline.addHTTPClientHandlers()
                        try pipeline.addHandler(
                            ExchangeHandler(timeout: timeout) { [weak self, weak channel] isReusable in
                                if isReusable, let channel { self?.keep(channel) }
                            })
                    }
                }
                .connect(host: endpoint.host, port: endpoint.port).get()
        } catch {
            let why = APIError.words(for: error)
            throw APIError.unreachable("no connection to \(endpoint.host):\(endpoint.port): \(why)")
        }
    }

    private func takeIdle() -> (any Channel)? {
        idle.withLock { idle in
            idle.removeAll { !$0.isActive }
            return idle.popLast()
        }
    }

    private func keep(_ channel: any Channel) {
        let isKept = idle.withLock { idle in
            if idle.count >= ClientLimits.idleConnections { return false }
            idle.append(channel)
            return true
        }
        if !isKept { channel.close(promise: nil) }
    }

    private static func isAddress(_ host: String) -> Bool {
        (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }
}
