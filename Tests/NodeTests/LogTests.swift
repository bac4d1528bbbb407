import Client
import Documents
import Node
import Seams
import Testing

/// A container's output, as clients read it.
@Suite(.serialized)
struct LogTests {
    @Test func linesTailsTimesAndBounds() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        _ = try await node.create(
            "job", script: "for i in 1 2 3 4 5; do echo line $i; done; printf unfinished", restartPolicy: "Never")
        try await node.wait("job", "success") { $0.phase == "Succeeded" }
        var request = ContainerLogRequest(node.key("job"))
        #expect(try await node.log(request) == "line 1\nline 2\nline 3\nline 4\nline 5\nunfinished\n")
        request.tailLines = 2
        #expect(try await node.log(request) == "line 5\nunfinished\n")
        request.limitBytes = 6
        #expect(try await node.log(request) == "line 5")
        request = ContainerLogRequest(node.key("job"))
        request.tailLines = 1
        request.hasTimestamps = true
        let stamped = try await node.log(request)
        let time = Instant(rfc3339: String(stamped.prefix(19)) + "Z")
        #expect(time != nil && stamped.hasSuffix(" unfinished\n"))
        request.since = Instant(seconds: 4_000_000_000)
        #expect(try await node.log(request) == "")
        request.tailLines = 0
        request.since = nil
        #expect(try await node.log(request) == "")
        try await node.end()
    }

    @Test func aFollowedLogEndsWithItsContainer() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        _ = try await node.create("job", script: "echo one; sleep 3; echo two", restartPolicy: "Never")
        try await node.wait("job", "its start") { $0.phase == "Running" }
        var request = ContainerLogRequest(node.key("job"))
        request.isFollowing = true
        #expect(try await node.log(request) == "one\ntwo\n")
        try await node.end()
    }

    @Test func longLinesAreJoinedAndLargeLogsAreBounded() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        let script =
            "head -c 40000 /dev/zero | tr '\\0' x; echo; yes 0123456789012345678901234567890 | head -c 30000000; echo last"
        _ = try await node.create("job", script: script, restartPolicy: "Never")
        let pod = try await node.wait("job", "success") { $0.phase == "Succeeded" }
        let folder = PodDirectory(podsDirectory: node.configuration.podsDirectory, uid: pod.uid)
        #expect(contents(folder.log("main", 0)).utf8.count <= 11 << 20)
        #expect(contents(folder.log("main", 0) + ".1").utf8.count <= 11 << 20)
        #expect(contents(folder.log("main", 0) + ".2") == "")
        var request = ContainerLogRequest(node.key("job"))
        request.tailLines = 1
        #expect(try await node.log(request).hasSuffix("last\n"))
        try await node.end()
    }

    /// A tail that is longer than the current file begins in the one before and goes on to the end.
    @Test func aTailReachesBackIntoTheFilePutAside() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        let script = "yes 0123456789012345678901234567890 | head -c 11000000; for i in 1 2 3; do echo new $i; done"
        _ = try await node.create("job", script: script, restartPolicy: "Never")
        let pod = try await node.wait("job", "success") { $0.phase == "Succeeded" }
        let folder = PodDirectory(podsDirectory: node.configuration.podsDirectory, uid: pod.uid)
        let current = contents(folder.log("main", 0)).split(separator: "\n").count
        var request = ContainerLogRequest(node.key("job"))
        request.tailLines = current + 2
        let lines = try await node.log(request).split(separator: "\n")
        #expect(lines.count == current + 2)
        #expect(lines.suffix(3) == ["new 1", "new 2", "new 3"])
        try await node.end()
    }

    @Test func aLineLongerThanABufferIsOneLine() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        _ = try await node.create(
            "job", script: "head -c 40000 /dev/zero | tr '\\0' x; echo; echo last", restartPolicy: "Never")
        try await node.wait("job", "success") { $0.phase == "Succeeded" }
        let log = try await node.log(ContainerLogRequest(node.key("job")))
        #expect(log == String(repeating: "x", count: 40000) + "\nlast\n")
        try await node.end()
    }

    @Test func unknownPodsAndContainersAreNotFound() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        _ = try await node.create("web", script: "exec sleep 1000")
        try await node.wait("web", "readiness") { $0.isReady }
        let agent = try #require(node.current)
        await #expect(throws: APIError.self) { try await agent.openLog(ContainerLogRequest(node.key("nobody"))) }
        var request = ContainerLogRequest(node.key("web"))
        request.container = "other"
        await #expect(throws: APIError.self) { try await agent.openLog(request) }
        request.container = ""
        request.isPrevious = true
        await #expect(throws: APIError.self) { try await agent.openLog(request) }
        try await node.end()
    }
}
