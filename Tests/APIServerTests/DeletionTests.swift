import APIServer
import Documents
import Store
import Testing

/// Deletion, and what the server deletes by itself.
@Suite struct DeletionTests {
    @Test func finalizersHoldADocumentUntilTheLastIsGone() throws {
        let api = try TestAPI()
        _ = try api.configMap("a", finalizers: ["example.com/one", "example.com/two"])
        #expect(try !api.delete(TestAPI.configMaps, "a").isGone)
        #expect(try api.get(TestAPI.configMaps, "a").isBeingDeleted)
        try api.patch(TestAPI.configMaps, "a", ["metadata": ["finalizers": ["example.com/two"]]])
        let added = api.refusal {
            try api.patch(
                TestAPI.configMaps, "a", ["metadata": ["finalizers": ["example.com/two", "example.com/three"]]])
        }
        #expect(added?.message.contains("no new finalizers can be added") == true)
        try api.patch(TestAPI.configMaps, "a", ["metadata": ["finalizers": .null]])
        #expect(try !api.exists(TestAPI.configMaps, "a"))
    }

    @Test func preconditionsProtectASuccessor() throws {
        let api = try TestAPI()
        let document = try api.configMap("a")
        let wrong = api.refusal { try api.delete(TestAPI.configMaps, "a") { $0.uid = "other" } }
        #expect(wrong?.reason == .conflict)
        #expect(try api.delete(TestAPI.configMaps, "a") { $0.uid = document.uid }.isGone)
    }

    @Test func dependentsGoWithTheirOwner() throws {
        let api = try TestAPI()
        let owner = try api.configMap("owner")
        let child = try api.configMap("child", owners: [owner])
        _ = try api.configMap("grandchild", owners: [child])
        _ = try api.configMap("bystander")
        try api.delete(TestAPI.configMaps, "owner") { $0.propagation = .background }
        #expect(try !api.exists(TestAPI.configMaps, "child"))
        #expect(try !api.exists(TestAPI.configMaps, "grandchild"))
        #expect(try api.exists(TestAPI.configMaps, "bystander"))
    }

    @Test func aDependentStaysWhileOneOwnerLives() throws {
        let api = try TestAPI()
        let first = try api.configMap("first")
        let second = try api.configMap("second")
        _ = try api.configMap("child", owners: [first, second])
        try api.delete(TestAPI.configMaps, "first")
        #expect(try api.get(TestAPI.configMaps, "child").ownerReferences.map(\.name) == ["second"])
        try api.delete(TestAPI.configMaps, "second")
        #expect(try !api.exists(TestAPI.configMaps, "child"))
    }

    @Test func foregroundDeletionWaitsForBlockingDependents() throws {
        let api = try TestAPI()
        let owner = try api.configMap("owner")
        _ = try api.configMap("child", owners: [owner], finalizers: ["example.com/hold"])
        try api.delete(TestAPI.configMaps, "owner") { $0.propagation = .foreground }
        #expect(try api.get(TestAPI.configMaps, "owner").finalizers == ["foregroundDeletion"])
        #expect(try api.get(TestAPI.configMaps, "child").isBeingDeleted)
        try api.patch(TestAPI.configMaps, "child", ["metadata": ["finalizers": .null]])
        #expect(try !api.exists(TestAPI.configMaps, "child"))
        #expect(try !api.exists(TestAPI.configMaps, "owner"))
    }

    @Test func orphansLoseTheirOwnerAndStay() throws {
        let api = try TestAPI()
        let owner = try api.configMap("owner")
        _ = try api.configMap("child", owners: [owner])
        try api.delete(TestAPI.configMaps, "owner") { $0.propagation = .orphan }
        #expect(try !api.exists(TestAPI.configMaps, "owner"))
        #expect(try api.get(TestAPI.configMaps, "child").ownerReferences.isEmpty)
    }

    @Test func whoseOwnerIsGoneAlreadyIsCollected() throws {
        let api = try TestAPI()
        let owner = try api.configMap("owner")
        try api.delete(TestAPI.configMaps, "owner")
        _ = try api.configMap("late", owners: [owner])
        api.settle()
        #expect(try !api.exists(TestAPI.configMaps, "late"))
    }

    @Test func anOwnerInAnotherNamespaceIsNone() throws {
        let api = try TestAPI()
        let owner = try api.configMap("owner")
        _ = try api.configMap("child", owners: [owner], namespace: "kube-public")
        api.settle()
        #expect(try !api.exists(TestAPI.configMaps, "child", namespace: "kube-public"))
    }

    @Test func aNamespaceIsEmptiedAndThenGone() throws {
        let api = try TestAPI()
        try api.create(TestAPI.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]])
        #expect(try api.get(TestAPI.namespaces, "team", namespace: "").labels["kubernetes.io/metadata.name"] == "team")
        _ = try api.configMap("a", namespace: "team")
        _ = try api.configMap("held", finalizers: ["example.com/hold"], namespace: "team")
        try api.delete(TestAPI.namespaces, "team", namespace: "")
        let namespace = try api.get(TestAPI.namespaces, "team", namespace: "")
        #expect(namespace.status["phase"] == "Terminating")
        #expect(try !api.exists(TestAPI.configMaps, "a", namespace: "team"))
        let late = api.refusal { _ = try api.configMap("late", namespace: "team") }
        #expect(late?.code == 403)
        #expect(
            late?.message == """
                configmaps "late" is forbidden: unable to create new content in namespace team because it is being terminated
                """)
        try api.patch(TestAPI.configMaps, "held", ["metadata": ["finalizers": .null]], namespace: "team")
        #expect(try !api.exists(TestAPI.namespaces, "team", namespace: ""))
        #expect(api.refusal { _ = try api.configMap("later", namespace: "team") }?.reason == .notFound)
    }

    @Test(arguments: ["default", "kube-system"])
    func someNamespacesStay(_ name: String) throws {
        let api = try TestAPI()
        #expect(api.refusal { try api.delete(TestAPI.namespaces, name, namespace: "") }?.code == 403)
    }

    @Test func aRunningPodGetsTimeToEnd() throws {
        let api = try TestAPI()
        func pod(_ name: String, node: String?) throws {
            var spec: JSON = ["containers": [["name": "c", "image": "x"]]]
            spec["nodeName"] = node.map(JSON.string)
            try api.create(
                TestAPI.pods, ["apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name)], "spec": spec])
        }
        try pod("waiting", node: nil)
        #expect(try api.delete(TestAPI.pods, "waiting").isGone)
        try pod("running", node: "here")
        #expect(try !api.delete(TestAPI.pods, "running").isGone)
        let marked = try api.get(TestAPI.pods, "running")
        #expect(marked.json["metadata"]?["deletionGracePeriodSeconds"] == 30)
        #expect(try api.delete(TestAPI.pods, "running") { $0.gracePeriodSeconds = 0 }.isGone)
    }
}
