internal import Documents

/// The scale subresource as a resource of its own, for the table that kubectl asks for.
enum ScaleTable {
    static let resource: ServedResource = {
        let document = Document([
            "metadata": ["annotations": ["espalier.dev/built-in": "true"]],
            "spec": [
                "group": "autoscaling", "names": ["kind": "Scale", "plural": "scales"],
                "versions": [
                    [
                        "name": "v1", "served": true, "storage": true,
                        "additionalPrinterColumns": [
                            ["name": "Desired", "type": "integer", "jsonPath": ".spec.replicas"],
                            ["name": "Available", "type": "integer", "jsonPath": ".status.replicas"],
                            ["name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"],
                        ],
                    ]
                ],
            ],
        ])
        guard let definition = ResourceDefinition(customResourceDefinition: document) else {
            preconditionFailure("the definition above has a group, a kind, a plural and a version")
        }
        return ServedResource(definition, definition.storageVersion)
    }()
}
