package import Client
package import Documents

/// The kinds the loops read and write, by the names the API gives them.
package enum Kinds {
    package static let landscape = ours("landscapes", "Landscape")
    package static let route = ours("routes", "Route")
    package static let rollout = ours("rollouts", "Rollout")
    package static let workspace = ours("workspaces", "Workspace")
    package static let managedService = ours("managedservices", "ManagedService")
    package static let previewDeployment = ours("previewdeployments", "PreviewDeployment")
    package static let plan = ours("plans", "Plan", isNamespaced: false)
    package static let pod = core("pods", "Pod")
    package static let service = core("services", "Service")
    package static let configMap = core("configmaps", "ConfigMap")
    package static let secret = core("secrets", "Secret")
    package static let event = core("events", "Event")
    package static let deployment = apps("deployments", "Deployment")
    package static let replicaSet = apps("replicasets", "ReplicaSet")
    package static let controllerRevision = apps("controllerrevisions", "ControllerRevision")
    package static let statefulSet = apps("statefulsets", "StatefulSet")
    package static let daemonSet = apps("daemonsets", "DaemonSet")
    package static let job = kind("batch", "jobs", "v1", "Job")
    package static let cronJob = kind("batch", "cronjobs", "v1", "CronJob")
    package static let claim = core("persistentvolumeclaims", "PersistentVolumeClaim")
    package static let volume = kind("", "persistentvolumes", "v1", "PersistentVolume", isNamespaced: false)
    package static let storageClass = kind(
        "storage.k8s.io", "storageclasses", "v1", "StorageClass", isNamespaced: false)
    package static let node = kind("", "nodes", "v1", "Node", isNamespaced: false)
    package static let endpointSlice = kind("discovery.k8s.io", "endpointslices", "v1", "EndpointSlice")
    package static let httpRoute = kind("gateway.networking.k8s.io", "httproutes", "v1", "HTTPRoute")
    package static let referenceGrant = kind(
        "gateway.networking.k8s.io", "referencegrants", "v1beta1", "ReferenceGrant")

    private static func ours(_ plural: String, _ name: String, isNamespaced: Bool = true) -> ResourceInformation {
        kind("espalier.dev", plural, "v1alpha1", name, isNamespaced: isNamespaced)
    }

    private static func core(_ plural: String, _ name: String) -> ResourceInformation { kind("", plural, "v1", name) }
    private static func apps(_ plural: String, _ name: String) -> ResourceInformation {
        kind("apps", plural, "v1", name)
    }

    private static func kind(
        _ group: String, _ plural: String, _ version: String, _ name: String, isNamespaced: Bool = true
    ) -> ResourceInformation {
        ResourceInformation(
            resource: GroupResource(group: group, resource: plural), version: version, kind: name,
            isNamespaced: isNamespaced)
    }
}

extension ResourceInformation {
    package var apiVersion: String { resource.group.isEmpty ? version : "\(resource.group)/\(version)" }

    /// A document of this kind, with labels in the order of their names.
    package func document(namespace: String, name: String, labels: [String: String] = [:]) -> Document {
        var metadata: JSONObject = ["name": .string(name)]
        if !namespace.isEmpty { metadata["namespace"] = .string(namespace) }
        if !labels.isEmpty { metadata["labels"] = JSON(labels) }
        return Document(["apiVersion": .string(apiVersion), "kind": .string(kind), "metadata": .object(metadata)])
    }
}

/// Labels and annotations the loops write and read.
package enum Label {
    /// The landscape a document is part of.
    package static let partOf = "app.kubernetes.io/part-of"
    /// The service of the landscape.
    package static let component = "app.kubernetes.io/component"
    /// What the pods run, in eight hexadecimal digits.
    package static let hash = "espalier.dev/hash"
    /// Counts the attempts of a landscape to go live; the highest is the current one.
    package static let attempt = "espalier.dev/attempt"
    /// Tells the pods of one ReplicaSet of a Deployment from those of another.
    package static let podTemplateHash = "pod-template-hash"
    package static let serviceName = "kubernetes.io/service-name"
    package static let managedBy = "endpointslice.kubernetes.io/managed-by"
    /// On a ReplicaSet and its Deployment, as kubectl's rollout commands expect it.
    package static let deploymentRevision = "deployment.kubernetes.io/revision"
    /// On a pod of the host's network: the ports the node gave it, as a JSON object from port name to number.
    package static let ports = "espalier.dev/ports"
}

extension JSON {
    /// A map of strings, in the order of its names.
    package init(_ strings: [String: String]) {
        self = .object(JSONObject(strings.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) }))
    }

    package var text: String { stringValue ?? "" }
    package var elements: [JSON] { arrayValue ?? [] }
    package func text(_ key: String) -> String { self[key]?.stringValue ?? "" }
    package func integer(_ key: String) -> Int? { self[key]?.integerValue.flatMap { Int(exactly: $0) } }
    package func elements(_ key: String) -> [JSON] { self[key]?.arrayValue ?? [] }

    /// The element of the list `key` whose `name` is `name`.
    package func named(_ name: String, in key: String) -> JSON? {
        elements(key).first { $0["name"]?.stringValue?.isSameBytes(as: name) == true }
    }

    /// The same value with every object's members in the order of their names: equal values have equal bytes.
    package var canonical: JSON {
        switch self {
        case .array(let elements): return .array(elements.map(\.canonical))
        case .object(let object):
            var sorted = JSONObject(object.members.map { ($0.key, $0.value.canonical) })
            sorted.sort()
            return .object(sorted)
        default: return self
        }
    }
}
