import APIServer
import Documents
import Testing

/// What is stored and not acted on is said to whoever writes it.
struct UnservedSettingsTests {
    private func warnings(_ group: String, _ resource: String, _ json: JSON) throws -> [String] {
        let api = try TestAPI()
        let resource = try api.resource(GroupResource(group: group, resource: resource))
        return try api.pipeline.create(resource, namespace: "default", Document(json), api.options).warnings
    }

    @Test func aLandscapeHearsOfSettingsWithoutEffect() throws {
        let said = try warnings(
            "espalier.dev", "landscapes",
            [
                "apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape", "metadata": ["name": "shop"],
                "spec": [
                    "network": ["egress": "Denied"],
                    "services": [
                        [
                            "name": "web", "command": ["/bin/web"], "scale": ["min": 0],
                        ]
                    ],
                    "rollout": [
                        "strategy": "Canary", "steps": [["setWeight": 10], ["analysis": ["duration": "1m"]]],
                        "analysis": [["name": "errors", "errorRate": ["maxPercent": "1"]]],
                    ],
                ],
            ])
        let fields = said.map { $0.prefix { $0 != ":" } }
        #expect(
            fields == [
                "spec.network.egress", "spec.services[0].scale.min", "spec.rollout.steps[1].analysis",
            ])
    }

    @Test func aKindWithoutAControllerIsNotSilent() throws {
        let said = try warnings(
            "", "resourcequotas",
            ["apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": "few"], "spec": ["hard": ["pods": "3"]]])
        #expect(
            said == [
                "no controller here acts on ResourceQuota: the document is kept, and nothing comes of it"
            ])
    }

    @Test func anImageBesideAProcessIsNotUsed() throws {
        let said = try warnings(
            "", "pods",
            [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "web"],
                "spec": [
                    "runtimeClassName": "espalier-process",
                    "containers": [["name": "main", "image": "nginx", "command": ["/bin/web"]]],
                ],
            ])
        #expect(said.count == 1 && said[0].contains("spec.containers[0].image: nginx is not used"))
    }

    @Test func whatIsServedIsNotSpokenOf() throws {
        let said = try warnings(
            "", "configmaps", ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "a"], "data": ["a": "1"]])
        #expect(said.isEmpty)
    }
}
