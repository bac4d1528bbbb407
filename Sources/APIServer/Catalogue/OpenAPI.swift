package import Documents

/// OpenAPI v3 documents, made from a catalogue: an index, and one document for each group and version. They hold what
/// clients look for: which parameters each verb of each kind takes, and the schemas that `kubectl explain` prints.
package struct OpenAPI: Sendable {
    package let catalogue: ResourceCatalogue

    package init(catalogue: ResourceCatalogue) { self.catalogue = catalogue }

    /// The paths of the index, such as `api/v1` and `apis/apps/v1`, in order.
    package var documentNames: [String] {
        var names: [String] = []
        for group in catalogue.groups {
            for version in catalogue.versions(ofGroup: group.group) {
                names.append(group.group.isEmpty ? "api/\(version)" : "apis/\(group.group)/\(version)")
            }
        }
        return names.sorted()
    }

    /// The document behind `/openapi/v3/{name}`; `nil` for a version that is not served.
    package func document(_ name: String) -> JSON? {
        let parts = name.split(separator: "/").map(String.init)
        guard (parts.count == 2 && parts[0] == "api") || (parts.count == 3 && parts[0] == "apis") else { return nil }
        let group = parts.count == 3 ? parts[1] : ""
        let version = parts[parts.count - 1]
        guard catalogue.versions(ofGroup: group).contains(version) else { return nil }
        var paths = JSONObject()
        var schemas = JSONObject()
        for definition in catalogue.definitions where definition.group == group {
            guard let resource = catalogue.resource(group: group, version: version, resource: definition.plural) else {
                continue
            }
            addPaths(of: resource, to: &paths)
            addSchemas(of: resource, to: &schemas)
        }
        for (name, schema) in MetaSchemas.all { schemas[name] = schema }
        if paths.members.contains(where: { $0.key.hasSuffix("/scale") }) {
            addSchemas(of: ScaleTable.resource, to: &schemas)
        }
        schemas.sort()
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": "v1.32.0"], "paths": .object(paths),
            "components": ["schemas": .object(schemas)],
        ]
    }

    // MARK: Paths

    private func addPaths(of resource: ServedResource, to paths: inout JSONObject) {
        let definition = resource.definition
        let root = definition.group.isEmpty ? "/api/\(resource.version.name)" : "/apis/\(resource.apiVersion)"
        let collection =
            definition.isNamespaced
            ? "\(root)/namespaces/{namespace}/\(definition.plural)" : "\(root)/\(definition.plural)"
        var shared: [JSON] = []
        if definition.isNamespaced { shared.append(parameter("namespace", in: "path", "string")) }
        let named = shared + [parameter("name", in: "path", "string")]
        let verbs = Set(definition.verbs)
        func operations(_ table: [(verb: String, method: String, action: String)]) -> [(String, JSON)] {
            table.filter { verbs.contains($0.verb) }.map { ($0.method, operation(resource, action: $0.action)) }
        }
        let onCollection = operations([
            ("list", "get", "list"), ("create", "post", "post"), ("deletecollection", "delete", "deletecollection"),
        ])
        paths[collection] = .object(JSONObject(onCollection + [("parameters", .array(shared))]))
        let onDocument = operations([
            ("get", "get", "get"), ("update", "put", "put"), ("patch", "patch", "patch"),
            ("delete", "delete", "delete"),
        ])
        if definition.isNamespaced, verbs.contains("list") {
            paths["\(root)/\(definition.plural)"] = ["get": operation(resource, action: "list"), "parameters": []]
        }
        if onDocument.isEmpty { return }
        paths["\(collection)/{name}"] = .object(JSONObject(onDocument + [("parameters", .array(named))]))
        if resource.version.hasStatus {
            let status = ["get", "put", "patch"].map { ($0, operation(resource, action: $0)) }
            paths["\(collection)/{name}/status"] = .object(JSONObject(status + [("parameters", .array(named))]))
        }
        if resource.version.scale != nil {
            let kind = GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale")
            let scale = ["get", "put", "patch"].map { ($0, operation(resource, action: $0, kind: kind)) }
            paths["\(collection)/{name}/scale"] = .object(JSONObject(scale + [("parameters", .array(named))]))
        }
    }

    private func operation(_ resource: ServedResource, action: String, kind: GroupVersionKind? = nil) -> JSON {
        let kind = kind ?? resource.kind
        let parameters: [JSON] =
            switch action {
            case "post", "put":
                ["dryRun", "fieldManager", "fieldValidation"].map { parameter($0, in: "query", "string") }
            case "patch":
                ["dryRun", "fieldManager", "fieldValidation"].map { parameter($0, in: "query", "string") }
                    + [parameter("force", in: "query", "boolean")]
            case "list":
                ["labelSelector", "fieldSelector", "continue", "resourceVersion", "resourceVersionMatch"]
                    .map { parameter($0, in: "query", "string") } + [parameter("limit", in: "query", "integer")]
            case "delete", "deletecollection":
                ["dryRun", "propagationPolicy"].map { parameter($0, in: "query", "string") }
            default: []
            }
        let reference: JSON = ["$ref": .string("#/components/schemas/\(Self.schemaName(kind))")]
        var object: JSONObject = [
            "x-kubernetes-action": .string(action), "x-kubernetes-group-version-kind": Self.json(kind),
            "parameters": .array(parameters),
            "responses": ["200": ["description": "OK", "content": ["application/json": ["schema": reference]]]],
        ]
        if action == "post" || action == "put" {
            object["requestBody"] = ["content": ["*/*": ["schema": reference]]]
        }
        return .object(object)
    }

    private func parameter(_ name: String, in place: String, _ type: String) -> JSON {
        var object: JSONObject = [
            "name": .string(name), "in": .string(place), "schema": ["type": .string(type), "uniqueItems": true],
        ]
        if place == "path" { object["required"] = true }
        return .object(object)
    }

    // MARK: Schemas

    private func addSchemas(of resource: ServedResource, to schemas: inout JSONObject) {
        let name = Self.schemaName(resource.kind)
        let source = resource.version.schema.source
        var schema =
            (resource.definition.isBuiltIn ? source : Self.withAlternatives(source)).objectValue ?? JSONObject()
        var properties = schema["properties"]?.objectValue ?? JSONObject()
        properties["apiVersion"] = ["type": "string", "description": .string(MetaSchemas.apiVersionText)]
        properties["kind"] = ["type": "string", "description": .string(MetaSchemas.kindText)]
        var metadata: JSONObject = [
            "description": .string(MetaSchemas.metadataText),
            "allOf": [["$ref": .string("#/components/schemas/\(MetaSchemas.objectMetaName)")]],
        ]
        if resource.definition.isBuiltIn { metadata["default"] = [:] }
        properties["metadata"] = .object(metadata)
        properties.sort()
        schema["type"] = "object"
        schema["properties"] = .object(properties)
        schema["x-kubernetes-group-version-kind"] = [Self.json(resource.kind)]
        schemas[name] = .object(schema)
        schemas["\(name)List"] = [
            "type": "object",
            "description": .string("\(resource.definition.listKind) is a list of \(resource.definition.kind)"),
            "required": ["items"],
            "properties": [
                "apiVersion": ["type": "string"], "kind": ["type": "string"],
                "items": ["type": "array", "items": ["$ref": .string("#/components/schemas/\(name)")]],
                "metadata": ["$ref": .string("#/components/schemas/\(MetaSchemas.listMetaName)")],
            ],
            "x-kubernetes-group-version-kind": [
                Self.json(
                    GroupVersionKind(
                        group: resource.kind.group, version: resource.kind.version, kind: resource.definition.listKind))
            ],
        ]
    }

    /// Says of every integer-or-string in a user's schema that it may be either, which the definition need not.
    private static func withAlternatives(_ schema: JSON) -> JSON {
        schema.mappingSchemas { node in
            guard node["x-kubernetes-int-or-string"]?.boolValue == true, node["anyOf"] == nil else { return }
            node["anyOf"] = [["type": "integer"], ["type": "string"]]
        }
    }

    static func json(_ kind: GroupVersionKind) -> JSON {
        ["group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind)]
    }

    /// `dev.espalier.v1alpha1.Landscape`; built-in kinds are called as upstream calls them.
    static func schemaName(_ kind: GroupVersionKind) -> String {
        if kind.group.isEmpty { return "io.k8s.api.core.\(kind.version).\(kind.kind)" }
        if !kind.group.contains(".") || kind.group.hasSuffix(".k8s.io") && !kind.group.hasPrefix("gateway") {
            let group = kind.group.split(separator: ".").first.map(String.init) ?? kind.group
            return "io.k8s.api.\(group).\(kind.version).\(kind.kind)"
        }
        return kind.group.split(separator: ".").reversed().joined(separator: ".") + ".\(kind.version).\(kind.kind)"
    }
}

