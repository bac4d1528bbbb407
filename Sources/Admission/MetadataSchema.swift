package import Documents

/// The shape of `metadata`, which every document has and no resource definition repeats.
package enum MetadataSchema {
    package static let schema = Schema(json)

    private static let text: JSON = ["type": "string"]
    private static let time: JSON = ["type": "string", "format": "date-time", "nullable": true]
    private static let texts: JSON = ["type": "object", "additionalProperties": ["type": "string"]]
    private static let number: JSON = ["type": "integer", "format": "int64"]

    private static let json: JSON = [
        "type": "object",
        "properties": [
            "name": text, "generateName": text, "namespace": text, "selfLink": text, "uid": text,
            "resourceVersion": text,
            "generation": number, "creationTimestamp": time, "deletionTimestamp": time,
            "deletionGracePeriodSeconds": number,
            "labels": texts, "annotations": texts,
            "finalizers": ["type": "array", "x-kubernetes-list-type": "set", "items": text],
            "ownerReferences": [
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
                "items": [
                    "type": "object",
                    "properties": [
                        "apiVersion": text, "kind": text, "name": text, "uid": text, "controller": ["type": "boolean"],
                        "blockOwnerDeletion": ["type": "boolean"],
                    ],
                ],
            ],
            "managedFields": [
                "type": "array",
                "items": [
                    "type": "object",
                    "properties": [
                        "manager": text, "operation": text, "apiVersion": text, "time": time, "fieldsType": text,
                        "subresource": text,
                        "fieldsV1": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
                    ],
                ],
            ],
        ],
    ]
}
