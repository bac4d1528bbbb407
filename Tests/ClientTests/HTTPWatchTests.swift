import Documents
import Synchronization
import Testing

@testable import Client

/// A watch after a list, of a server that cannot begin one with what is there.
@Suite(.timeLimit(.minutes(1))) struct HTTPWatchTests {
    private static let maps = GroupResource(group: "", resource: "configmaps")

    private static func event(_ type: String, _ name: String, _ revision: Int) -> String {
        #"{"type":"\#(type)","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\#(name)","resourceVersion":"\#(revision)"}}}"#
            + "\n"
    }

    private static let list = #"""
        {"apiVersion":"v1","kind":"ConfigMapList","metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"old","resourceVersion":"3"}}]}
        """#

    /// Reads until `count` events are there.
    private func read(_ count: Int, _ stream: any WatchStream) async throws -> [String] {
        var texts: [String] = []
        while texts.count < count {
            texts += try stream.poll().map { "\($0.kind.rawValue) \($0.document.name)" }
            if texts.count < count { await stream.wait() }
        }
        return texts
    }

    @Test func beginsWithWhatIsThereAndResumesWhereItStood() async throws {
        // The first stream breaks an event in two and ends after a bookmark; the second begins behind the bookmark.
        let whole = Self.event("ADDED", "new", 6) + Self.event("MODIFIED", "old", 7) + Self.event("BOOKMARK", "", 9)
        let first = [String(whole.prefix(30)), String(whole.dropFirst(30))]
        let second = [Self.event("DELETED", "old", 10)]
        try await ScriptedServer.run { line, _, _ in
            if let answer = ScriptedServer.discovery(line) ?? ScriptedServer.older(line) { return answer }
            if line.contains("resourceVersion=9") { return .open(second) }
            if line.contains("resourceVersion=5") { return .pieces(first) }
            return .whole(200, Self.list)
        } _: { server in
            let stream = try await server.client().watch([Self.maps], options: WatchOptions(visibility: .durable))
            let events = try await read(4, stream)
            #expect(events == ["ADDED old", "ADDED new", "MODIFIED old", "DELETED old"])
            stream.cancel()
            await stream.wait()
        }
    }

    @Test func eventsThatCameBeforeTheEndAreNotLost() async throws {
        let gone = #"{"type":"ERROR","object":\#(APIError.expired("too old").status.text())}"# + "\n"
        try await ScriptedServer.run { line, _, _ in
            if let answer = ScriptedServer.discovery(line) ?? ScriptedServer.older(line) { return answer }
            return line.contains("watch=true")
                ? .pieces([Self.event("ADDED", "new", 6) + gone]) : .whole(200, Self.list)
        } _: { server in
            let stream = try await server.client().watch([Self.maps], options: WatchOptions(visibility: .durable))
            #expect(try await read(2, stream) == ["ADDED old", "ADDED new"])
            let error = await #expect(throws: APIError.self) { _ = try await read(1, stream) }
            #expect(error?.reason == .expired)
        }
    }

    /// Streams that end as soon as they begin: their end may be there before anybody looks.
    @Test func manyShortStreamsAreResumed() async throws {
        let count = Mutex(5)
        try await ScriptedServer.run { line, _, _ in
            if let answer = ScriptedServer.discovery(line) ?? ScriptedServer.older(line) { return answer }
            guard line.contains("watch=true") else { return .whole(200, Self.list) }
            let revision = count.withLock { count in
                count += 1
                return count
            }
            return .pieces([Self.event("MODIFIED", "old", revision)])
        } _: { server in
            let stream = try await server.client().watch([Self.maps], options: WatchOptions(visibility: .durable))
            #expect(try await read(200, stream).count >= 200)
            stream.cancel()
        }
    }

    @Test func lostHistoryEndsTheWatch() async throws {
        let gone =
            #"{"type":"ERROR","object":\#(APIError.expired("too old resource version: 5 (100)").status.text())}"# + "\n"
        try await ScriptedServer.run { line, _, _ in
            if let answer = ScriptedServer.discovery(line) ?? ScriptedServer.older(line) { return answer }
            return line.contains("watch=true") ? .pieces([gone]) : .whole(200, Self.list)
        } _: { server in
            let stream = try await server.client().watch([Self.maps], options: WatchOptions(visibility: .durable))
            #expect(try await read(1, stream) == ["ADDED old"])
            let error = await #expect(throws: APIError.self) { _ = try await read(1, stream) }
            #expect(error?.reason == .expired)
        }
    }

    @Test func streamsAreReadAsTheyArrive() async throws {
        try await ScriptedServer.run { _, _, _ in
            .pieces(["one\n", "two\n"])
        } _: { server in
            let stream = try await server.client().stream("/log")
            var text = ""
            while let bytes = try await stream.next() { text += String(decoding: bytes, as: UTF8.self) }
            #expect(text == "one\ntwo\n")
        }
    }

    @Test func aRefusedStreamIsAnError() async throws {
        let text = APIError.notFound(GroupResource(group: "", resource: "pods"), "web").status.text()
        try await ScriptedServer.run { _, _, _ in
            .whole(404, text)
        } _: { server in
            let client = try server.client()
            let error = await #expect(throws: APIError.self) { _ = try await client.stream("/log") }
            #expect(error?.message == #"pods "web" not found"#)
        }
    }
}
