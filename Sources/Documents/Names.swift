/// A kind of document at one version: what `apiVersion` and `kind` say. The core group is the empty string.
package struct GroupVersionKind: Sendable, Hashable, CustomStringConvertible {
    package var group: String
    package var version: String
    package var kind: String

    package init(group: String, version: String, kind: String) {
        self.group = group
        self.version = version
        self.kind = kind
    }

    /// `v1` or `apps/v1`.
    package var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    package var description: String { "\(apiVersion), Kind=\(kind)" }

    /// Splits `apps/v1` into its group and its version.
    package static func split(apiVersion: String) -> (group: String, version: String) {
        guard let slash = apiVersion.firstIndex(of: "/") else { return ("", apiVersion) }
        return (String(apiVersion[..<slash]), String(apiVersion[apiVersion.index(after: slash)...]))
    }
}

/// A collection of documents, whatever their version: `landscapes` in `espalier.dev`. The core group is empty.
package struct GroupResource: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var group: String
    package var resource: String

    package init(group: String, resource: String) {
        self.group = group
        self.resource = resource
    }

    /// `landscapes.espalier.dev`, or `pods` in the core group, as error messages write it.
    package var description: String { group.isEmpty ? resource : "\(resource).\(group)" }

    package static func < (left: GroupResource, right: GroupResource) -> Bool {
        (left.group, left.resource) < (right.group, right.resource)
    }
}

/// What names one document. Cluster-scoped documents have an empty namespace.
package struct ObjectKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var resource: GroupResource
    package var namespace: String
    package var name: String

    package init(_ resource: GroupResource, namespace: String = "", name: String) {
        self.resource = resource
        self.namespace = namespace
        self.name = name
    }

    package var description: String { "\(resource) \(namespace.isEmpty ? name : "\(namespace)/\(name)")" }

    package static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        (left.resource, left.namespace, left.name) < (right.resource, right.namespace, right.name)
    }
}
