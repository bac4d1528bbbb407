import APIServer
import Documents
import Store
import Testing

/// Kinds of which one stored document is shown in several forms.
@Suite struct VersionConversionTests {
    private func resource(_ api: TestAPI, _ group: String, _ version: String, _ name: String) throws -> ServedResource {
        try #require(api.pipeline.catalogue.resource(group: group, version: version, resource: name))
    }

    private func autoscaler(_ metrics: JSON) -> Document {
        Document([
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": ["name": "h"],
            "spec": [
                "scaleTargetRef": ["kind": "Deployment", "name": "web"], "maxReplicas": 3, "metrics": metrics,
            ],
        ])
    }

    @Test func anAutoscalerIsTheSameInBothVersions() throws {
        let api = try TestAPI()
        let (v1, v2) = (
            try resource(api, "autoscaling", "v1", "horizontalpodautoscalers"),
            try resource(api, "autoscaling", "v2", "horizontalpodautoscalers")
        )
        let memory: JSON = [
            "type": "Resource",
            "resource": ["name": "memory", "target": ["type": "AverageValue", "averageValue": "1Gi"]],
        ]
        let cpu: JSON = [
            "type": "Resource",
            "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 50]],
        ]
        _ = try api.pipeline.create(v2, namespace: "default", autoscaler([memory, cpu]), api.options)
        let key = v1.key(namespace: "default", name: "h")
        let patch = DocumentPatch.merge(["spec": ["targetCPUUtilizationPercentage": 80]])
        let patched = try api.pipeline.patch(v1, key, patch, api.options, subresource: nil).document
        #expect(patched.apiVersion == "autoscaling/v1")
        #expect(patched.spec["metrics"] == nil)
        let stored = try api.get(v2.groupResource, "h")
        #expect(stored.apiVersion == "autoscaling/v2")
        var raised = cpu
        raised["resource"]?["target"]?["averageUtilization"] = 80
        #expect(stored.spec["metrics"] == [raised, memory])
        #expect(stored.spec["targetCPUUtilizationPercentage"] == nil)
        #expect(stored.annotations.isEmpty)
    }

    @Test func anEventIsOneInBothGroups() throws {
        let api = try TestAPI()
        let events = try resource(api, "events.k8s.io", "v1", "events")
        let event: JSON = [
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": ["name": "e", "namespace": "default"],
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c", "reportingInstance": "c-1",
            "action": "Acting", "reason": "Because", "type": "Normal", "note": "text",
            "regarding": ["kind": "Pod", "name": "p", "namespace": "default"],
        ]
        _ = try api.pipeline.create(events, namespace: "default", Document(event), api.options)
        let core = try api.get(GroupResource(group: "", resource: "events"), "e")
        #expect(core.apiVersion == "v1")
        #expect(core["involvedObject"] == event["regarding"])
        #expect(core["message"] == "text")
        #expect(core["reportingComponent"] == "c")
        #expect(core["note"] == nil)
        var request = ListRequest()
        request.selection = try Selection(labelSelector: "", fieldSelector: "regarding.name=p", events)
        let found = try api.pipeline.list(events, request, .sequenced).entries
        #expect(found.count == 1)
        #expect(throws: APIError.self) {
            try Selection(labelSelector: "", fieldSelector: "involvedObject.name=p", events)
        }
    }

    /// A definition of a user must not open what the bundled ones may: another resource's documents.
    @Test func usersCannotShowStoredDocumentsUnderAnotherName() throws {
        let api = try TestAPI()
        try api.create(
            GroupResource(group: "apiextensions.k8s.io", resource: "customresourcedefinitions"),
            [
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": [
                    "name": "thefts.e.com",
                    "annotations": ["espalier.dev/stored-as": "secrets", "espalier.dev/built-in": "true"],
                ],
                "spec": [
                    "group": "e.com", "scope": "Namespaced", "names": ["kind": "Theft", "plural": "thefts"],
                    "versions": [
                        [
                            "name": "v1", "served": true, "storage": true,
                            "schema": [
                                "openAPIV3Schema": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
                            ],
                        ]
                    ],
                ],
            ])
        let thefts = try resource(api, "e.com", "v1", "thefts")
        #expect(thefts.storageResource == thefts.groupResource)
        #expect(!thefts.definition.isBuiltIn)
    }
}
