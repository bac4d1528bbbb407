import APIServer
import Documents
import Store
import Testing

/// What a write does to a document besides what its author asked for.
@Suite struct WriteTests {
    @Test func aNewDocumentGetsWhatOnlyTheServerCanGive() throws {
        let api = try TestAPI()
        let document = try api.configMap("a")
        #expect(document.uid.utf8.count == 36)
        #expect(document.uid.split(separator: "-").map(\.count) == [8, 4, 4, 4, 12])
        #expect(!document.creationTimestamp.isEmpty)
        #expect(document.resourceVersion == api.pipeline.store.sequencedRevision.description)
        #expect(try api.get(TestAPI.configMaps, "a") == document)
    }

    @Test func bytesAreStoredWithTheirRevisionAndSortedMembers() throws {
        let api = try TestAPI()
        try api.create(
            TestAPI.configMaps,
            [
                "kind": "ConfigMap", "data": ["b": "2", "a": "1"], "apiVersion": "v1",
                "metadata": ["name": "a", "namespace": "default"],
            ])
        let entry = try api.pipeline.get(try api.key(TestAPI.configMaps, "a"), .sequenced)
        let text = String(decoding: try entry.value.array, as: UTF8.self)
        #expect(
            text.hasPrefix(
                #"{"apiVersion":"v1","data":{"a":"1","b":"2"},"kind":"ConfigMap","metadata":{"creationTimestamp":"#))
        #expect(text.contains(#""resourceVersion":"\#(entry.modRevision)""#))
    }

    @Test func aWriteThatChangesNothingIsNotWritten() throws {
        let api = try TestAPI()
        let document = try api.configMap("a")
        let revision = api.pipeline.store.sequencedRevision
        let answer = try api.patch(TestAPI.configMaps, "a", ["data": ["a": "1"]])
        #expect(answer.document.resourceVersion == document.resourceVersion)
        #expect(api.pipeline.store.sequencedRevision == revision)
    }

    @Test func whatIsTooLargeIsTooLargeForADryRunToo() throws {
        var api = try TestAPI()
        _ = try api.configMap("a")
        let binary = JSON.object(JSONObject((0..<100_000).map { ("k\($0)", "aGVsbG8=") }))
        for isDryRun in [false, true] {
            api.options.isDryRun = isDryRun
            let created = api.refusal {
                try api.create(
                    TestAPI.configMaps,
                    ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "b"], "binaryData": binary])
            }
            #expect(created?.code == 413)
            #expect(api.refusal { try api.patch(TestAPI.configMaps, "a", ["binaryData": binary]) }?.code == 413)
        }
    }

    @Test func whoReadAnOlderVersionIsRefused() throws {
        let api = try TestAPI()
        var old = try api.configMap("a")
        try api.patch(TestAPI.configMaps, "a", ["data": ["a": "2"]])
        old["data"] = ["a": "3"]
        let refusal = api.refusal {
            _ = try api.pipeline.update(
                try api.resource(TestAPI.configMaps), try api.key(TestAPI.configMaps, "a"), old, api.options,
                subresource: nil)
        }
        #expect(refusal?.reason == .conflict)
        #expect(
            refusal?.message == """
                Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the \
                latest version and try again
                """)
    }

    @Test func theSameNameTwiceIsRefused() throws {
        let api = try TestAPI()
        _ = try api.configMap("a")
        #expect(api.refusal { _ = try api.configMap("a") }?.reason == .alreadyExists)
    }

    @Test func aGeneratedNameHasFiveLettersBehindItsPrefix() throws {
        let api = try TestAPI()
        let document = try api.create(
            TestAPI.configMaps, ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["generateName": "gen-"]])
        #expect(document.name.hasPrefix("gen-"))
        #expect(document.name.utf8.count == 9)
    }

    @Test func aDryRunStoresNothing() throws {
        var api = try TestAPI()
        api.options.isDryRun = true
        let revision = api.pipeline.store.sequencedRevision
        let document = try api.configMap("a")
        #expect(document.resourceVersion.isEmpty)
        #expect(api.pipeline.store.sequencedRevision == revision)
        #expect(try !api.exists(TestAPI.configMaps, "a"))
    }

    @Test func stringDataBecomesData() throws {
        let api = try TestAPI()
        let secret = try api.create(
            TestAPI.secrets,
            [
                "apiVersion": "v1", "kind": "Secret", "metadata": ["name": "s"], "data": ["a": "eA=="],
                "stringData": ["b": "y"],
            ])
        #expect(secret["data"] == ["a": "eA==", "b": "eQ=="])
        #expect(secret["stringData"] == nil)
        #expect(secret["type"] == "Opaque")
    }

    @Test func servicesGetAddressesAndGiveThemBack() throws {
        let api = try TestAPI()
        func service(_ name: String, _ spec: JSON) throws -> Document {
            try api.create(
                TestAPI.services,
                ["apiVersion": "v1", "kind": "Service", "metadata": ["name": .string(name)], "spec": spec])
        }
        let first = try service("a", ["ports": [["port": 80]]])
        let second = try service("b", ["ports": [["port": 80]]])
        let address = first.spec["clusterIP"]?.stringValue ?? ""
        #expect(address.hasPrefix("127.96."))
        #expect(first.spec["clusterIP"] != second.spec["clusterIP"])
        #expect(first.spec["ports"]?.arrayValue?.first?["targetPort"] == 80)
        let taken = api.refusal { _ = try service("c", ["clusterIP": .string(address), "ports": [["port": 80]]]) }
        #expect(taken?.message.contains("provided IP is already allocated") == true)
        try api.delete(TestAPI.services, "a")
        #expect(
            try service("c", ["clusterIP": .string(address), "ports": [["port": 80]]]).spec["clusterIP"]
                == .string(address))
        #expect(try service("d", ["clusterIP": "None", "ports": [["port": 80]]]).spec["clusterIP"] == "None")
    }

    @Test func aRefusedServiceGivesItsAddressBack() throws {
        let api = try TestAPI()
        let invalid: JSON = [
            "apiVersion": "v1", "kind": "Service", "metadata": ["name": "a"], "spec": ["ports": [["port": 99_999]]],
        ]
        // The range has 65,534 addresses; one lost at every refusal would empty a small range soon.
        for _ in 0..<8 { #expect(api.refusal { try api.create(TestAPI.services, invalid) }?.reason == .invalid) }
        #expect(try !api.exists(TestAPI.services, "a"))
    }

    @Test func generationCountsChangesOfWhatIsDeclared() throws {
        let api = try TestAPI()
        let deployments = GroupResource(group: "apps", resource: "deployments")
        let template: JSON = [
            "metadata": ["labels": ["app": "a"]], "spec": ["containers": [["name": "c", "image": "x"]]],
        ]
        try api.create(
            deployments,
            [
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "d"],
                "spec": ["selector": ["matchLabels": ["app": "a"]], "template": template],
            ])
        #expect(try api.patch(deployments, "d", ["metadata": ["labels": ["x": "y"]]]).document.generation == 1)
        #expect(try api.patch(deployments, "d", ["spec": ["replicas": 3]]).document.generation == 2)
        // Status is written through its subresource alone.
        #expect(try api.patch(deployments, "d", ["status": ["replicas": 3]]).document.status["replicas"] == nil)
        let status = try api.pipeline.patch(
            try api.resource(deployments), try api.key(deployments, "d"),
            .merge(["status": ["replicas": 3], "spec": ["replicas": 9]]), api.options, subresource: "status")
        #expect(status.document.status["replicas"] == 3)
        #expect(status.document.spec["replicas"] == 3)
        #expect(status.document.generation == 2)
    }

    @Test func aNewDefinitionIsServedWithTheWriteThatMadeIt() throws {
        let api = try TestAPI()
        let definitions = GroupResource(group: "apiextensions.k8s.io", resource: "customresourcedefinitions")
        let widgets = GroupResource(group: "example.com", resource: "widgets")
        let stored = try api.create(
            definitions,
            [
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": ["name": "widgets.example.com"],
                "spec": [
                    "group": "example.com", "scope": "Namespaced", "names": ["kind": "Widget", "plural": "widgets"],
                    "versions": [
                        [
                            "name": "v1", "served": true, "storage": true,
                            "schema": [
                                "openAPIV3Schema": [
                                    "type": "object",
                                    "properties": [
                                        "spec": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
                                    ],
                                ]
                            ],
                        ]
                    ],
                ],
            ])
        #expect(stored.status["conditions"]?.arrayValue?.map { $0["type"] } == ["NamesAccepted", "Established"])
        try api.create(
            widgets, ["apiVersion": "example.com/v1", "kind": "Widget", "metadata": ["name": "w"], "spec": ["a": 1]])
        try api.delete(definitions, "widgets.example.com", namespace: "")
        #expect(api.pipeline.catalogue.storage(widgets) == nil)
        #expect(api.pipeline.store.snapshot(.sequenced).count(prefix: StoreKey.prefix(widgets)) == 0)
    }

    /// Who applies by UID means one document, not any of its name.
    @Test func anApplyOfAnotherUIDIsAConflict() throws {
        let api = try TestAPI()
        func apply(_ name: String, uid: String) throws -> WriteAnswer {
            let config: JSON = [
                "apiVersion": "v1", "kind": "ConfigMap", "data": ["b": "2"],
                "metadata": ["name": .string(name), "uid": .string(uid)],
            ]
            return try api.pipeline.apply(
                try api.resource(TestAPI.configMaps), try api.key(TestAPI.configMaps, name), Document(config),
                api.options, subresource: nil)
        }
        let document = try api.configMap("a")
        let other = api.refusal { _ = try apply("a", uid: "other") }
        #expect(other?.code == 409)
        #expect(other?.message.hasSuffix("UID in precondition: other, UID in object meta: \(document.uid)") == true)
        let absent = api.refusal { _ = try apply("absent", uid: "other") }
        #expect(absent?.code == 409)
        #expect(try !api.exists(TestAPI.configMaps, "absent"))
        #expect(try apply("a", uid: document.uid).document["data"] == ["a": "1", "b": "2"])
    }

    /// Each verb, asked for a dry run, answers and leaves everything as it was.
    @Test func aDryRunWritesNothing() throws {
        var api = try TestAPI()
        let document = try api.configMap("a")
        api.options.isDryRun = true
        let revision = api.pipeline.store.sequencedRevision
        let maps = try api.resource(TestAPI.configMaps)
        let key = try api.key(TestAPI.configMaps, "a")
        #expect(try api.configMap("new").uid.isEmpty == false)
        var changed = document
        changed["data"] = ["a": "2"]
        _ = try api.pipeline.update(maps, key, changed, api.options, subresource: nil)
        #expect(try api.patch(TestAPI.configMaps, "a", ["data": ["a": "3"]]).document["data"] == ["a": "3"])
        let config = Document([
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "a"], "data": ["z": "1"],
        ])
        _ = try api.pipeline.apply(maps, key, config, api.options, subresource: nil)
        try api.delete(TestAPI.configMaps, "a") { $0.isDryRun = true }
        var all = DeleteRequest()
        all.isDryRun = true
        _ = try api.pipeline.deleteCollection(maps, namespace: "default", .everything, all)
        #expect(api.pipeline.store.sequencedRevision == revision)
        #expect(try api.get(TestAPI.configMaps, "a") == document)
    }
}
