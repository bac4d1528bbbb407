import Client
import Documents
import Glibc
import Node
import Seams
import Testing

/// Pods that follow each other under one name, nodes that take none, and what is counted across both.
@Suite(.serialized)
struct RecreationTests {
    @Test func theLogIsThatOfThePodWhichBearsTheName() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        var now = DeleteOptions()
        now.gracePeriodSeconds = 0
        // Each pod is still ending when the next one comes; their UIDs are in no order.
        for round in 1...5 {
            let made = try await node.create(
                "web", script: "trap '' TERM; echo round \(round); while :; do sleep 0.1; done")
            try await node.wait("web", "readiness") { $0.uid == made.uid && $0.isReady }
            try await node.waitLog("web", "round \(round)\n")
            #expect(try await node.log(ContainerLogRequest(node.key("web"))) == "round \(round)\n")
            if round < 5 { try await node.client.delete(node.key("web"), options: now) }
        }
        try await node.end()
    }

    @Test func aCordonedNodeTakesNoNewPods() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        _ = try await node.create("before", script: "exec sleep 1000")
        try await node.wait("before", "readiness") { $0.isReady }
        let key = ObjectKey(GroupResource(group: "", resource: "nodes"), name: "test-node")
        func cordon(_ isCordoned: Bool) async throws {
            _ = try await node.client.patch(
                key, .merge(["spec": ["unschedulable": .bool(isCordoned)]]), subresource: nil, options: options)
        }
        try await cordon(true)
        _ = try await node.create("later", script: "exec sleep 1000")
        let waiting = try await node.wait("later", "its condition") { pod in
            (pod.status["conditions"]?.arrayValue ?? []).contains {
                $0["type"]?.stringValue == "PodScheduled" && $0["status"]?.stringValue == "False"
                    && $0["reason"]?.stringValue == "Unschedulable"
            }
        }
        #expect(waiting.spec["nodeName"] == nil && waiting.phase == "Pending")
        try await cordon(false)
        let pod = try await node.wait("later", "readiness") { $0.isReady }
        #expect(pod.spec["nodeName"]?.stringValue == "test-node")
        try await node.end()
    }

    @Test func plannedStopsAreNoCrashes() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        _ = try await node.create("web", script: "echo up; exec sleep 1000")
        for stops in 1...2 {
            try await node.wait("web", "readiness") { $0.isReady && $0.restartCount == Int64(stops - 1) }
            let agent = try #require(node.current)
            await node.dropAgent()
            await agent.stopAll()
            node.startAgent()
        }
        let pod = try await node.wait("web", "the second restart") { $0.restartCount == 2 && $0.isReady }
        let shim = try #require(node.shim(pod, attempt: 2))
        kill(shim.child, SIGKILL)
        try await node.wait("web", "the third restart") { $0.restartCount == 3 && $0.isReady }
        let events = try await node.client.list(
            GroupResource(group: "", resource: "events"), namespace: "default", options: ListOptions()
        ).items
        #expect(!events.contains { $0["reason"]?.stringValue == "BackOff" }, "a first crash waits for nothing")
        let started = events.filter { $0["reason"]?.stringValue == "Started" }
        #expect(started.count == 1, "what happens again is one event")
        try await node.end()
    }

    @Test func theNodeHasALease() async throws {
        let node = try await TestNode(sandbox: false)
        node.startAgent()
        _ = try await node.create("web", script: "exec sleep 1000")
        try await node.wait("web", "readiness") { $0.isReady }
        let key = ObjectKey(
            GroupResource(group: "coordination.k8s.io", resource: "leases"), namespace: "kube-node-lease",
            name: "test-node")
        let deadline = ContinuousClock.now + patience
        var lease: Document?
        while lease == nil, ContinuousClock.now < deadline {
            do { lease = try await node.client.get(key) } catch { await Task.yield() }
        }
        #expect(lease?.spec["renewTime"]?.stringValue != nil)
        let document = try await node.client.get(
            ObjectKey(GroupResource(group: "", resource: "nodes"), name: "test-node"))
        let conditions = document.status["conditions"]?.arrayValue ?? []
        #expect(conditions.allSatisfy { $0["lastHeartbeatTime"]?.stringValue != nil })
        #expect(conditions.contains { $0["type"]?.stringValue == "espalier.dev/ResourceLimits" })
        try await node.end()
    }
}
