package import Documents

/// Discovery documents, made from a catalogue: the aggregated form that kubectl asks for, and the legacy ones.
package struct Discovery: Sendable {
    package let catalogue: ResourceCatalogue
    /// Where clients reach the server, for `serverAddressByClientCIDRs`.
    package let serverAddress: String

    package init(catalogue: ResourceCatalogue, serverAddress: String) {
        self.catalogue = catalogue
        self.serverAddress = serverAddress
    }

    // MARK: Aggregated

    /// `APIGroupDiscoveryList` of the core group or of all others.
    package func aggregated(core: Bool, version: String) -> JSON {
        let items = catalogue.groups.filter { $0.group.isEmpty == core }.map { group in
            JSON.object([
                "metadata": core ? [:] : ["name": .string(group.group)],
                "versions": .array(
                    catalogue.versions(ofGroup: group.group).map { aggregated(group.definitions, version: $0) }),
            ])
        }
        return [
            "kind": "APIGroupDiscoveryList", "apiVersion": .string("apidiscovery.k8s.io/\(version)"), "metadata": [:],
            "items": .array(items),
        ]
    }

    private func aggregated(_ definitions: [ResourceDefinition], version: String) -> JSON {
        let resources = definitions.compactMap { definition -> JSON? in
            guard let served = definition.version(version) else { return nil }
            let kind = GroupVersionKind(group: definition.group, version: version, kind: definition.kind)
            var object: JSONObject = [
                "resource": .string(definition.plural), "responseKind": responseKind(kind),
                "scope": definition.isNamespaced ? "Namespaced" : "Cluster",
                "singularResource": .string(definition.singular), "verbs": verbs(definition),
            ]
            if !definition.shortNames.isEmpty { object["shortNames"] = strings(definition.shortNames) }
            if !definition.categories.isEmpty { object["categories"] = strings(definition.categories) }
            let subresources = self.subresources(definition, served).map { subresource in
                JSON.object([
                    "subresource": .string(subresource.name), "responseKind": responseKind(subresource.kind),
                    "verbs": strings(subresource.verbs),
                ])
            }
            if !subresources.isEmpty { object["subresources"] = .array(subresources) }
            return .object(object)
        }
        return ["version": .string(version), "resources": .array(resources), "freshness": "Current"]
    }

    private func responseKind(_ kind: GroupVersionKind) -> JSON {
        // The core group leaves the version out, as upstream does; clients take that of the list.
        [
            "group": .string(kind.group), "version": .string(kind.group.isEmpty ? "" : kind.version),
            "kind": .string(kind.kind),
        ]
    }

    // MARK: Legacy

    package var coreVersions: JSON {
        [
            "kind": "APIVersions", "versions": strings(catalogue.versions(ofGroup: "")),
            "serverAddressByClientCIDRs": [["clientCIDR": "0.0.0.0/0", "serverAddress": .string(serverAddress)]],
        ]
    }

    package var groups: JSON {
        let groups = catalogue.groups.filter { !$0.group.isEmpty }.map { JSON.object(group($0.group)) }
        return ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(groups)]
    }

    /// `APIGroup`; `nil` for a group that is not served.
    package func groupDocument(_ name: String) -> JSON? {
        guard !name.isEmpty, catalogue.definitions.contains(where: { $0.group == name }) else { return nil }
        var object: JSONObject = ["kind": "APIGroup", "apiVersion": "v1"]
        for member in group(name).members { object[member.key] = member.value }
        return .object(object)
    }

    private func group(_ name: String) -> JSONObject {
        let versions = catalogue.versions(ofGroup: name).map { version -> JSON in
            ["groupVersion": .string("\(name)/\(version)"), "version": .string(version)]
        }
        return ["name": .string(name), "versions": .array(versions), "preferredVersion": versions.first ?? .null]
    }

    /// `APIResourceList`; `nil` for a version that is not served.
    package func resources(group: String, version: String) -> JSON? {
        guard catalogue.versions(ofGroup: group).contains(version) else { return nil }
        var resources: [JSON] = []
        for definition in catalogue.definitions where definition.group == group {
            guard let served = definition.version(version) else { continue }
            var object: JSONObject = [
                "name": .string(definition.plural), "singularName": .string(definition.singular),
                "namespaced": .bool(definition.isNamespaced), "kind": .string(definition.kind),
                "verbs": verbs(definition),
            ]
            if !definition.shortNames.isEmpty { object["shortNames"] = strings(definition.shortNames) }
            if !definition.categories.isEmpty { object["categories"] = strings(definition.categories) }
            object["storageVersionHash"] = .string(
                ContentHash.text(Array("\(definition.group)/\(definition.storageVersion.name)/\(definition.kind)".utf8))
            )
            resources.append(.object(object))
            for subresource in subresources(definition, served) {
                var entry: JSONObject = [
                    "name": .string("\(definition.plural)/\(subresource.name)"), "singularName": "",
                    "namespaced": .bool(definition.isNamespaced),
                ]
                if subresource.kind.group != definition.group {
                    entry["group"] = .string(subresource.kind.group)
                    entry["version"] = .string(subresource.kind.version)
                }
                entry["kind"] = .string(subresource.kind.kind)
                entry["verbs"] = strings(subresource.verbs)
                resources.append(.object(entry))
            }
        }
        let groupVersion = GroupVersionKind(group: group, version: version, kind: "").apiVersion
        return [
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": .string(groupVersion),
            "resources": .array(resources),
        ]
    }

    // MARK: Parts

    private struct Subresource {
        let name: String
        let kind: GroupVersionKind
        let verbs: [String]
    }

    private func subresources(_ definition: ResourceDefinition, _ version: ResourceDefinition.Version) -> [Subresource]
    {
        let kind = GroupVersionKind(group: definition.group, version: version.name, kind: definition.kind)
        var result: [Subresource] = []
        for own in WellKnown.subresources[definition.groupResource] ?? [] {
            result.append(Subresource(name: own.name, kind: own.kind ?? kind, verbs: own.verbs))
        }
        if version.hasStatus {
            result.append(Subresource(name: "status", kind: kind, verbs: ["get", "patch", "update"]))
        }
        if version.scale != nil {
            let scale = GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale")
            result.append(Subresource(name: "scale", kind: scale, verbs: ["get", "patch", "update"]))
        }
        return definition.isBuiltIn ? result.sorted { $0.name < $1.name } : result
    }

    /// In the order of upstream, which differs between built-in kinds and others.
    private func verbs(_ definition: ResourceDefinition) -> JSON {
        if definition.isBuiltIn { return strings(definition.verbs) }
        return strings(["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"])
    }

    private func strings(_ values: [String]) -> JSON { .array(values.map(JSON.string)) }
}

