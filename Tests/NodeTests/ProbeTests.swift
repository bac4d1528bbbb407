import Client
import Documents
import Node
import Seams
import Testing

/// Probes of real containers.
@Suite(.serialized)
struct ProbeTests {
    @Test(arguments: [true, false])
    func commandsRunInsideTheContainer(sandbox: Bool) async throws {
        let node = try await TestNode(sandbox: sandbox)
        node.startAgent()
        let web = try await node.create(
            "web", script: "sleep 0.3; echo ok > /tmp/ready-$HOSTNAME; exec sleep 1000",
            [
                "readinessProbe": [
                    "exec": ["command": ["/bin/sh", "-c", "grep -q ok /tmp/ready-$HOSTNAME"]], "periodSeconds": 1,
                ]
            ])
        try await node.wait("web", "readiness") { $0.isReady }
        #expect(web.uid != "")
        try await node.end()
        if !sandbox {
            _ = try await SystemProcessSpawner().run(
                ProcessLaunch(path: "/bin/rm", arguments: ["rm", "-f", "--", "/tmp/ready-web"], environment: []),
                input: [],
                timeout: .seconds(5))
        }
    }

    /// A probe is over at its time-out, whoever still holds its output.
    @Test func aProbeThatLeavesAProcessBehindStillAnswers() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create(
            "web", script: "exec sleep 1000",
            ["readinessProbe": ["exec": ["command": ["/bin/sh", "-c", "sleep 900 & true"]], "periodSeconds": 60]])
        try await node.wait("web", "readiness") { $0.isReady }
        try await node.end()
    }

    @Test func aContainerThatStopsAnsweringIsRestarted() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create(
            "web", script: "touch /tmp/alive; sleep 1; rm /tmp/alive; exec sleep 1000",
            [
                "livenessProbe": [
                    "exec": ["command": ["/bin/ls", "/tmp/alive"]], "initialDelaySeconds": 1, "periodSeconds": 1,
                    "failureThreshold": 1,
                ]
            ])
        let pod = try await node.wait("web", "the restart") { $0.restartCount == 1 }
        #expect(pod.restartCount == 1)
        let events = try await node.client.list(
            GroupResource(group: "", resource: "events"), namespace: "default", options: ListOptions())
        #expect(events.items.contains { $0["reason"]?.stringValue == "Unhealthy" })
        try await node.end()
    }

    @Test func aPodIsNotReadyBeforeItsProbeSaysSo() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create("web", script: "exec sleep 1000", ["readinessProbe": ["tcpSocket": ["port": 1]]])
        let pod = try await node.wait("web", "its start") { $0.phase == "Running" }
        #expect(!pod.isReady)
        #expect(pod.container["ready"]?.boolValue == false)
        #expect(pod.container["started"]?.boolValue == true)
        try await node.end()
    }
}
