import Documents
import NIOHTTP1
import Synchronization
import Testing

@testable import Client

/// A watch that begins with what is there, in one stream with what follows.
@Suite(.timeLimit(.minutes(1))) struct WatchBeginningTests {
    private static let maps = GroupResource(group: "", resource: "configmaps")
    private static let beginning =
        "GET /api/v1/configmaps?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        + "&allowWatchBookmarks=true&timeoutSeconds=300"
    private static let list = #"{"kind":"ConfigMapList","metadata":{"resourceVersion":"5"},"items":[]}"#

    private static func event(_ type: String, _ name: String, _ revision: Int) -> String {
        #"{"type":"\#(type)","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\#(name)","resourceVersion":"\#(revision)"}}}"#
            + "\n"
    }

    /// What ends the events of what was there.
    private static func mark(_ revision: Int) -> String {
        #"{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"\#(revision)","annotations":{"k8s.io/initial-events-end":"true"}}}}"#
            + "\n"
    }

    private func watch(_ server: ScriptedServer, _ client: HTTPClient? = nil) async throws -> any WatchStream {
        let client = try client ?? server.client()
        return try await client.watch([Self.maps], options: WatchOptions(visibility: .durable))
    }

    private func texts(_ stream: any WatchStream) throws -> [String] {
        try stream.poll().map { "\($0.kind.rawValue) \($0.document.name)" }
    }

    /// Answers the nth request for the collection with the nth answer, and everything after that with the last.
    private static func script(
        _ answers: [ScriptedServer.Answer]
    ) -> @Sendable (String, HTTPHeaders, String) -> ScriptedServer.Answer {
        let count = Counter()
        return { line, _, _ in
            ScriptedServer.discovery(line) ?? answers[min(count.next(), answers.count - 1)]
        }
    }

    private final class Counter: Sendable {
        private let value = Mutex(-1)
        func next() -> Int {
            value.withLock {
                $0 += 1
                return $0
            }
        }
    }

    @Test func whatIsThereComesWithTheFirstPollAndNothingIsListed() async throws {
        // The mark arrives in two pieces; what was deleted meanwhile is told in order.
        let mark = Self.mark(9)
        let first = [Self.event("ADDED", "a", 3) + Self.event("ADDED", "b", 4), Self.event("DELETED", "a", 7)]
        let answer = ScriptedServer.Answer.pieces(first + [String(mark.prefix(40)), String(mark.dropFirst(40))])
        let next = ScriptedServer.Answer.open([Self.event("MODIFIED", "b", 10)])
        try await ScriptedServer.run(Self.script([answer, next])) { server in
            let stream = try await watch(server)
            #expect(try texts(stream) == ["ADDED a", "ADDED b", "DELETED a"])
            var found = try texts(stream)
            while found.isEmpty {
                await stream.wait()
                found = try texts(stream)
            }
            #expect(found == ["MODIFIED b"])
            #expect(
                server.asked.suffix(2) == [
                    Self.beginning,
                    "GET /api/v1/configmaps?watch=true&resourceVersion=9&allowWatchBookmarks=true&timeoutSeconds=300",
                ])
            stream.cancel()
        }
    }

    @Test func whatBreaksOffBeforeTheMarkIsBegunAnew() async throws {
        let cut = ScriptedServer.Answer.pieces([Self.event("ADDED", "gone", 3), #"{"type":"ADDED","obj"#])
        let whole = ScriptedServer.Answer.open([Self.event("ADDED", "there", 4) + Self.mark(9)])
        try await ScriptedServer.run(Self.script([cut, cut, whole])) { server in
            let stream = try await watch(server)
            // What was deleted in between is not told of, since it was never shown.
            #expect(try texts(stream) == ["ADDED there"])
            #expect(server.asked.suffix(3) == [Self.beginning, Self.beginning, Self.beginning])
            stream.cancel()
        }
    }

    @Test func whatBreaksOffEveryTimeIsAnError() async throws {
        try await ScriptedServer.run(Self.script([.pieces([Self.event("ADDED", "a", 3)])])) { server in
            let error = await #expect(throws: APIError.self) { _ = try await watch(server) }
            #expect(error?.reason == .serviceUnavailable)
            #expect(server.asked.count { $0 == Self.beginning } == ClientLimits.watchBeginnings)
            #expect(!server.asked.contains { $0.contains("limit=") })
        }
    }

    @Test(arguments: [400, 422]) func aServerThatRefusesIsListedAndNotAskedAgain(_ status: Int) async throws {
        try await ScriptedServer.run(
            Self.script([.whole(status, "{}"), .whole(200, Self.list), .whole(200, Self.list)])
        ) { server in
            let client = try server.client()
            for _ in 0..<2 { #expect(try texts(try await watch(server, client)).isEmpty) }
            #expect(server.asked.count { $0 == Self.beginning } == 1)
            #expect(server.asked.count { $0.contains("limit=500") } == 2)
        }
    }

    @Test func aServerThatDoesNotMarkTheEndIsListed() async throws {
        let unmarked = ScriptedServer.Answer.open([Self.event("ADDED", "a", 3)])
        try await ScriptedServer.run(Self.script([unmarked, .whole(200, Self.list)])) { server in
            let stream = try await watch(server, try server.client(patience: .milliseconds(50)))
            #expect(try texts(stream).isEmpty, "what the list holds, and not what the stream had begun to say")
            #expect(server.asked.last?.contains("limit=500") == true)
        }
    }

    @Test func aRefusalOfAnotherKindIsAnError() async throws {
        let refusal = APIError(code: 403, reason: .forbidden, message: "not you")
        try await ScriptedServer.run(Self.script([.whole(403, refusal.status.text())])) { server in
            let error = await #expect(throws: APIError.self) { _ = try await watch(server) }
            #expect(error?.reason == .forbidden)
        }
    }
}