/// Short names for content, for entity tags and cache keys: not for security.
enum ContentHash {
    /// FNV-1a in 64 bits, over two seeds: 32 hexadecimal digits.
    static func text(_ bytes: [UInt8]) -> String {
        var first: UInt64 = 0xcbf2_9ce4_8422_2325
        var second: UInt64 = 0x8422_2325_cbf2_9ce4
        for byte in bytes {
            first = (first ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
            second = (second &+ UInt64(byte) &+ 0x9e37_79b9_7f4a_7c15) &* 0xff51_afd7_ed55_8ccd
            second ^= second >> 33
        }
        func hexadecimal(_ value: UInt64) -> String {
            let digits = String(value, radix: 16, uppercase: true)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return hexadecimal(first) + hexadecimal(second)
    }
}

/// Resources that the server itself knows by name, because Kubernetes gives them behaviour of their own.
package enum WellKnown {
    package static let namespaces = GroupResource(group: "", resource: "namespaces")
    package static let pods = GroupResource(group: "", resource: "pods")
    package static let services = GroupResource(group: "", resource: "services")
    package static let secrets = GroupResource(group: "", resource: "secrets")
    package static let configMaps = GroupResource(group: "", resource: "configmaps")
    package static let events = GroupResource(group: "", resource: "events")
    package static let serviceAccounts = GroupResource(group: "", resource: "serviceaccounts")
    package static let bindings = GroupResource(group: "", resource: "bindings")
    package static let jobs = GroupResource(group: "batch", resource: "jobs")
    package static let persistentVolumeClaims = GroupResource(group: "", resource: "persistentvolumeclaims")
    package static let persistentVolumes = GroupResource(group: "", resource: "persistentvolumes")
    package static let storageClasses = GroupResource(group: "storage.k8s.io", resource: "storageclasses")
    package static let podDisruptionBudgets = GroupResource(group: "policy", resource: "poddisruptionbudgets")
    package static let customResourceDefinitions = GroupResource(
        group: "apiextensions.k8s.io", resource: "customresourcedefinitions")

    /// The subresources that kinds have of their own, besides `status` and `scale`.
    static let subresources: [GroupResource: [(name: String, kind: GroupVersionKind?, verbs: [String])]] = [
        namespaces: [("finalize", nil, ["update"])],
        pods: [
            ("attach", GroupVersionKind(group: "", version: "v1", kind: "PodAttachOptions"), ["create", "get"]),
            ("binding", GroupVersionKind(group: "", version: "v1", kind: "Binding"), ["create"]),
            ("ephemeralcontainers", nil, ["get", "patch", "update"]),
            ("eviction", GroupVersionKind(group: "policy", version: "v1", kind: "Eviction"), ["create"]),
            ("exec", GroupVersionKind(group: "", version: "v1", kind: "PodExecOptions"), ["create", "get"]),
            ("log", nil, ["get"]),
            (
                "portforward", GroupVersionKind(group: "", version: "v1", kind: "PodPortForwardOptions"),
                ["create", "get"]
            ), ("resize", nil, ["get", "patch", "update"]),
        ],
        serviceAccounts: [
            (
                "token", GroupVersionKind(group: "authentication.k8s.io", version: "v1", kind: "TokenRequest"),
                ["create"]
            )
        ],
    ]
}
