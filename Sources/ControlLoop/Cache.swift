package import Client
package import Documents

/// The documents a watch has shown, by key and by controlling owner. A value: the engine owns one, reconcilers see it
/// through `View`. Every listing is in the order of names.
package struct Cache: Sendable {
    private struct Scope: Hashable {
        let resource: GroupResource
        let namespace: String
    }

    private var documents: [Scope: [String: Document]] = [:]
    private var controlled: [String: Set<ObjectKey>] = [:]

    package init() {}

    package func get(_ key: ObjectKey) -> Document? {
        documents[Scope(resource: key.resource, namespace: key.namespace)]?[key.name]
    }

    package func list(_ resource: GroupResource, namespace: String) -> [Document] {
        guard let found = documents[Scope(resource: resource, namespace: namespace)] else { return [] }
        return found.values.sorted { $0.name < $1.name }
    }

    /// Every document of a resource in every namespace, in the order of their keys.
    package func all(_ resource: GroupResource) -> [Document] {
        let scopes = documents.keys.filter { $0.resource == resource }.sorted { $0.namespace < $1.namespace }
        return scopes.flatMap { list(resource, namespace: $0.namespace) }
    }

    /// What the document with this UID controls, in the order of their keys.
    package func controlled(by uid: String) -> [OwnedDocument] {
        (controlled[uid] ?? []).sorted().compactMap { key in get(key).map { OwnedDocument(key: key, document: $0) } }
    }

    /// Takes a change in, and answers what stood there before.
    @discardableResult
    package mutating func apply(_ event: WatchEvent) -> Document? {
        let document = event.document
        let key = ObjectKey(event.resource, namespace: document.namespace, name: document.name)
        let scope = Scope(resource: key.resource, namespace: key.namespace)
        let previous = documents[scope]?[key.name]
        if let owner = previous?.controller?.uid {
            controlled[owner]?.remove(key)
            if controlled[owner]?.isEmpty == true { controlled[owner] = nil }
        }
        if event.kind == .deleted {
            documents[scope]?[key.name] = nil
        } else {
            documents[scope, default: [:]][key.name] = document
            if let owner = document.controller?.uid { controlled[owner, default: []].insert(key) }
        }
        return previous
    }
}
