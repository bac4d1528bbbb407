import Client
import Documents
import Glibc
import Node
import Seams
import Testing

/// What a hostile pod asks for and does not get.
@Suite(.serialized)
struct EscapeTests {
    /// Pod documents whose names or paths lead out of the pod's own folders, or in front of the shim.
    static let hostile: [(what: String, volumes: JSON, mounts: JSON)] = [
        (
            "volume", [["name": "../../../escaped", "emptyDir": [:]]],
            [["name": "../../../escaped", "mountPath": "/d"]]
        ),
        ("mount path", [["name": "d", "emptyDir": [:]]], [["name": "d", "mountPath": "/x/../../d"]]),
        ("root", [["name": "d", "emptyDir": [:]]], [["name": "d", "mountPath": "/"]]),
        ("shim", [["name": "d", "emptyDir": [:]]], [["name": "d", "mountPath": "/.espalier/espalier-shim"]]),
        ("part", [["name": "d", "emptyDir": [:]]], [["name": "d", "mountPath": "/d", "subPath": "a"]]),
    ]

    @Test(arguments: hostile.indices) func namesAndPathsStayInside(_ index: Int) async throws {
        let (what, volumes, mounts) = Self.hostile[index]
        let node = try await TestNode()
        node.startAgent()
        var spec = TestNode.spec("exec sleep 1000", ["volumeMounts": mounts])
        spec["volumes"] = volumes
        _ = try await node.create("hostile", spec)
        let pod = try await node.wait("hostile", "the refusal of its \(what)") { $0.waitingReason != nil }
        #expect(pod.waitingReason == "CreateContainerConfigError")
        #expect(access("\(node.directory)/escaped", F_OK) != 0)
        try await node.end()
    }

    /// The loader acts on such variables in whatever program it starts: they must reach the container and nothing that
    /// runs before it, least of all bubblewrap, which still is outside.
    @Test(arguments: [true, false]) func loaderVariablesReachTheContainerOnly(sandbox: Bool) async throws {
        let node = try await TestNode(sandbox: sandbox)
        node.startAgent()
        let trace = "\(node.directory)/trace"
        _ = try await node.create(
            "web", script: "echo $LD_DEBUG $LD_LIBRARY_PATH; exec sleep 1000",
            [
                "env": [
                    ["name": "LD_DEBUG", "value": "files"], ["name": "LD_DEBUG_OUTPUT", "value": .string(trace)],
                    ["name": "LD_LIBRARY_PATH", "value": "/opt/lib"],
                ],
                "readinessProbe": [
                    "exec": ["command": ["/bin/sh", "-c", "[ $LD_DEBUG = files ]"]], "periodSeconds": 1,
                ],
            ])
        try await node.wait("web", "readiness") { $0.isReady }
        try await node.waitLog("web", "files /opt/lib")
        if sandbox { #expect(names(node.directory).filter { $0.hasPrefix("trace") } == []) }
        try await node.end()
    }

    /// Requests that users cause do not reach what only the machine may reach.
    @Test(arguments: ["169.254.169.254", "127.0.0.53", "example.com"])
    func probesGoToThePodOnly(host: String) async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.create(
            "web", script: "exec sleep 1000",
            ["livenessProbe": ["httpGet": ["host": .string(host), "port": 80], "failureThreshold": 1]])
        let events = GroupResource(group: "", resource: "events")
        try await node.wait("web", "the restart") { $0.restartCount == 1 }
        let texts = try await node.client.list(events, namespace: "default", options: ListOptions()).items
            .map { $0["message"]?.stringValue ?? "" }
        #expect(texts.contains { $0.contains("a probe goes to its own pod, not to \(host)") }, "\(texts)")
        try await node.end()
    }

    /// A pod that forks or fills memory without end meets its own limit first, or is the first to go.
    @Test(arguments: [true, false]) func aPodHasALimitOnProcessesAndGoesFirst(sandbox: Bool) async throws {
        let node = try await TestNode(sandbox: sandbox)
        node.startAgent()
        let script =
            "echo score $(cat /proc/self/oom_score_adj); grep 'Max processes' /proc/self/limits; exec sleep 1000"
        let pod = try await node.create("web", script: script)
        try await node.wait("web", "readiness") { $0.isReady }
        try await node.waitLog("web", "Max processes")
        let log = try await node.log(ContainerLogRequest(node.key("web")))
        #expect(log.hasPrefix("score 1000\n"))
        if geteuid() == 0 { #expect(log.split(separator: " ").filter { $0 == "4096" }.count == 2, "\(log)") }
        let shim = try #require(node.shim(pod))
        #expect(contents("/proc/\(shim.process.pid)/oom_score_adj") != "1000\n")
        try await node.end()
    }

    /// A shim that cannot start anything ends, and does not wait for a child it never had.
    @Test func aShimWithoutAChildEnds() async throws {
        let node = try await TestNode()
        let folder = "\(node.directory)/attempt"
        try #require(mkdir(folder, 0o700) == 0)
        let specification = ["log \(folder)/log", "arg /bin/true", "end"].joined(separator: "\0")
        // Six descriptors are enough for the shim itself, not for the pipes of a container.
        let words = ["/bin/sh", "-c", "ulimit -n 7; exec \"$0\" run \"$1\" 3<&0", node.configuration.shimPath, folder]
        let result = try await SystemProcessSpawner().run(
            ProcessLaunch(path: "/bin/sh", arguments: words, environment: []), input: Array("\(specification)\0".utf8),
            timeout: .seconds(5))
        #expect(result.code == 0)
        #expect(contents("\(folder)/exit").contains("code 127"))
        try await node.end()
    }
}

extension Document {
    fileprivate var waitingReason: String? {
        let reason = container["state"]?["waiting"]?["reason"]?.stringValue
        return reason == "ContainerCreating" ? nil : reason
    }
}
