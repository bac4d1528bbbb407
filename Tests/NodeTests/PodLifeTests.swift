import Client
import Documents
import Glibc
import Node
import Seams
import Testing

/// Real processes, from a pod's appearance to its last trace. Each with a sandbox and without.
@Suite(.serialized)
struct PodLifeTests {
    @Test(arguments: [true, false])
    func aPodRunsIsReadyAndGoes(sandbox: Bool) async throws {
        let node = try await TestNode(sandbox: sandbox)
        node.startAgent()
        let created = try await node.create("web", script: "echo hello; echo problem >&2; exec sleep 1000")
        let pod = try await node.wait("web", "readiness") { $0.isReady }
        #expect(pod.phase == "Running")
        #expect(pod.spec["nodeName"]?.stringValue == "test-node")
        #expect(pod.container["state"]?["running"]?["startedAt"]?.stringValue != nil)
        #expect(pod.status["podIP"]?.stringValue == "127.0.0.1")
        try await node.waitLog("web", "hello")
        #expect(node.containerProcesses("sleep 1000") == 1)

        try await node.client.delete(node.key("web"), options: DeleteOptions(uid: created.uid))
        try await node.waitGone("web")
        #expect(node.processes() == [])
        #expect(names(node.configuration.podsDirectory) == [])
        try await node.end()
    }

    @Test(arguments: [true, false])
    func anEndedContainerIsRestartedAndWaitsLonger(sandbox: Bool) async throws {
        let node = try await TestNode(sandbox: sandbox)
        node.startAgent()
        _ = try await node.create("crash", script: "echo about to fail; exit 7")
        let pod = try await node.wait("crash", "the first back-off") {
            $0.container["state"]?["waiting"]?["reason"]?.stringValue == "CrashLoopBackOff" && $0.restartCount == 1
        }
        let message = pod.container["state"]?["waiting"]?["message"]?.stringValue ?? ""
        #expect(message.contains("exit code 7"))
        #expect(message.contains("about to fail"))
        #expect(pod.container["lastState"]?["terminated"]?["exitCode"]?.integerValue == 7)
        #expect(!pod.isReady)
        var previous = ContainerLogRequest(node.key("crash"))
        previous.isPrevious = true
        #expect(try await node.log(previous) == "about to fail\n")
        try await node.end()
    }

    @Test func aPodThatRunsOnceSucceedsOrFails() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create("good", script: "true", restartPolicy: "Never")
        _ = try await node.create("bad", script: "echo no luck; exit 3", restartPolicy: "Never")
        let good = try await node.wait("good", "success") { $0.phase == "Succeeded" }
        #expect(good.container["state"]?["terminated"]?["reason"]?.stringValue == "Completed")
        let bad = try await node.wait("bad", "failure") { $0.phase == "Failed" }
        #expect(bad.container["state"]?["terminated"]?["exitCode"]?.integerValue == 3)
        #expect(bad.container["state"]?["terminated"]?["message"]?.stringValue == "no luck")
        try await node.client.delete(node.key("good"), options: DeleteOptions())
        try await node.waitGone("good")
        try await node.end()
    }

    @Test func aContainerThatIgnoresItsSignalIsKilledAfterItsGrace() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create("stubborn", script: "trap '' TERM; echo up; while :; do sleep 1; done")
        try await node.wait("stubborn", "readiness") { $0.isReady }
        var request = DeleteOptions()
        request.gracePeriodSeconds = 1
        try await node.client.delete(node.key("stubborn"), options: request)
        try await node.waitGone("stubborn")
        #expect(node.processes() == [])
        try await node.end()
    }

    @Test func aCommandThatIsNotThereSaysSo() async throws {
        let node = try await TestNode()
        node.startAgent()
        var spec = TestNode.spec("", restartPolicy: "Never")
        spec["containers"] = [["name": "main", "command": ["/usr/bin/there-is-no-such-program"]]]
        _ = try await node.create("missing", spec)
        let pod = try await node.wait("missing", "failure") { $0.phase == "Failed" }
        let message = pod.container["state"]?["terminated"]?["message"]?.stringValue ?? ""
        #expect(message.contains("cannot run /usr/bin/there-is-no-such-program: No such file or directory"))
        try await node.end()
    }

    @Test func aQuietNodeWritesNothing() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create(
            "web", script: "exec sleep 1000",
            [
                "readinessProbe": ["exec": ["command": ["/bin/true"]], "periodSeconds": 1]
            ])
        try await node.wait("web", "readiness") { $0.isReady }
        // A second pod's whole life passes; the first one's document must not have moved.
        let before = try await node.client.get(node.key("web")).resourceVersion
        _ = try await node.create("other", script: "sleep 2", restartPolicy: "Never")
        try await node.wait("other", "success") { $0.phase == "Succeeded" }
        #expect(try await node.client.get(node.key("web")).resourceVersion == before)
        try await node.end()
    }
}
