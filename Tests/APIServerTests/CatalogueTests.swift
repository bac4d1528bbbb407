import APIServer
import Documents
import Seams
import Simulation
import Testing

/// Discovery, OpenAPI and tables.
@Suite struct CatalogueTests {
    @Test func discoverySaysWhatIsServed() throws {
        let api = try TestAPI()
        let list = try #require(api.pipeline.documents.discovery.resources(group: "espalier.dev", version: "v1alpha1"))
        let names = (list["resources"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        #expect(names.contains("landscapes"))
        #expect(names.contains("landscapes/status"))
        #expect(api.pipeline.documents.discovery.groupDocument("nothing.example") == nil)
    }

    @Test func versionsAreInTheOrderOfPreference() {
        let definitions = ["v1", "v2", "v1beta2", "v1alpha1", "v1beta1", "odd"].map { name -> JSON in
            ["name": .string(name), "served": true, "storage": .bool(name == "v1")]
        }
        let document = Document([
            "metadata": ["name": "ws.e.com"],
            "spec": ["group": "e.com", "names": ["kind": "W", "plural": "ws"], "versions": .array(definitions)],
        ])
        let catalogue = ResourceCatalogue(
            definitions: [ResourceDefinition(customResourceDefinition: document)].compactMap { $0 }, number: 1)
        #expect(catalogue.versions(ofGroup: "e.com") == ["v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "odd"])
    }

    /// As after installing the Gateway API's own definitions beside the kinds of it that are built in.
    @Test func aGroupIsListedOnceWhereUsersAddToABuiltInOne() throws {
        let api = try TestAPI()
        func definition(_ plural: String, _ kind: String) -> JSON {
            [
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": ["name": .string("\(plural).gateway.networking.k8s.io")],
                "spec": [
                    "group": "gateway.networking.k8s.io", "scope": "Namespaced",
                    "names": ["kind": .string(kind), "plural": .string(plural)],
                    "versions": [
                        [
                            "name": "v1", "served": true, "storage": true,
                            "schema": ["openAPIV3Schema": ["type": "object"]],
                        ]
                    ],
                ],
            ]
        }
        try api.create(WellKnown.customResourceDefinitions, definition("grpcroutes", "GRPCRoute"))
        let groups = api.pipeline.catalogue.groups.map(\.group)
        #expect(groups.count == Set(groups).count)
        let listed = api.pipeline.documents.discovery.aggregated(core: false, version: "v2")
        let named = (listed["items"]?.arrayValue ?? []).compactMap { $0["metadata"]?["name"]?.stringValue }
        #expect(named.count == Set(named).count)
        #expect(named.contains("gateway.networking.k8s.io"))
    }

    /// kubectl leaves validation to the server only where the patch of a kind takes the parameter fieldValidation.
    @Test func openAPIPromisesFieldValidationForEveryKind() throws {
        let api = try TestAPI()
        let openAPI = OpenAPI(catalogue: api.pipeline.catalogue)
        for name in openAPI.documentNames {
            let document = try #require(openAPI.document(name))
            for path in document["paths"]?.objectValue?.members ?? [] {
                guard let patch = path.value["patch"] else { continue }
                let parameters = (patch["parameters"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
                #expect(parameters.contains("fieldValidation"), "\(path.key)")
                #expect(patch["x-kubernetes-group-version-kind"]?["kind"]?.stringValue?.isEmpty == false, "\(path.key)")
            }
        }
    }

    @Test func podsAreShownAsKubectlKnowsThem() throws {
        let api = try TestAPI()
        let pod = Document([
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": "p", "creationTimestamp": .string(api.clock.now().rfc3339)],
            "spec": ["containers": [["name": "a"], ["name": "b"]]],
            "status": [
                "phase": "Running",
                "containerStatuses": [
                    ["name": "a", "ready": true, "restartCount": 0, "state": ["running": [:]]],
                    [
                        "name": "b", "ready": false, "restartCount": 3,
                        "state": ["waiting": ["reason": "CrashLoopBackOff"]],
                    ],
                ],
            ],
        ])
        let table = Table(try api.resource(TestAPI.pods), version: "v1", included: .none, now: api.clock.now())
        let cells = table.json([pod], metadata: [:])["rows"]?.arrayValue?.first?["cells"]?.arrayValue ?? []
        #expect(cells.prefix(5) == ["p", "1/2", "CrashLoopBackOff", "3", "0s"])
    }
}
