import Client
import Documents
import Glibc
import Node
import Seams
import Testing

/// The server dies and comes back; pods must neither notice nor be doubled, and no foreign process may be touched.
@Suite(.serialized)
struct AdoptionTests {
    @Test(arguments: [true, false])
    func aRunningPodIsAdopted(sandbox: Bool) async throws {
        let node = try await TestNode(sandbox: sandbox)
        node.startAgent()
        _ = try await node.create("web", script: "echo one; exec sleep 1000")
        let before = try await node.wait("web", "readiness") { $0.isReady }
        let shim = try #require(node.shim(before))
        await node.dropAgent()
        #expect(SystemProcessSpawner().isAlive(shim.process))
        node.startAgent()
        // The new agent has the pod when it serves its log.
        _ = try await node.create("second", script: "exec sleep 1000")
        try await node.wait("second", "readiness") { $0.isReady }
        #expect(node.shim(before)?.process == shim.process)
        #expect(try await node.log(ContainerLogRequest(node.key("web"))) == "one\n")
        let after = try await node.client.get(node.key("web"))
        #expect(after.resourceVersion == before.resourceVersion, "adoption changed nothing and must write nothing")
        try await node.client.delete(node.key("web"), options: DeleteOptions())
        try await node.waitGone("web")
        #expect(!SystemProcessSpawner().isAlive(shim.process))
        try await node.end()
    }

    @Test func whatEndedMeanwhileIsLearned() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create(
            "job", script: "read line < /dev/null; sleep 3; echo done; exit 5", restartPolicy: "Never")
        let pod = try await node.wait("job", "its start") { $0.phase == "Running" }
        let shim = try #require(node.shim(pod))
        await node.dropAgent()
        await SystemProcessSpawner().waitForExit(shim.process)
        node.startAgent()
        let ended = try await node.wait("job", "failure") { $0.phase == "Failed" }
        #expect(ended.container["state"]?["terminated"]?["exitCode"]?.integerValue == 5)
        try await node.end()
    }

    @Test(arguments: [true, false])
    func aKilledShimTakesItsContainerAlongAndIsReplaced(sandbox: Bool) async throws {
        let node = try await TestNode(sandbox: sandbox)
        node.startAgent()
        _ = try await node.create("web", script: "(setsid sleep 2000 &); echo up; exec sleep 1000")
        let pod = try await node.wait("web", "readiness") { $0.isReady }
        try await node.waitLog("web", "up")
        let shim = try #require(node.shim(pod))
        SystemProcessSpawner().signal(shim.process, SIGKILL)
        let again = try await node.wait("web", "the restart") { $0.restartCount == 1 && $0.isReady }
        #expect(again.container["lastState"]?["terminated"]?["reason"]?.stringValue == "ShimLost")
        try await node.waitLog("web", "up")
        #expect(node.containerProcesses("sleep 2000") == 1)
        try await node.end()
    }

    @Test func aForeignProcessOfTheSameNumberIsNotTouched() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create("web", script: "exec sleep 1000")
        let pod = try await node.wait("web", "readiness") { $0.isReady }
        await node.dropAgent()
        let spawner = SystemProcessSpawner()
        let shim = try #require(node.shim(pod))
        spawner.signal(shim.process, SIGKILL)
        await spawner.waitForExit(shim.process)
        // Another program got the number that is written down.
        let stranger = try spawner.start(
            ProcessLaunch(path: "/bin/sleep", arguments: ["sleep", "1000"], environment: []))
        let record = "\(node.configuration.podsDirectory)/\(pod.uid)/containers/main/0/shim.pid"
        let forged = contents(record).replacing("pid \(shim.process.pid)\n", with: "pid \(stranger.pid)\n")
        let file = try #require(fopen(record, "w"))
        fputs(forged, file)
        fclose(file)
        node.startAgent()
        try await node.wait("web", "the restart") { $0.restartCount == 1 && $0.isReady }
        try await node.client.delete(node.key("web"), options: DeleteOptions())
        try await node.waitGone("web")
        #expect(spawner.isAlive(stranger))
        spawner.signal(stranger, SIGKILL)
        await spawner.waitForExit(stranger)
        try await node.end()
    }

    @Test func aPodWhoseDocumentWentMeanwhileIsRemoved() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create("web", script: "exec sleep 1000")
        let pod = try await node.wait("web", "readiness") { $0.isReady }
        let shim = try #require(node.shim(pod))
        await node.dropAgent()
        var now = DeleteOptions()
        now.gracePeriodSeconds = 0
        try await node.client.delete(node.key("web"), options: now)
        node.startAgent()
        await SystemProcessSpawner().waitForExit(shim.process)
        #expect(!SystemProcessSpawner().isAlive(shim.process))
        try await node.end()
    }

    @Test func afterACompleteStopPodsComeBack() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create("web", script: "echo up; exec sleep 1000")
        let before = try await node.wait("web", "readiness") { $0.isReady }
        let agent = try #require(node.current)
        await node.dropAgent()
        await agent.stopAll()
        #expect(node.processes() == [])
        node.startAgent()
        let after = try await node.wait("web", "the restart") { $0.restartCount == 1 && $0.isReady }
        #expect(after.uid == before.uid)
        #expect(after.container["lastState"]?["terminated"]?["reason"]?.stringValue == "NodeShutdown")
        try await node.end()
    }
}
