package import Documents
internal import Store

/// One resource at one version as the server answers for it, with everything a request needs prepared. Immutable.
package final class ServedResource: Sendable {
    package let definition: ResourceDefinition
    package let version: ResourceDefinition.Version
    package let groupResource: GroupResource
    package let kind: GroupVersionKind
    package let apiVersion: String
    package let columns: [TableColumn]
    /// What documents of the resource are stored under: another resource for kinds that are two views of one.
    package let storageResource: GroupResource
    /// The version documents are stored in.
    package let storageAPIVersion: String
    /// What every key of the resource begins with.
    package let keyPrefix: [UInt8]
    /// Field selector paths besides `metadata.name` and `metadata.namespace`.
    package let selectableFields: Set<String>
    /// What a webhook has converted for the one request this was made for.
    let conversions: Conversions?
    /// How what is stored in the present version begins.
    private let currentStart: [UInt8]

    package convenience init(_ definition: ResourceDefinition, _ version: ResourceDefinition.Version) {
        self.init(definition, version, conversions: nil)
    }

    private init(
        _ definition: ResourceDefinition, _ version: ResourceDefinition.Version, conversions: Conversions?
    ) {
        self.conversions = conversions
        self.definition = definition
        self.version = version
        groupResource = definition.groupResource
        kind = GroupVersionKind(group: definition.group, version: version.name, kind: definition.kind)
        apiVersion = kind.apiVersion
        columns = TableColumn.columns(of: version, isBuiltIn: definition.isBuiltIn)
        storageResource = definition.storedAs ?? definition.groupResource
        storageAPIVersion =
            GroupVersionKind(
                group: storageResource.group, version: definition.storageVersion.name, kind: definition.kind
            ).apiVersion
        keyPrefix = StoreKey.prefix(storageResource)
        selectableFields = Set(version.selectableFields.map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 })
        currentStart = Array("{\"apiVersion\":\"\(storageAPIVersion)\",".utf8)
    }

    /// The same for one request, which has what webhooks convert in `conversions`.
    func converting(with conversions: Conversions) -> ServedResource {
        ServedResource(definition, version, conversions: conversions)
    }

    /// Whether stored bytes can be served as they are. Those of users' kinds may be of a version that was once stored.
    func isCurrent(_ bytes: some Collection<UInt8>) -> Bool {
        isStorageVersion && (definition.isBuiltIn || bytes.starts(with: currentStart))
    }

    /// Whether documents may be stored in several versions.
    var mayHoldOldVersions: Bool { !definition.isBuiltIn && definition.versions.count > 1 }

    package var isStorageVersion: Bool { apiVersion == storageAPIVersion }
    package var isNamespaced: Bool { definition.isNamespaced }

    /// Kinds whose `metadata.generation` counts changes of what they declare. The old core kinds have none.
    package var hasGeneration: Bool {
        !definition.isBuiltIn
            || ["apps", "batch", "policy", "networking.k8s.io", "gateway.networking.k8s.io", "apiextensions.k8s.io"]
                .contains(definition.group)
    }

    package func key(namespace: String, name: String) -> ObjectKey {
        ObjectKey(storageResource, namespace: definition.isNamespaced ? namespace : "", name: name)
    }

    package func prefix(namespace: String) -> [UInt8] {
        namespace.isEmpty || !definition.isNamespaced
            ? keyPrefix : StoreKey.prefix(storageResource, namespace: namespace)
    }
}

