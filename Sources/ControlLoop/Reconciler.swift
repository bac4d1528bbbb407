package import Client
package import Documents
package import Seams

/// A rule that keeps one kind of document true: from what it observed to the children and the status it wants.
///
/// Pure: no I/O, no clock, no memory between calls; the same observation gives the same outcome, bit for bit. It must be
/// right on an observation of any age: the engine guards every write, the reconciler only ever says what it wants.
package protocol Reconciler: Sendable {
    /// The typed view over the kind's document.
    associatedtype Primary: DocumentView
    /// The resource whose documents are this loop's primaries.
    var primary: ResourceInformation { get }
    /// The field manager of everything the loop writes.
    var owner: FieldOwner { get }
    /// The other kinds it reads, and which primaries a change of one concerns.
    var interests: [Interest] { get }
    func reconcile(_ observed: Observation<Primary>, now: Instant) -> Outcome
}

/// A typed view over a document. Reading what is missing gives a default, never an error: admission has checked.
package protocol DocumentView: Sendable {
    var document: Document { get }
    init(_ document: Document)
}

/// The view that adds nothing.
package struct PlainView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }
}

/// A field manager, such as `espalier-landscape`: one loop, one owner.
package struct FieldOwner: Sendable, Hashable {
    package let name: String
    package init(loop: String) { name = "espalier-\(loop)" }
}

/// A kind that a reconciler reads besides its primaries.
package struct Interest: Sendable {
    /// Which primaries a changed document concerns, by namespace and name.
    package typealias Trigger = @Sendable (Document, View) -> [PrimaryName]

    package let resource: GroupResource
    /// Documents of this kind are children: the loop makes them, and removes those it no longer wants.
    package let isChild: Bool
    /// For kinds that are no children, or not only.
    package let trigger: Trigger?

    private init(resource: GroupResource, isChild: Bool, trigger: Trigger?) {
        self.resource = resource
        self.isChild = isChild
        self.trigger = trigger
    }

    /// A kind the loop makes; a change concerns the primary that controls the document.
    package static func child(_ resource: GroupResource) -> Interest {
        Interest(resource: resource, isChild: true, trigger: nil)
    }

    /// A kind the loop only reads.
    package static func reference(_ resource: GroupResource, _ trigger: @escaping Trigger) -> Interest {
        Interest(resource: resource, isChild: false, trigger: trigger)
    }
}

/// The namespace and name of a primary; its kind is the loop's.
package struct PrimaryName: Sendable, Hashable {
    package let namespace: String
    package let name: String
    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }
    package init(_ document: Document) { self.init(namespace: document.namespace, name: document.name) }
}

extension Reconciler {
    /// `reconcile` for callers that hold `any Reconciler`.
    package func decide(
        _ document: Document, children: [OwnedDocument], refusals: [Refusal], view: View, now: Instant
    ) -> Outcome {
        reconcile(
            Observation(primary: Primary(document), children: children, refusals: refusals, view: view), now: now)
    }
}
