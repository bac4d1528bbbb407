package import Documents
internal import NIOCore
package import NIOHTTP1
package import Store
internal import Synchronization

/// Carries requests from the wire to the pipeline and answers back: who asks, what for, in which shape. Called on the
/// event loops; all work on a request happens on the loop of its connection.
package final class APIRequestHandler: HTTPRequestHandler {
    let pipeline: APIPipeline
    let authorizer: any Authorizer
    let credentials: Credentials
    let converter: ConversionCaller
    private let logs = Mutex<(any PodLogSource)?>(nil)
    private let reach = Mutex<(any PodReach)?>(nil)
    /// The descriptors of commands in pods and of forwarded ports.
    let streamFiles = Budget(APIServerLimits.streamFiles)
    private let storeMaintenance = Mutex<StoreMaintenance?>(nil)
    private let checks = Mutex<[String: Check]>([:])
    private let gauges = Mutex<[String: @Sendable () -> Int]>([:])

    package init(
        pipeline: APIPipeline, credentials: Credentials, authorizer: any Authorizer = AdministratorAuthorizer()
    ) {
        self.pipeline = pipeline
        self.credentials = credentials
        converter = ConversionCaller(pipeline: pipeline)
        self.authorizer = authorizer
    }

    /// Where `pods/log` reads from; until it is set, logs are answered with 503.
    package func setLogSource(_ source: any PodLogSource) { logs.withLock { $0 = source } }

    /// What `pods/exec`, `pods/attach` and `pods/portforward` reach into; until it is set, they are answered with 503.
    package func setPodReach(_ source: any PodReach) { reach.withLock { $0 = source } }

    var podReach: (any PodReach)? { reach.withLock { $0 } }

    /// What answers `/debug/store`; until it is set there is nothing there.
    package func setMaintenance(_ maintenance: StoreMaintenance) { storeMaintenance.withLock { $0 = maintenance } }

    var maintenance: StoreMaintenance? { storeMaintenance.withLock { $0 } }

    var logSource: (any PodLogSource)? { logs.withLock { $0 } }

    /// Something `/readyz` looks at.
    struct Check: Sendable {
        var isVital: Bool
        var failure: @Sendable () -> String?
    }

    /// Adds a check to `/readyz`. It says what is wrong, in words that anybody may read, or nothing. Who is not vital is
    /// told and does not keep the server from being ready.
    package func addCheck(_ name: String, isVital: Bool = true, _ check: @escaping @Sendable () -> String?) {
        checks.withLock { $0[name] = Check(isVital: isVital, failure: check) }
    }

    /// The checks with their results, by name.
    var checkResults: [(name: String, isVital: Bool, failure: String?)] {
        checks.withLock { $0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value.isVital, $0.value.failure()) }
    }

    /// Adds a number to `/metrics`.
    package func addGauge(_ name: String, _ value: @escaping @Sendable () -> Int) {
        gauges.withLock { $0[name] = value }
    }

    /// The added numbers as `/metrics` has them, by name.
    var gaugeText: String {
        gauges.withLock { $0 }.sorted { $0.key < $1.key }
            .map { "# TYPE \($0.key) gauge\n\($0.key) \($0.value())\n" }.joined()
    }

    package func authenticate(_ head: HTTPRequestHead) -> Result<Identity, APIError> {
        let path = head.uri.prefix { $0 != "?" }
        let authorization = head.headers.first(name: "Authorization")
        return credentials.identity(authorization: authorization, path: String(path)).flatMap { identity in
            // Who has no credentials reads what is public, and sends nothing.
            let isRead = head.method == .GET || head.method == .HEAD
            if identity == Credentials.anonymous, !isRead { return .failure(Credentials.refusal) }
            return Impersonation(head.headers).map { impersonated($0, by: identity) } ?? .success(identity)
        }
    }

    /// Whoever may act as somebody else has that one's rights from here on, and no others.
    private func impersonated(_ wanted: Impersonation, by identity: Identity) -> Result<Identity, APIError> {
        for access in wanted.accessRequests(by: identity) where !authorizer.allows(access) {
            return .failure(access.refusal)
        }
        return .success(wanted.identity)
    }

    package func refuse(_ error: APIError, _ head: HTTPRequestHead, response: ResponseWriter) {
        let isPretty = APIExchange.isPretty(head.headers, Query())
        var headers: HTTPHeaders = ["Cache-Control": "no-cache, private", "Content-Type": "application/json"]
        if error.retryAfterSeconds > 0 { headers.add(name: "Retry-After", value: String(error.retryAfterSeconds)) }
        let status = HTTPResponseStatus(statusCode: error.code)
        response.send(status, headers, APIExchange.body(error.status, isPretty: isPretty))
    }

    package func handle(_ request: HTTPRequest, from identity: Identity, response: ResponseWriter) {
        do throws(APIError) {
            let target = try RequestTarget(parsing: Array(request.target.utf8))
            let exchange = APIExchange(self, request, identity, target, response)
            exchange.attempt(
                { exchange throws(APIError) in try exchange.run() }, otherwise: { $0.refuseWhenDurable($1) })
        } catch {
            response.send(error)
        }
    }
}
