import Client
import Documents
import Glibc
import Node
import Seams
import Testing

/// What containers are given: environment, files, names.
@Suite(.serialized)
struct MaterialsTests {
    static func document(_ kind: String, _ name: String, _ fields: JSONObject) -> Document {
        var object: JSONObject = [
            "apiVersion": "v1", "kind": .string(kind), "metadata": ["name": .string(name), "namespace": "default"],
        ]
        for member in fields.members { object[member.key] = member.value }
        return Document(.object(object))
    }

    @Test func configurationAndSecretsReachTheContainerThroughMemory() async throws {
        let node = try await TestNode()
        node.startAgent()
        _ = try await node.client.create(
            Self.document("ConfigMap", "code", ["data": ["greeting": "hello", "b.txt": "from a file"]]),
            options: options)
        _ = try await node.client.create(
            Self.document("Secret", "db", ["data": ["url": .string(Base64.encode(Array("s3cret-url".utf8)))]]),
            options: options)
        let script = """
            echo $GREETING $URL $(cat /app/b.txt) $(cat /secret/url) $NAME $COMPOSED $1
            (echo no > /app/x) 2>/dev/null || echo read-only; echo data > /scratch/x
            cat /scratch/x; id -u; exec sleep 1000
            """
        var spec = TestNode.spec(
            script,
            [
                "command": ["/bin/sh", "-c", .string(script), "sh"], "args": ["$(GREETING)-arg"],
                "env": [
                    ["name": "GREETING", "valueFrom": ["configMapKeyRef": ["name": "code", "key": "greeting"]]],
                    ["name": "URL", "valueFrom": ["secretKeyRef": ["name": "db", "key": "url"]]],
                    ["name": "NAME", "valueFrom": ["fieldRef": ["fieldPath": "metadata.name"]]],
                    ["name": "COMPOSED", "value": "$(GREETING)/$$(GREETING)"],
                ],
                "volumeMounts": [
                    ["name": "code", "mountPath": "/app"], ["name": "db", "mountPath": "/secret"],
                    ["name": "scratch", "mountPath": "/scratch"],
                ],
            ])
        spec["volumes"] = [
            ["name": "code", "configMap": ["name": "code"]], ["name": "db", "secret": ["secretName": "db"]],
            ["name": "scratch", "emptyDir": [:]],
        ]
        let pod = try await node.create("web", spec)
        try await node.wait("web", "readiness") { $0.isReady }
        try await node.waitLog("web", "\n10")
        let log = try await node.log(ContainerLogRequest(node.key("web")))
        let lines = log.split(separator: "\n")
        #expect(lines.first == "hello s3cret-url from a file s3cret-url web hello/$(GREETING) hello-arg")
        #expect(lines.contains("read-only"))
        #expect(lines.contains("data"))
        // The secret is in no argument vector and in no file of the data directory but the log the container wrote.
        #expect(!node.processes().contains { $0.contains("s3cret-url") })
        let memory = try #require(node.configuration.memoryDirectory())
        #expect(contents("\(memory)/\(pod.uid)/volumes/db/url") == "s3cret-url")
        #expect(isInMemory(memory))
        try await node.end()
    }

    private func isInMemory(_ path: String) -> Bool {
        contents("/proc/self/mounts").split(separator: "\n").contains { line in
            let words = line.split(separator: " ")
            return words.count > 2 && words[2] == "tmpfs" && path.hasPrefix("\(words[1])/")
        }
    }

    @Test func whatIsMissingIsNamedAndWaitedFor() async throws {
        let node = try await TestNode()
        node.startAgent()
        var spec = TestNode.spec(
            "exec sleep 1000",
            [
                "volumeMounts": [["name": "code", "mountPath": "/app"]]
            ])
        spec["volumes"] = [["name": "code", "configMap": ["name": "late"]]]
        _ = try await node.create("web", spec)
        let waiting = try await node.wait("web", "the reason to wait") {
            $0.container["state"]?["waiting"]?["reason"]?.stringValue == "CreateContainerConfigError"
        }
        #expect(waiting.container["state"]?["waiting"]?["message"]?.stringValue == "configmap \"late\" not found")
        _ = try await node.client.create(Self.document("ConfigMap", "late", ["data": ["a": "b"]]), options: options)
        try await node.wait("web", "readiness") { $0.isReady }
        try await node.end()
    }

    @Test func servicesAreNamedInHostsAndEnvironment() async throws {
        let node = try await TestNode()
        node.startAgent()
        func service(_ name: String, component: String) -> Document {
            Document([
                "apiVersion": "v1", "kind": "Service",
                "metadata": [
                    "name": .string(name), "namespace": "default",
                    "labels": ["app.kubernetes.io/part-of": "shop", "app.kubernetes.io/component": .string(component)],
                ],
                "spec": ["selector": ["a": "b"], "ports": [["name": "http", "port": 3000]]],
            ])
        }
        let api = try await node.client.create(service("shop-api", component: "api"), options: options)
        _ = try await node.client.create(service("shop-api-0badcafe", component: "api"), options: options)
        let address = try #require(api.spec["clusterIP"]?.stringValue)
        let spec = TestNode.spec(
            "echo $API_SERVICE_HOST:$API_SERVICE_PORT $SHOP_API_SERVICE_HOST; cat /etc/hosts; echo end; exec sleep 1000"
        )
        _ = try await node.create("web", spec, labels: ["app.kubernetes.io/part-of": "shop"])
        try await node.wait("web", "readiness") { $0.isReady }
        try await node.waitLog("web", "end\n")
        let log = try await node.log(ContainerLogRequest(node.key("web")))
        #expect(log.hasPrefix("\(address):3000 \(address)\n"))
        #expect(
            log.contains(
                "\(address) shop-api shop-api.default shop-api.default.svc shop-api.default.svc.cluster.local api\n"))
        #expect(!log.contains("0BADCAFE"), "one revision's Service is not for pods")
        try await node.end()
    }

    @Test func theSandboxHidesTheMachine() async throws {
        let node = try await TestNode()
        node.startAgent()
        let script =
            "ls \(node.directory) 2>&1; touch /usr/x 2>&1; hostname; "
            + "echo end; exec sleep 1000"
        _ = try await node.create("web", script: script)
        try await node.wait("web", "readiness") { $0.isReady }
        try await node.waitLog("web", "end\n")
        let log = try await node.log(ContainerLogRequest(node.key("web")))
        #expect(log.contains("No such file or directory"), "the data directory")
        #expect(log.contains("Read-only file system"))
        #expect(log.contains("\nweb\n"), "its own host name")
        #expect(!log.contains("kubeconfig"))
        try await node.end()
    }
}
