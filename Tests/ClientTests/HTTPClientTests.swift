import Documents
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1))) struct HTTPClientTests {
    private static let landscapes = GroupResource(group: "espalier.dev", resource: "landscapes")

    @Test func requestsCarryTheTokenAndAnswersComeBackWhole() async throws {
        try await ScriptedServer.run { line, headers, body in
            .whole(200, #"{"line":"\#(line)","token":"\#(headers["Authorization"].joined())","body":"\#(body)"}"#)
        } _: { server in
            let client = try server.client()
            let answer = try await client.request("POST", "/a?b=c", body: Array("hello".utf8))
            #expect(answer.status == 200)
            #expect(
                try JSONParser.parse(answer.body)
                    == ["line": "POST /a?b=c", "token": "Bearer secret", "body": "hello"])
        }
    }

    @Test func aTokenFromAFileIsSentWithoutItsLineEnd() async throws {
        try await ScriptedServer.run { _, headers, _ in
            .whole(200, #"{"token":"\#(headers["Authorization"].joined())"}"#)
        } _: { server in
            let answer = try await server.client(token: "abc\n").request("GET", "/")
            #expect(try JSONParser.parse(answer.body) == ["token": "Bearer abc"])
        }
    }

    @Test func aServerThatIsBusyIsAskedAgainWhenItSaysSo() async throws {
        var busy = APIError(code: 429, reason: .tooManyRequests, message: "later")
        busy.retryAfterSeconds = 1
        let (later, never) = (busy, APIError(code: 429, reason: .tooManyRequests, message: "no time was said"))
        let count = Mutex(0)
        try await ScriptedServer.run { line, _, _ in
            if line.hasSuffix("/never") { return .refused(never) }
            return count.withLock {
                $0 += 1; return $0
            } < 2 ? .refused(later) : .whole(201, "{}")
        } _: { server in
            let client = try server.client()
            #expect(try await client.request("POST", "/later", body: []).status == 201)
            #expect(try await client.request("POST", "/never", body: []).status == 429)
            #expect(server.asked == ["POST /later", "POST /later", "POST /never"])
        }
    }

    @Test(
        arguments: [
            (#"299 - "unknown field \"spec.x\"""#, #"unknown field "spec.x""#), (#"299 kube "a\\b" "date""#, #"a\b"#),
            (#"299 - "open"#, nil), (#"199 - "other""#, nil), ("", nil),
        ] as [(String, String?)])
    func warnings(_ header: String, _ text: String?) { #expect(WarningHeader.text(header) == text) }

    @Test func discoveryOfServersBeforeAggregation() async throws {
        try await ScriptedServer.run { line, _, _ in
            switch line {
            case "GET /api": .whole(200, #"{"kind":"APIVersions","versions":["v1"]}"#)
            case "GET /apis":
                .whole(
                    200,
                    #"{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}]}]}"#
                )
            case "GET /api/v1":
                .whole(
                    200,
                    #"{"groupVersion":"v1","resources":[{"name":"pods","kind":"Pod","namespaced":true,"verbs":["get"],"shortNames":["po"]},{"name":"pods/log","kind":"Pod","namespaced":true}]}"#
                )
            case "GET /apis/apps/v1":
                .whole(
                    200,
                    #"{"groupVersion":"apps/v1","resources":[{"name":"deployments","singularName":"deployment","kind":"Deployment","namespaced":true,"verbs":["get"],"categories":["all"]}]}"#
                )
            default: .whole(404, "{}")
            }
        } _: { server in
            let found = try await server.client().resources()
            #expect(found.map(\.information.resource.description) == ["pods", "deployments.apps"])
            #expect(found.map(\.singular) == ["pod", "deployment"])
            #expect(found.map(\.shortNames) == [["po"], []])
            #expect(found[1].information.kind == "Deployment" && found[1].categories == ["all"])
        }
    }

    @Test func aServerThatAnotherAuthoritySignedIsRefused() async throws {
        try await ScriptedServer.run { _, _, _ in
            .whole(200, "{}")
        } _: { server in
            let client = try server.client(authority: Self.foreignAuthority)
            let error = await #expect(throws: APIError.self) { try await client.request("GET", "/") }
            #expect(error?.reason == .serviceUnavailable)
            #expect(server.asked.isEmpty)
        }
    }

    @Test func aServerThatHangsUpAtOnceIsAnErrorEveryTime() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { $0.close() }
            .bind(host: "127.0.0.1", port: 0).get()
        var endpoint = Endpoint(host: "127.0.0.1", port: listener.localAddress?.port ?? 0)
        endpoint.certificateAuthority = Self.foreignAuthority
        let client = try HTTPClient(endpoint: endpoint)
        // The end of the connection arrives before, between and after the steps of a request.
        for _ in 0..<300 {
            let error = await #expect(throws: APIError.self) { try await client.request("GET", "/") }
            #expect(error?.reason == .serviceUnavailable)
        }
        try await listener.close()
    }

    @Test func noServerIsAnErrorThatSaysWhere() async throws {
        var endpoint = Endpoint(host: "127.0.0.1", port: 1)
        endpoint.certificateAuthority = Self.foreignAuthority
        let client = try HTTPClient(endpoint: endpoint)
        let error = await #expect(throws: APIError.self) { try await client.request("GET", "/") }
        #expect(error?.message.contains("127.0.0.1:1") == true)
    }

    @Test func aStatusIsThrownAsItIs() async throws {
        let refusal = APIError.invalid(
            GroupVersionKind(group: "espalier.dev", version: "v1alpha1", kind: "Landscape"), "shop",
            [APIError.Cause(reason: "FieldValueInvalid", message: "Invalid value: 5", field: "spec.size")])
        let text = refusal.status.text()
        try await ScriptedServer.run { line, _, _ in
            ScriptedServer.discovery(line) ?? .whole(422, text)
        } _: { server in
            let document = Document([
                "apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape",
                "metadata": ["name": "shop", "namespace": "a b"],
            ])
            let client = try server.client()
            let error = await #expect(throws: APIError.self) {
                var options = WriteOptions(fieldManager: "espalier")
                options.force = true
                return try await client.apply(document, subresource: .status, options: options)
            }
            #expect(error == refusal)
            #expect(
                server.asked.last == "PATCH /apis/espalier.dev/v1alpha1/namespaces/a%20b/landscapes/shop/status"
                    + "?fieldManager=espalier&fieldValidation=Strict&force=true")
        }
    }

    @Test func anUnknownKindIsNotFound() async throws {
        try await ScriptedServer.run { line, _, _ in
            ScriptedServer.discovery(line) ?? .whole(500, "")
        } _: { server in
            let client = try server.client()
            let error = await #expect(throws: APIError.self) {
                try await client.resource(for: GroupVersionKind(group: "x.org", version: "v1", kind: "Gadget"))
            }
            #expect(error?.message == #"no matches for kind "Gadget" in version "x.org/v1""#)
        }
    }

    @Test func listsAreReadPageByPage() async throws {
        func page(_ name: String, _ next: String) -> String {
            #"{"apiVersion":"v1","kind":"ConfigMapList","metadata":{"resourceVersion":"7","continue":"\#(next)"},"items":[{"metadata":{"name":"\#(name)"}}]}"#
        }
        let (first, last) = (page("one", "a+b"), page("two", ""))
        try await ScriptedServer.run { line, _, _ in
            ScriptedServer.discovery(line) ?? .whole(200, line.contains("continue=a%2Bb") ? last : first)
        } _: { server in
            var options = ListOptions()
            options.labelSelector = "a in (b,c)"
            let list = try await server.client().list(
                GroupResource(group: "", resource: "configmaps"), namespace: "", options: options)
            #expect(list.items.map(\.name) == ["one", "two"])
            #expect(list.items.map(\.kind) == ["ConfigMap", "ConfigMap"])
            #expect(list.resourceVersion == "7")
            #expect(
                server.asked.last
                    == "GET /api/v1/configmaps?labelSelector=a%20in%20%28b%2Cc%29&limit=500&continue=a%2Bb")
        }
    }

    @Test func manyRequestsAtOnceAreAllAnswered() async throws {
        try await ScriptedServer.run { line, _, _ in
            .whole(200, #"{"line":"\#(line)"}"#)
        } _: { server in
            let client = try server.client()
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        let answer = try await client.request("GET", "/\(number)")
                        return try JSONParser.parse(answer.body)["line"] == .string("GET /\(number)")
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    /// Any certificate that did not sign the server's.
    private static let foreignAuthority = Array(
        """
        -----BEGIN CERTIFICATE-----
        MIIBejCCASGgAwIBAgIUAKPxkWVpWuqADBNDUztshw7LXSMwCgYIKoZIzj0EAwIw
        EjEQMA4GA1UEAwwHZm9yZWlnbjAgFw0yNjExMjQwMzU2NTdaGA8yMTI2MTAzMTAz
        NTY1N1owEjEQMA4GA1UEAwwHZm9yZWlnbjBZMBMGByqGSM49AgEGCCqGSM49AwEH
        A0IABBMtR5FY4Yk0aZd0N1/vqqc2Qt2efoqUa9TS8WUAaO5vWaZRfUaTe8g7AmHK
        K6cCb1Xc/VI3/PgyY2frIxabp3SjUzBRMB0GA1UdDgQWBBQHRabPA8am3GmlcRdL
        kvCqphCmwjAfBgNVHSMEGDAWgBQHRabPA8am3GmlcRdLkvCqphCmwjAPBgNVHRMB
        Af8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIC2HF0b7J6GzY0Tcl+netNICPq+V
        FKDp3la5sOYyRyk8AiA/WzI7INZv2iUALUOFQNY3a58y+OU8Jkcr1VadXYdlbA==
        -----END CERTIFICATE-----
        """.utf8)
}
