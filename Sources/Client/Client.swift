package import Documents

/// The verbs of a Kubernetes API. Loops and agents read and write through this and nothing else, so that the same
/// code runs inside the server, against a remote cluster, and under simulation.
///
/// Documents are addressed by `ObjectKey`; the version is the one the server stores. Every write names its field
/// manager.
package protocol Client: Sendable {
    /// The resource that holds documents of `kind`, from discovery. Fails with `notFound` for an unknown kind.
    func resource(for kind: GroupVersionKind) async throws(APIError) -> ResourceInformation

    func get(_ key: ObjectKey) async throws(APIError) -> Document

    /// All documents of a resource at one revision; an empty `namespace` means every namespace.
    func list(_ resource: GroupResource, namespace: String, options: ListOptions) async throws(APIError) -> DocumentList

    /// Follows several resources at once: first every existing document as `added`, then every change, in order. Within
    /// the server a batch is one revision's view over all of them; a remote API promises order per resource only.
    func watch(_ resources: [GroupResource], options: WatchOptions) async throws(APIError) -> any WatchStream

    func create(_ document: Document, options: WriteOptions) async throws(APIError) -> Document

    /// Replaces a document. A `resourceVersion` in it makes the write conditional.
    func update(_ document: Document, subresource: Subresource?, options: WriteOptions) async throws(APIError)
        -> Document

    func patch(
        _ key: ObjectKey, _ patch: Patch, subresource: Subresource?, options: WriteOptions
    ) async throws(APIError) -> Document

    /// Server-side apply: `document` is the whole intent of the field manager in `options`; creates what is missing.
    func apply(_ document: Document, subresource: Subresource?, options: WriteOptions) async throws(APIError)
        -> Document

    /// Asks for deletion. Finalizers can delay it; a missing document fails with `notFound`.
    func delete(_ key: ObjectKey, options: DeleteOptions) async throws(APIError)
}

/// What discovery says of a kind.
package struct ResourceInformation: Sendable, Hashable {
    package var resource: GroupResource
    package var version: String
    package var kind: String
    package var isNamespaced: Bool

    package init(resource: GroupResource, version: String, kind: String, isNamespaced: Bool) {
        self.resource = resource
        self.version = version
        self.kind = kind
        self.isNamespaced = isNamespaced
    }
}

/// The part of a document that a request reads or writes, where it is not all of it.
package enum Subresource: String, Sendable { case status, scale }

/// A change to a document, in one of the forms the API takes.
package enum Patch: Sendable {
    /// RFC 7386.
    case merge(JSON)
    /// RFC 6902.
    case json(JSON)
    /// Strategic merge patch, for built-in kinds.
    case strategic(JSON)
}

/// What a list is about.
package struct ListOptions: Sendable {
    /// In the query form, `a=b,c in (d,e)`; empty selects everything.
    package var labelSelector = ""
    /// In the query form, `metadata.name=x`; empty selects everything.
    package var fieldSelector = ""
    package init() {}
}

/// How new the changes a watch sees may be.
package enum Visibility: Sendable {
    /// As soon as a revision has its number, before it is on disk: for loops, whose writes join the same sync. A remote
    /// API shows durable revisions only.
    case sequenced
    /// Only what a power cut cannot undo: for agents and for clients.
    case durable
}

/// What a watch is about.
package struct WatchOptions: Sendable {
    package var visibility: Visibility
    package var namespace = ""
    package init(visibility: Visibility) { self.visibility = visibility }
}

/// In whose name a document is written, and how.
package struct WriteOptions: Sendable {
    package var fieldManager: String
    /// Apply only: takes fields over from other managers.
    package var force = false
    /// Runs admission and answers what would be stored, and stores nothing.
    package var dryRun = false
    package init(fieldManager: String) { self.fieldManager = fieldManager }
}

/// Which document is deleted, and what becomes of those it owns.
package struct DeleteOptions: Sendable {
    package enum Propagation: String, Sendable {
        case background = "Background", foreground = "Foreground", orphan = "Orphan"
    }
    /// The write fails with `conflict` unless the document still has this UID.
    package var uid: String?
    package var resourceVersion: String?
    package var propagation: Propagation = .background
    /// Pods only: how long processes may take to stop. `nil` takes the pod's own figure.
    package var gracePeriodSeconds: Int?
    package var dryRun = false
    package init(uid: String? = nil) { self.uid = uid }
}

/// The answer to a list: documents as of one revision.
package struct DocumentList: Sendable {
    /// The revision of the list, in decimal.
    package var resourceVersion: String
    package var items: [Document]
    package init(resourceVersion: String, items: [Document]) {
        self.resourceVersion = resourceVersion
        self.items = items
    }
}

/// One change that a watch saw.
package struct WatchEvent: Sendable {
    package enum Kind: String, Sendable { case added = "ADDED", modified = "MODIFIED", deleted = "DELETED" }
    package var kind: Kind
    package var resource: GroupResource
    /// The document after the change; for `deleted`, as it last was.
    package var document: Document
    package init(_ kind: Kind, _ resource: GroupResource, _ document: Document) {
        self.kind = kind
        self.resource = resource
        self.document = document
    }
}

/// A running watch, read by pulling. One reader at a time.
package protocol WatchStream: AnyObject, Sendable {
    /// The events that are there now, in order; empty when there are none. Throws `expired` when history was compacted
    /// away under the watch, and the transport's error when it broke: then start a new watch.
    func poll() throws(APIError) -> [WatchEvent]
    /// Waits until `poll` would return an event or throw. Returns early when the task is cancelled.
    func wait() async
    func cancel()
}