/// The schemas of metadata, which every document shares.
enum MetaSchemas {
    static let objectMetaName = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    static let listMetaName = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
    static let ownerReferenceName = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference"
    static let managedFieldsName = "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry"
    static let fieldsName = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"
    static let timeName = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"

    static let apiVersionText = """
        APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized \
        schemas to the latest internal value, and may reject unrecognized values. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources
        """
    static let kindText = """
        Kind is a string value representing the REST resource this object represents. Servers may infer this from the \
        endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds
        """

    static let metadataText = """
        Standard object's metadata. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata
        """

    static let all: [(String, JSON)] = [
        (objectMetaName, objectMeta), (listMetaName, listMeta), (ownerReferenceName, ownerReference),
        (managedFieldsName, managedFields),
        (fieldsName, ["type": "object", "description": "A set of fields, as server-side apply records them."]),
        (timeName, ["type": "string", "format": "date-time", "description": "A time in RFC 3339."]),
    ]

    private static func string(_ description: String) -> JSON {
        ["type": "string", "description": .string(description)]
    }
    private static func strings(_ description: String) -> JSON {
        [
            "type": "object", "description": .string(description),
            "additionalProperties": ["type": "string", "default": ""],
        ]
    }
    private static func time(_ description: String) -> JSON {
        ["description": .string(description), "allOf": [["$ref": .string("#/components/schemas/\(timeName)")]]]
    }
    private static func list(_ description: String, _ name: String) -> JSON {
        [
            "type": "array", "description": .string(description),
            "items": ["default": [:], "allOf": [["$ref": .string("#/components/schemas/\(name)")]]],
        ]
    }

