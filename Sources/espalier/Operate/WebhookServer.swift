internal import APIServer
internal import Admission
internal import Documents
internal import Gateway
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Seams

/// Our admission as webhooks of another API server: `/mutate` and `/validate` take reviews, `/healthz` says that we live.
struct WebhookServer: Sendable {
    private let listen: ListenAddress
    private let folder: String
    private let handler: WebhookHandler
    private let logger: Logger

    /// `certificates` is a folder with `tls.crt` and `tls.key`, as a Secret of type kubernetes.io/tls is mounted.
    init(listen: ListenAddress, certificates: String, logger: Logger) throws {
        self.listen = listen
        folder = certificates
        self.logger = logger
        let definitions = try BundledDefinitions.load().own.compactMap {
            ResourceDefinition(customResourceDefinition: $0)
        }
        handler = WebhookHandler(review: AdmissionReview(definitions: definitions))
    }

    /// Serves until the task is cancelled. Certificates that are replaced are taken up within a minute.
    func run(_ clock: SystemClock) async throws {
        var limits = HTTPListener.Limits()
        limits.bodyBytes = APIServerLimits.reviewBytes
        while !Task.isCancelled {
            let (certificate, key) = try read()
            let listener = try await HTTPListener.start(
                host: listen.host, port: listen.port, certificate: certificate, key: key,
                group: MultiThreadedEventLoopGroup.singleton, handler: handler, limits: limits)
            logger.info("the webhooks are served", metadata: ["address": "\(listen.host):\(listener.port)"])
            repeat {
                try? await clock.sleep(for: .seconds(60))  // throws only when cancelled
            } while !Task.isCancelled && isCurrent(certificate, key)
            await listener.stop()
        }
    }

    private func read() throws -> (certificate: [UInt8], key: [UInt8]) {
        (try Files.read("\(folder)/tls.crt"), try Files.read("\(folder)/tls.key"))
    }

    /// False once both files can be read and are others. While they are being replaced the old ones serve.
    private func isCurrent(_ certificate: [UInt8], _ key: [UInt8]) -> Bool {
        guard let now = try? read() else { return true }
        return now.certificate == certificate && now.key == key
    }
}

/// Carries reviews from the wire to `AdmissionReview` and back.
struct WebhookHandler: HTTPRequestHandler {
    let review: AdmissionReview

    /// Whoever asks learns nothing but what our rules say of the document it brought.
    func authenticate(_ head: HTTPRequestHead) -> Result<Identity, APIError> {
        .success(Identity(user: "system:anonymous", groups: ["system:unauthenticated"]))
    }

    func refuse(_ error: APIError, _ head: HTTPRequestHead, response: ResponseWriter) { response.send(error) }

    func handle(_ request: HTTPRequest, from identity: Identity, response: ResponseWriter) {
        do throws(APIError) {
            let path = request.target.prefix { $0 != "?" }
            switch (request.method, path) {
            case (.GET, "/healthz"), (.GET, "/readyz"):
                response.send(.ok, ["Content-Type": "text/plain"], ByteBuffer(string: "ok"))
            case (.POST, "/mutate"): try answer(request, .mutating, response)
            case (.POST, "/validate"): try answer(request, .validating, response)
            default:
                throw APIError(
                    code: 404, reason: .notFound,
                    message: "expected POST /mutate or /validate, or GET /healthz, found \(request.method) \(path)")
            }
        } catch {
            response.send(error)
        }
    }

    private func answer(
        _ request: HTTPRequest, _ phase: AdmissionReview.Phase, _ response: ResponseWriter
    ) throws(APIError) {
        let body: JSON
        do throws(JSONParseError) {
            body = try JSONParser.parse(
                Array(request.body.readableBytesView), maximumBytes: APIServerLimits.reviewBytes)
        } catch {
            throw APIError.badRequest("expected an AdmissionReview as JSON: \(error)")
        }
        let answer = try review.answer(body, phase)
        response.send(.ok, ["Content-Type": "application/json"], ByteBuffer(bytes: answer.encoded))
    }
}