/// Every resource the server serves, at one moment. Immutable; a changed CustomResourceDefinition makes a new one,
/// which takes the place of the old one as a whole.
package final class ResourceCatalogue: Sendable {
    /// In the order of discovery: the core group, built-in groups, then users' groups by name.
    package let definitions: [ResourceDefinition]
    private let byPath: [ResourceLocation: ServedResource]
    private let byKind: [GroupVersionKind: ServedResource]
    private let byResource: [GroupResource: ServedResource]
    /// Counts catalogues, so that whatever was made from one knows when it is out of date.
    package let number: Int

    private struct ResourceLocation: Hashable {
        let group: String
        let version: String
        let resource: String
    }

    package init(definitions: [ResourceDefinition], number: Int) {
        // A group is one, also where users add kinds to a built-in one.
        let builtInGroups = Set(definitions.filter(\.isBuiltIn).map(\.group))
        self.definitions = definitions.sorted { left, right in
            func rank(_ definition: ResourceDefinition) -> Int {
                definition.group.isEmpty ? 0 : builtInGroups.contains(definition.group) ? 1 : 2
            }
            return (rank(left), left.group, left.plural) < (rank(right), right.group, right.plural)
        }
        self.number = number
        var byPath: [ResourceLocation: ServedResource] = [:]
        var byKind: [GroupVersionKind: ServedResource] = [:]
        var byResource: [GroupResource: ServedResource] = [:]
        for definition in self.definitions {
            for version in definition.versions where version.isServed || version.isStorage {
                let resource = ServedResource(definition, version)
                if version.isServed {
                    let location = ResourceLocation(
                        group: definition.group, version: version.name, resource: definition.plural)
                    byPath[location] = resource
                    byKind[resource.kind] = resource
                }
                if resource.isStorageVersion || byResource[definition.groupResource] == nil {
                    byResource[definition.groupResource] = resource
                }
            }
        }
        self.byPath = byPath
        self.byKind = byKind
        self.byResource = byResource
    }

    /// The resource a path names, at the path's version.
    package func resource(group: String, version: String, resource: String) -> ServedResource? {
        byPath[ResourceLocation(group: group, version: version, resource: resource)]
    }

    package func resource(for kind: GroupVersionKind) -> ServedResource? { byKind[kind] }

    /// A resource at the version it is stored in.
    package func storage(_ resource: GroupResource) -> ServedResource? { byResource[resource] }

    /// The groups, in order, each with its definitions.
    package var groups: [(group: String, definitions: [ResourceDefinition])] {
        var result: [(group: String, definitions: [ResourceDefinition])] = []
        for definition in definitions {
            if result.last?.group == definition.group {
                result[result.count - 1].definitions.append(definition)
            } else {
                result.append((definition.group, [definition]))
            }
        }
        return result
    }

    /// The served versions of a group, in the order of preference.
    package func versions(ofGroup group: String) -> [String] {
        var result: [String] = []
        for definition in definitions where definition.group == group {
            for version in definition.versions where version.isServed && !result.contains(version.name) {
                result.append(version.name)
            }
        }
        return result.sorted { VersionPriority($0) > VersionPriority($1) }
    }
}

/// The order of API versions: v2 before v1, v1 before v1beta2, v1beta2 before v1beta1, v1beta1 before v1alpha1, and
/// names of another form last.
struct VersionPriority: Comparable {
    private let stability: Int
    private let major: Int
    private let minor: Int
    private let name: String

    init(_ name: String) {
        self.name = name
        var rest = name.utf8[...]
        func number() -> Int? {
            let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            rest = rest[digits.endIndex...]
            return Int(String(decoding: digits, as: UTF8.self))
        }
        guard rest.first == UInt8(ascii: "v") else { (stability, major, minor) = (0, 0, 0); return }
        rest = rest.dropFirst()
        guard let major = number() else { (stability, self.major, minor) = (0, 0, 0); return }
        let text = String(decoding: rest, as: UTF8.self)
        let stage = text.hasPrefix("beta") ? 2 : text.hasPrefix("alpha") ? 1 : text.isEmpty ? 3 : 0
        self.major = major
        stability = stage
        minor = stage == 2 ? Int(text.dropFirst(4)) ?? 0 : stage == 1 ? Int(text.dropFirst(5)) ?? 0 : 0
    }

    static func < (left: VersionPriority, right: VersionPriority) -> Bool {
        if (left.stability, left.major, left.minor) != (right.stability, right.major, right.minor) {
            return (left.stability, left.major, left.minor) < (right.stability, right.major, right.minor)
        }
        return right.name < left.name
    }
}
