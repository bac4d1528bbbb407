import Documents
import Node
import Testing

/// Which login of a pod's Secrets is for an image, with the cases that Kubernetes tests (`pkg/credentialprovider`).
struct RegistryCredentialsTests {
    static func credentials(_ json: String, wrapped: Bool = false) throws(ImageError) -> RegistryCredentials {
        var credentials = RegistryCredentials()
        let type = wrapped ? "kubernetes.io/dockerconfigjson" : "kubernetes.io/dockercfg"
        try credentials.add(secret: "pull", type: type, data: Array(json.utf8))
        return credentials
    }

    static func login(_ location: String) -> String {
        "{\"\(location)\": {\"email\": \"foo@bar.baz\", \"auth\": \"\(Base64.encode(Array("foo:bar".utf8)))\"}}"
    }

    static let foo = RegistryLogin(username: "foo", password: "bar")

    @Test(arguments: [
        ("https://hello.kubernetes.io", "hello.kubernetes.io"), ("https://*.docker.io", "prefix.docker.io"),
        ("https://prefix.*.io", "prefix.docker.io"), ("https://prefix.docker.*", "prefix.docker.io"),
        ("https://*.docker.io/path", "prefix.docker.io/path"),
        ("https://prefix.*.io/path", "prefix.docker.io/path/subpath"),
        ("https://*.docker.io:8888", "prefix.docker.io:8888"),
        ("https://prefix.docker.*:8888", "prefix.docker.io:8888"),
        ("https://*.docker.io/v1/", "prefix.docker.io/path"), ("https://*.docker.io/v2/", "prefix.docker.io/path"),
        ("prefix.docker.io:1111", "prefix.docker.io:1111/path"), ("*.docker.io:1111", "prefix.docker.io:1111/path"),
        ("http://*-good.kubernetes.io", "prefix-good.kubernetes.io"), ("[::1]:5000", "[::1]:5000"),
        ("https://index.docker.io/v1/", "docker.io"), ("https://index.docker.io/v1/", "google"),
        ("index.docker.io", "index.docker.io/google"), ("docker.io", "docker.io"),
    ])
    func aLoginIsFoundByHostPortAndPath(_ location: String, _ target: String) throws {
        let reference = try ImageReference(target + "/foo/bar")
        #expect(try Self.credentials(Self.login(location)).logins(for: reference) == [Self.foo])
    }

    @Test(arguments: [
        ("https://hello.kubernetes.io", "world.mesos.org"), ("https://*.docker.com", "prefix.docker.io"),
        ("https://suffix.*.io", "prefix.docker.io"), ("https://prefix.docker.c*", "prefix.docker.io"),
        ("*.kubernetes.io", "kubernetes.io"), ("*.*.kubernetes.io", "prefix.kubernetes.io"),
        ("k*.io", "quay.io"), ("*.kubernetes.io:1234/blah", "prefix.kubernetes.io:1111/blah"),
        ("prefix.*.io/foo", "prefix.kubernetes.io:1111/foo"), ("https://index.docker.io/v1/", "world.mesos.org"),
        ("a.io/one", "a.io/two"), ("a.io", "a.io.evil.org"),
    ])
    func aLoginIsNobodyElses(_ location: String, _ target: String) throws {
        let reference = try ImageReference(target + "/foo/bar")
        #expect(try Self.credentials(Self.login(location)).logins(for: reference) == [])
    }

    @Test func theMostSpecificLoginComesFirstAndTheOthersFollow() throws {
        let json = """
            {"auths": {"a.io": {"username": "host", "password": "1"}, "*.io": {"username": "glob", "password": "2"},
            "a.io/team": {"username": "team", "password": "3"}, "b.io": {"username": "other", "password": "4"}},
            "HttpHeaders": {"x": "y"}}
            """
        let credentials = try Self.credentials(json, wrapped: true)
        let team = credentials.logins(for: try ImageReference("a.io/team/app"))
        #expect(team.map(\.username) == ["team", "host", "glob"])
        #expect(credentials.logins(for: try ImageReference("a.io/app")).map(\.username) == ["host", "glob"])
        #expect(credentials.logins(for: try ImageReference("quay.com/nginx")) == [])
    }

    @Test func aPasswordMayHoldColonsAndItsBase64NoPadding() throws {
        let auth = Base64.encode(Array("me:a:b:c".utf8)).replacing("=", with: "")
        let credentials = try Self.credentials("{\"a.io\": {\"auth\": \"\(auth)\"}}")
        #expect(
            credentials.logins(for: try ImageReference("a.io/x")) == [RegistryLogin(username: "me", password: "a:b:c")])
    }

    @Test(arguments: [
        ("{\"auths\": {\"a.io\": {\"password\": \"hunter2\"}", true), ("hunter2", false), ("[\"hunter2\"]", true),
        ("{\"a.io\": {\"auth\": \"hunter2!\"}}", false), ("{\"a.io\": \"hunter2\"}", false),
        ("{\"auths\": {\"a.io\": {\"auth\": \"\(Base64.encode(Array("hunter2".utf8)))\"}}}", true),
        ("{\"auths\": [\"hunter2\"]}", true), ("", true),
    ])
    func aBrokenSecretIsNamedAndNotRepeated(_ json: String, _ wrapped: Bool) throws {
        let error = #expect(throws: ImageError.self) { try Self.credentials(json, wrapped: wrapped) }
        let message = try #require(error?.message)
        #expect(error?.code == .credentials)
        #expect(message.hasPrefix("Secret \"pull\": "))
        #expect(!message.contains("hunter2") && !message.contains(Base64.encode(Array("hunter2".utf8))))
    }

    @Test func aSecretOfAnotherTypeIsRefused() {
        var credentials = RegistryCredentials()
        let error = #expect(throws: ImageError.self) {
            try credentials.add(secret: "x", type: "Opaque", data: Array("{}".utf8))
        }
        #expect(error?.message.contains("found \"Opaque\"") == true)
        #expect(RegistryCredentials.dataKey(secretType: "Opaque") == nil)
    }

    @Test func nothingOfALoginIsPrinted() {
        #expect(!"\(Self.foo)".contains("bar"))
        #expect(!String(reflecting: [Self.foo]).contains("bar"))
    }
}
