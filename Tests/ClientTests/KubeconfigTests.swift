import Client
import Documents
import Testing

@Suite struct KubeconfigTests {
    private func endpoint(_ text: String, context: String? = nil, files: [String: String] = [:]) throws -> Endpoint {
        try Kubeconfig.endpoint(Array(text.utf8), file: "/home/me/config", context: context) { path in
            guard let found = files[path] else { throw APIError.badRequest("no such file") }
            return Array(found.utf8)
        }
    }

    private let config = """
        apiVersion: v1
        kind: Config
        current-context: here
        contexts:
        - name: here
          context: {cluster: local, user: admin, namespace: team-a}
        - name: there
          context: {cluster: six, user: cert}
        - name: odd
          context: {cluster: plain, user: admin}
        - name: plug
          context: {cluster: local, user: plugin}
        clusters:
        - name: local
          cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: Y2E=}
        - name: six
          cluster: {server: "https://[::1]/prefix", certificate-authority: pki/ca.crt}
        - name: plain
          cluster: {server: "http://127.0.0.1"}
        users:
        - name: admin
          user: {token: secret}
        - name: cert
          user: {client-certificate-data: Y2VydA==, client-key: /keys/key}
        - name: plugin
          user: {exec: {command: x}}
        """

    @Test func currentContext() throws {
        let endpoint = try endpoint(config)
        #expect(endpoint.host == "127.0.0.1")
        #expect(endpoint.port == 6443)
        #expect(endpoint.namespace == "team-a")
        #expect(endpoint.bearerToken == "secret")
        #expect(endpoint.certificateAuthority == Array("ca".utf8))
    }

    @Test func namedContextWithFilesBesideTheKubeconfig() throws {
        let endpoint = try endpoint(
            config, context: "there", files: ["/home/me/pki/ca.crt": "authority", "/keys/key": "key"])
        #expect(endpoint.host == "::1")
        #expect(endpoint.port == 443)
        #expect(endpoint.basePath == "/prefix")
        #expect(endpoint.namespace == "default")
        #expect(endpoint.certificateAuthority == Array("authority".utf8))
        #expect(endpoint.clientCertificate == Array("cert".utf8))
        #expect(endpoint.clientKey == Array("key".utf8))
    }

    @Test(arguments: [
        ("nowhere", #"/home/me/config: expected "nowhere" among contexts, found here, there, odd, plug"#),
        ("odd", #"/home/me/config: expected a server that begins with https://, found "http://127.0.0.1""#),
        ("plug", "/home/me/config: users of kind exec are not supported; use a token or a client certificate"),
        (
            "there",
            "/home/me/config: certificate-authority names /home/me/pki/ca.crt, which cannot be read: BadRequest: no such file"
        ),
    ])
    func refusals(context: String, message: String) {
        let error = #expect(throws: APIError.self) { try endpoint(config, context: context) }
        #expect(error?.message == message)
    }

    @Test func aTokenCanBeInAFile() throws {
        let endpoint = try endpoint(
            """
            current-context: here
            contexts: [{name: here, context: {cluster: c, user: u}}]
            clusters: [{name: c, cluster: {server: "https://h:1"}}]
            users: [{name: u, user: {tokenFile: run/token}}]
            """)
        #expect(endpoint.bearerToken == nil)
        #expect(endpoint.bearerTokenFile == "/home/me/run/token")
    }

    @Test func whatEveryPodIsGiven() throws {
        let folder = "/var/run/secrets/kubernetes.io/serviceaccount"
        let files = ["\(folder)/ca.crt": "CA", "\(folder)/namespace": "team-a"]
        func inCluster(_ environment: [String: String], _ files: [String: String]) throws -> Endpoint? {
            try Kubeconfig.inCluster(environment: { environment[$0] }) { path in
                guard let found = files[path] else { throw APIError.badRequest("\(path): no such file") }
                return Array(found.utf8)
            }
        }
        let variables = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"]
        let found = try #require(try inCluster(variables, files))
        #expect(found.host == "fd00::1" && found.port == 443 && found.namespace == "team-a")
        #expect(found.bearerTokenFile == "\(folder)/token")
        #expect(String(decoding: found.certificateAuthority, as: UTF8.self) == "CA")
        #expect(try inCluster([:], files) == nil)
        let missing = #expect(throws: APIError.self) { _ = try inCluster(variables, [:]) }
        #expect(missing?.message.contains("ca.crt") == true)
        let odd = ["KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "tcp://h:1"]
        #expect(throws: APIError.self) { _ = try inCluster(odd, files) }
    }
}
