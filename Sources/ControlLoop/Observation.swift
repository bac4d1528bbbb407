package import Documents

/// What a reconciler sees: its primary, the children it controls, and every document of the kinds it declared an
/// interest in, all from one snapshot (in the server) or one cache (against a remote API).
package struct Observation<Primary: DocumentView>: Sendable {
    package let primary: Primary
    /// The documents controlled by the primary's UID, of the kinds declared as children, in the order of their keys.
    package let children: [OwnedDocument]
    /// The children the API refused just now. Empty while all is well.
    package let refusals: [Refusal]
    package let view: View

    package init(primary: Primary, children: [OwnedDocument], refusals: [Refusal] = [], view: View) {
        self.primary = primary
        self.children = children
        self.refusals = refusals
        self.view = view
    }

    /// The children of one kind, in the order of their names.
    package func children(of resource: GroupResource) -> [Document] {
        children.filter { $0.key.resource == resource }.map(\.document)
    }
}

/// A child with the key it is stored under.
package struct OwnedDocument: Sendable, Equatable {
    package let key: ObjectKey
    package let document: Document
    package init(key: ObjectKey, document: Document) {
        self.key = key
        self.document = document
    }
}

/// A child that the API would not take, and why.
package struct Refusal: Sendable, Equatable {
    package let key: ObjectKey
    package let message: String
    package init(key: ObjectKey, message: String) {
        self.key = key
        self.message = message
    }
}

/// A read-only look at the cache: what reconcilers and triggers may read.
package struct View: Sendable {
    private let cache: Cache

    package init(_ cache: Cache) { self.cache = cache }

    package func get(_ key: ObjectKey) -> Document? { cache.get(key) }

    package func get(_ resource: GroupResource, _ namespace: String, _ name: String) -> Document? {
        cache.get(ObjectKey(resource, namespace: namespace, name: name))
    }

    /// The documents of a kind in a namespace, in the order of their names. The empty namespace holds cluster-scoped ones.
    package func list(_ resource: GroupResource, _ namespace: String) -> [Document] {
        cache.list(resource, namespace: namespace)
    }

    /// The documents of a kind in every namespace, in the order of their keys.
    package func all(_ resource: GroupResource) -> [Document] { cache.all(resource) }
}
