import Documents
import Seams
import Simulation
import Testing

@testable import APIServer

/// Tokens of service accounts: who gets one, and whom they let in for how long.
@Suite struct TokenTests {
    private let api: TestAPI
    private let tokens: ServiceAccountTokens

    init() throws {
        api = try TestAPI()
        tokens = ServiceAccountTokens(key: TokenKey(), pipeline: api.pipeline)
        try account("robot")
    }

    private func account(_ name: String) throws {
        try api.create(
            WellKnown.serviceAccounts,
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": .string(name)]])
    }

    private func issue(_ spec: JSON = [:], _ name: String = "robot") throws -> Document {
        let request = Document(["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec])
        return try tokens.issue(request, try api.key(WellKnown.serviceAccounts, name))
    }

    private func token(_ spec: JSON = [:]) throws -> String {
        try #require(try issue(spec).status["token"]?.stringValue)
    }

    private func user(_ token: String) -> String? { tokens.identity(of: token)?.identity.user }

    @Test func aTokenSaysWhoseItIs() throws {
        let (identity, audiences) = try #require(tokens.identity(of: try token()))
        #expect(identity.user == "system:serviceaccount:default:robot")
        #expect(identity.uid == (try api.get(WellKnown.serviceAccounts, "robot").uid))
        #expect(
            identity.groups == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"])
        #expect(identity.extra.map(\.name) == ["authentication.kubernetes.io/credential-id"])
        #expect(audiences == [ServiceAccountTokens.issuer])
    }

    @Test func itEndsWithItsTime() throws {
        let answer = try issue(["expirationSeconds": 600])
        let token = try #require(answer.status["token"]?.stringValue)
        let end = try #require(answer.status["expirationTimestamp"]?.stringValue)
        #expect(Instant(rfc3339: end)?.seconds == api.clock.now().seconds + 600)
        api.clock.advance(by: .seconds(599))
        #expect(user(token) != nil)
        api.clock.advance(by: .seconds(1))
        #expect(user(token) == nil)
    }

    @Test func itEndsWithItsAccount() throws {
        let token = try token()
        try api.delete(WellKnown.serviceAccounts, "robot")
        #expect(user(token) == nil)
        try account("robot")
        #expect(user(token) == nil, "the account is another one of the same name")
    }

    @Test func itEndsWithWhatItIsBoundTo() throws {
        try api.create(
            TestAPI.secrets,
            ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "s", "finalizers": ["a.b/c"]]])
        let token = try token(["boundObjectRef": ["kind": "Secret", "apiVersion": "v1", "name": "s"]])
        #expect(user(token) != nil)
        try api.delete(TestAPI.secrets, "s")
        #expect(try api.exists(TestAPI.secrets, "s"))
        #expect(user(token) == nil, "it is on its way out")
    }

    @Test func aTokenOfAPodSaysWhichPod() throws {
        for (name, account) in [("mine", "robot"), ("other", "default")] {
            try api.create(
                TestAPI.pods,
                [
                    "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name)],
                    "spec": ["serviceAccountName": .string(account), "containers": [["name": "c", "image": "i"]]],
                ])
        }
        func reference(_ name: String, uid: String = "") -> JSON {
            ["boundObjectRef": ["kind": "Pod", "apiVersion": "v1", "name": .string(name), "uid": .string(uid)]]
        }
        let identity = try #require(tokens.identity(of: try token(reference("mine")))?.identity)
        let names = identity.extra.map(\.name)
        #expect(names.contains("authentication.kubernetes.io/pod-name"))
        #expect(names.contains("authentication.kubernetes.io/pod-uid"))
        #expect(api.refusal { _ = try issue(reference("other")) }?.code == 400)
        #expect(api.refusal { _ = try issue(reference("mine", uid: "else")) }?.code == 409)
        #expect(api.refusal { _ = try issue(reference("none")) }?.code == 404)
        let odd: JSON = ["boundObjectRef": ["kind": "ConfigMap", "apiVersion": "v1", "name": "c"]]
        #expect(api.refusal { _ = try issue(odd) }?.code == 400)
    }

    @Test func itIsForItsAudiencesAlone() throws {
        let token = try token(["audiences": ["a", "b"]])
        #expect(user(token) == nil, "it is not for this server")
        #expect(tokens.identity(of: token, audiences: ["b", "c"])?.audiences == ["b"])
        #expect(tokens.identity(of: token, audiences: ["c"]) == nil)
    }

    @Test(arguments: [(0, 422), (599, 422), (600, 201), (4_294_967_296, 201), (4_294_967_297, 422)] as [(Int64, Int)])
    func lifetimes(_ seconds: Int64, _ code: Int) throws {
        let refusal = api.refusal { _ = try issue(["expirationSeconds": .integer(seconds)]) }
        #expect((refusal?.code ?? 201) == code)
    }

    @Test func nobodyCanMakeOrChangeOne() throws {
        let good = try token()
        let parts = good.split(separator: ".").map(String.init)
        let claims = try #require(JSONWebToken(parsing: good)?.claims)
        var raised = claims
        raised["exp"] = 9_999_999_999
        let header = Base64.encodeURL(Array(#"{"alg":"none","kid":"\#(tokens.key.identifier)"}"#.utf8))
        let body = Base64.encodeURL(raised.encoded)
        for forged in [
            "\(parts[0]).\(body).\(parts[2])", "\(header).\(body).\(parts[2])", "\(header).\(body).",
            "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1])", "", "..",
            try JSONWebToken.text(
                header: ["alg": "ES256", "kid": .string(tokens.key.identifier)], claims: claims,
                sign: TokenKey().signature),
        ] { #expect(user(forged) == nil, "\(forged)") }
        #expect(user(good) != nil)
    }

    @Test func credentialsTakeBothKindsOfToken() throws {
        let credentials = Credentials(administratorToken: "secret", serviceAccounts: tokens)
        func user(_ header: String) throws -> String {
            try credentials.identity(authorization: header, path: "/api").get().user
        }
        #expect(try user("Bearer secret") == "admin")
        #expect(try user("bearer \(token())") == "system:serviceaccount:default:robot")
        for wrong in ["Bearer secre", "Bearer ", "Basic secret", "secret"] {
            #expect(throws: APIError.self, "\(wrong)") { try user(wrong) }
        }
        #expect(credentials.identity(token: "secret", audiences: ["elsewhere"]) == nil)
    }

    @Test func everyNamespaceKnowsTheServer() throws {
        let maps = WellKnown.configMaps
        api.pipeline.setAuthority("CERTIFICATE")
        api.settle()
        try api.create(TestAPI.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "new"]])
        for namespace in ["default", "kube-system", "new"] {
            let map = try api.get(maps, "kube-root-ca.crt", namespace: namespace)
            #expect(map["data"] == ["ca.crt": "CERTIFICATE"])
        }
        let first = try api.get(maps, "kube-root-ca.crt")
        try api.delete(maps, "kube-root-ca.crt")
        try api.delete(WellKnown.serviceAccounts, "default")
        #expect(try api.get(maps, "kube-root-ca.crt").uid != first.uid)
        #expect(try api.exists(WellKnown.serviceAccounts, "default"))
        try api.patch(maps, "kube-root-ca.crt", ["data": ["ca.crt": "FORGED"], "metadata": ["labels": ["a": "b"]]])
        let mended = try api.get(maps, "kube-root-ca.crt")
        #expect(mended["data"] == ["ca.crt": "CERTIFICATE"])
        #expect(mended.labels == ["a": "b"])
        try api.delete(TestAPI.namespaces, "new")
        #expect(try !api.exists(TestAPI.namespaces, "new"))
        #expect(try !api.exists(maps, "kube-root-ca.crt", namespace: "new"))
    }
}
