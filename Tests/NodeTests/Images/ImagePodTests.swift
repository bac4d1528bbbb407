import Client
import Documents
import Glibc
import Node
import Seams
import Testing

/// Pods of images, by a whole agent over a real Podman with a store of its own.
@Suite(.serialized, .enabled(if: EngineKind.available.contains(.podman), "needs root, podman and busybox"))
struct ImagePodTests {
    /// An image `localhost/tools:1` of busybox and an account.
    private static func engine() async throws -> TestEngine {
        let engine = try TestEngine(.podman)
        let tree = "\(engine.folder)/tree"
        for folder in ["", "/bin", "/etc"] { mkdir("\(tree)\(folder)", 0o755) }
        try Program.run("/bin/cp", ["/bin/busybox", "\(tree)/bin/busybox"], log: "\(engine.folder)/cp.log")
        for name in ["sh", "cat", "id", "sleep", "tail", "echo", "touch"] {
            symlink("busybox", "\(tree)/bin/\(name)")
        }
        try Program.write("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/:/bin/sh\n", to: "\(tree)/etc/passwd")
        try Program.write("root:x:0:\nweb:x:1000:\n", to: "\(tree)/etc/group")
        try Program.run(
            "/bin/tar", ["-C", tree, "-cf", "\(engine.folder)/tools.tar", "."], log: "\(engine.folder)/tar.log")
        try engine.podman(
            "import", "--change", "USER web", "--change", "ENV GREETING=hello", "--change",
            "CMD [\"/bin/sh\",\"-c\",\"echo $GREETING; id -un; exec sleep 1000\"]", "\(engine.folder)/tools.tar",
            "localhost/tools:1")
        try await engine.start()
        return engine
    }

    private static func spec(_ containers: [JSON], _ extra: JSONObject = [:]) -> JSON {
        var spec: JSONObject = ["terminationGracePeriodSeconds": 1, "containers": .array(containers)]
        for member in extra.members { spec[member.key] = member.value }
        return .object(spec)
    }

    @Test func theImageSaysWhoRunsWhat() async throws {
        let engine = try await Self.engine()
        let node = try await TestNode { $0.engineSocket = engine.socket }
        node.startAgent()
        _ = try await node.create("web", Self.spec([["name": "main", "image": "localhost/tools:1"]]))
        let pod = try await node.wait("web", "readiness") { $0.isReady }
        try await node.waitLog("web", "hello\nweb\n")
        #expect(pod.container["imageID"]?.stringValue?.contains("sha256:") == true)
        #expect(pod.container["containerID"]?.stringValue?.hasPrefix("espalier://") == true)
        // The engine may go: a container does not notice, and neither does an agent that comes anew.
        engine.kill()
        await node.dropAgent()
        node.startAgent()
        try await node.client.delete(node.key("web"), options: DeleteOptions())
        try await node.waitGone("web")
        try await node.end()
    }

    @Test func initContainersHandOverByAVolumeAndASidecarStays() async throws {
        let engine = try await Self.engine()
        let node = try await TestNode { $0.engineSocket = engine.socket }
        node.startAgent()
        let mount: JSON = [["name": "job", "mountPath": "/job"]]
        func container(_ name: String, _ script: String) -> JSON {
            [
                "name": .string(name), "image": "localhost/tools:1", "command": ["sh", "-c", .string(script)],
                "volumeMounts": mount,
            ]
        }
        var side = container("side", "exec sleep 1000").objectValue ?? [:]
        side["restartPolicy"] = "Always"
        let spec = Self.spec(
            [container("main", "cat /job/file; touch /job/more")],
            [
                "restartPolicy": "Never", "volumes": [["name": "job", "emptyDir": [:]]],
                "initContainers": [container("first", "echo from-init > /job/file"), .object(side)],
            ])
        _ = try await node.create("job", spec)
        let pod = try await node.wait("job", "its end") { $0.phase == "Succeeded" }
        let initial = pod.status["initContainerStatuses"]?.arrayValue ?? []
        #expect(initial.map { $0["name"]?.stringValue } == ["first", "side"])
        #expect(initial.allSatisfy { $0["state"]?["terminated"] != nil }, "the sidecar went when the work was done")
        var request = ContainerLogRequest(node.key("job"))
        request.container = "main"
        #expect(try await node.log(request) == "from-init\n")
        try await node.end()
    }