    private static let objectMeta: JSON = [
        "type": "object", "description": "ObjectMeta is metadata that all persisted resources must have.",
        "properties": [
            "annotations": strings(
                "Annotations is an unstructured key value map stored with a resource. They are not queryable."),
            "creationTimestamp": time("When the object was created. Set by the server."),
            "deletionGracePeriodSeconds": [
                "type": "integer", "format": "int64", "description": "How long the object may take to end.",
            ],
            "deletionTimestamp": time("When deletion was asked for, plus the grace period. Set by the server."),
            "finalizers": [
                "type": "array", "items": ["type": "string", "default": ""], "x-kubernetes-list-type": "set",
                "x-kubernetes-patch-strategy": "merge",
                "description": "Must be empty before the object is deleted from the registry.",
            ],
            "generateName": string("A prefix, to which the server adds a random suffix where name is missing."),
            "generation": [
                "type": "integer", "format": "int64", "description": "Counts changes of the desired state.",
            ],
            "labels": strings("Map of string keys and values that can be used to organize and select objects."),
            "managedFields": [
                "type": "array", "x-kubernetes-list-type": "atomic",
                "description": "Which manager owns which field.",
                "items": ["default": [:], "allOf": [["$ref": .string("#/components/schemas/\(managedFieldsName)")]]],
            ],
            "name": string("Name must be unique within a namespace. Cannot be updated."),
            "namespace": string("The space within which the name must be unique. Cannot be updated."),
            "ownerReferences": [
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
                "description": "Objects this one depends on: it is deleted when all of them are gone.",
                "items": ["default": [:], "allOf": [["$ref": .string("#/components/schemas/\(ownerReferenceName)")]]],
            ],
            "resourceVersion": string(
                "An opaque value that changes with every change of the object. Set by the server."),
            "selfLink": string("Deprecated, and not filled."),
            "uid": string("Unique in time and space. Set by the server."),
        ],
    ]

    private static let listMeta: JSON = [
        "type": "object", "description": "ListMeta describes metadata of lists.",
        "properties": [
            "continue": string("Where the next page begins."), "resourceVersion": string("The revision of the list."),
            "remainingItemCount": ["type": "integer", "format": "int64", "description": "How many documents follow."],
        ],
    ]

    private static let ownerReference: JSON = [
        "type": "object", "description": "OwnerReference identifies an owning object.",
        "required": ["apiVersion", "kind", "name", "uid"], "x-kubernetes-map-type": "atomic",
        "properties": [
            "apiVersion": string("API version of the referent."), "kind": string("Kind of the referent."),
            "name": string("Name of the referent."), "uid": string("UID of the referent."),
            "controller": [
                "type": "boolean", "description": "If true, this reference points to the managing controller.",
            ],
            "blockOwnerDeletion": [
                "type": "boolean", "description": "If true, foreground deletion of the owner waits for this object.",
            ],
        ],
    ]

    private static let managedFields: JSON = [
        "type": "object", "description": "ManagedFieldsEntry says which fields a manager owns.",
        "properties": [
            "apiVersion": string("The version the fields are written in."),
            "manager": string("The name of the manager."),
            "operation": string("Apply or Update."),
            "subresource": string("The subresource the manager wrote through."),
            "time": time("When the entry last changed."), "fieldsType": string("FieldsV1."),
            "fieldsV1": [
                "description": "The fields.", "allOf": [["$ref": .string("#/components/schemas/\(fieldsName)")]],
            ],
        ],
    ]
}