    @Test func memoryThatRanOutIsSaid() async throws {
        let engine = try await Self.engine()
        let node = try await TestNode { $0.engineSocket = engine.socket }
        node.startAgent()
        _ = try await node.create(
            "eater",
            Self.spec(
                [
                    [
                        "name": "main", "image": "localhost/tools:1", "command": ["tail", "/dev/zero"],
                        "resources": ["limits": ["memory": "24Mi"]],
                    ]
                ], ["restartPolicy": "Never"]))
        let pod = try await node.wait("eater", "its end") { $0.phase == "Failed" }
        let terminated = pod.container["state"]?["terminated"]
        #expect(terminated?["reason"]?.stringValue == "OOMKilled")
        #expect(terminated?["exitCode"]?.integerValue == 137)
        #expect(pod.status["qosClass"]?.stringValue == "Burstable")
        try await node.end()
    }

    @Test func anImageThatIsNotThereIsSaidAndWaitedFor() async throws {
        let engine = try await Self.engine()
        let node = try await TestNode { $0.engineSocket = engine.socket }
        node.startAgent()
        _ = try await node.create(
            "web", Self.spec([["name": "main", "image": "localhost/none:1", "imagePullPolicy": "Never"]]))
        let pod = try await node.wait("web", "why it waits") {
            $0.container["state"]?["waiting"]?["reason"]?.stringValue == "ErrImageNeverPull"
        }
        #expect(
            pod.container["state"]?["waiting"]?["message"]?.stringValue
                == "Container image \"localhost/none:1\" is not present with pull policy of Never")
        try engine.podman("tag", "localhost/tools:1", "localhost/none:1")
        try await node.wait("web", "readiness") { $0.isReady }
        try await node.end()
    }

    /// What a pod's spec could ask for to get at the machine, each with the answer.
    @Test(
        arguments: [
            (["hostPID": true], "hostPID: not allowed"), (["hostNetwork": true], "hostNetwork: not allowed"),
            (["hostIPC": true], "hostIPC: not allowed"),
            (["volumes": [["name": "v", "hostPath": ["path": "/"]]]], "volume v: hostPath: not allowed"),
        ] as [(JSON, String)])
    func whatWouldTakeTheWallsDownIsRefused(_ change: JSON, _ answer: String) async throws {
        try await refused(
            Self.spec([["name": "main", "image": "localhost/tools:1"]], change.objectValue ?? [:]), answer)
    }

    @Test(
        arguments: [
            (["privileged": true], "securityContext.privileged of main: not allowed"),
            (["capabilities": ["add": ["SYS_ADMIN"]]], "capability SYS_ADMIN is not given"),
            (["seccompProfile": ["type": "Unconfined"]], "Unconfined: not allowed"),
            (["procMount": "Unmasked"], "securityContext.procMount of main: not allowed"),
            (["runAsNonRoot": true, "runAsUser": 0], "container has runAsNonRoot and image will run as root"),
        ] as [(JSON, String)])
    func aContainerThatAsksForTheMachineIsRefused(_ context: JSON, _ answer: String) async throws {
        try await refused(
            Self.spec([["name": "main", "image": "localhost/tools:1", "securityContext": context]]), answer)
    }

    private func refused(_ spec: JSON, _ answer: String) async throws {
        let engine = try await Self.engine()
        let node = try await TestNode { $0.engineSocket = engine.socket }
        node.startAgent()
        _ = try await node.create("bad", spec)
        let pod = try await node.wait("bad", "its refusal") {
            $0.container["state"]?["waiting"]?["reason"]?.stringValue == "CreateContainerConfigError"
        }
        let said = pod.container["state"]?["waiting"]?["message"]?.stringValue ?? ""
        #expect(said.contains(answer), "\(said)")
        try await node.end()
    }
}
