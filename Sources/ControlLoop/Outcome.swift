package import Documents
package import Seams

/// What a reconciler wants. The engine brings the differences about, and nothing else.
package struct Outcome: Sendable, Equatable {
    /// The complete set of children, in the order they are to be written. What the primary controls and is not in here
    /// is deleted.
    package var children: [Child] = []
    /// The whole status; `nil` leaves it alone.
    package var status: JSON?
    /// The finalizers of this loop on the primary.
    package var finalizers: [String] = []
    /// The annotations of this loop on the primary.
    package var annotations: [String: String] = [:]
    /// The fields of the primary's `spec` that this loop holds. As a rule none: a `spec` belongs to people.
    package var spec: JSON?
    /// Finalizers to take from the primary, whoever put them there.
    package var releases: [String] = []
    /// Documents beside the children, of kinds the loop has an interest in: what is to outlive the primary.
    package var others: [Other] = []
    /// Said once, on transitions only.
    package var events: [EventDraft] = []
    /// When to look again though nothing changed.
    package var wakeAt: Instant?
    /// Whether the primary itself has served its time and is to be deleted.
    package var isExpired = false

    package init() {}

    /// Looks again at `instant`, or earlier where something earlier is wanted already.
    package mutating func wake(at instant: Instant) { wakeAt = min(wakeAt ?? instant, instant) }
}

/// A document that a primary is to have. Immutable.
package struct Child: Sendable, Equatable {
    package enum Intent: Sendable, Equatable {
        /// Holds exactly these fields, by server-side apply.
        case apply(Document)
        /// Is there; once it is, its content is left alone.
        case create(Document)
        /// Is left as it is.
        case keep
    }

    package let key: ObjectKey
    package let intent: Intent
    /// Why it is wanted so, for the log: the cause of a difference.
    package let reason: String

    package init(_ key: ObjectKey, _ intent: Intent, because reason: String) {
        self.key = key
        self.intent = intent
        self.reason = reason
    }

    package static func apply(_ resource: GroupResource, _ document: Document, because reason: String) -> Child {
        Child(
            ObjectKey(resource, namespace: document.namespace, name: document.name), .apply(document), because: reason)
    }

    package static func create(_ resource: GroupResource, _ document: Document, because reason: String) -> Child {
        Child(
            ObjectKey(resource, namespace: document.namespace, name: document.name), .create(document), because: reason)
    }

    package static func keep(_ resource: GroupResource, _ document: Document, because reason: String) -> Child {
        Child(ObjectKey(resource, namespace: document.namespace, name: document.name), .keep, because: reason)
    }
}

/// A document that is no child: the primary does not control it, and it stays when it is no longer mentioned. Immutable.
package struct Other: Sendable, Equatable {
    package enum Intent: Sendable, Equatable {
        /// Is there; once it is, its content is left alone.
        case create(Document)
        /// Holds exactly these fields of this loop, by server-side apply. Only for what is there.
        case apply(Document)
        /// Is gone, as long as it is the one with this UID; these finalizers are taken from it first.
        case delete(uid: String, releasing: [String])
    }

    package let key: ObjectKey
    package let intent: Intent
    /// Why it is wanted so, for the log.
    package let reason: String

    package init(_ resource: GroupResource, _ document: Document, _ intent: Intent, because reason: String) {
        key = ObjectKey(resource, namespace: document.namespace, name: document.name)
        self.intent = intent
        self.reason = reason
    }
}

/// A transition worth telling people about; becomes a core/v1 Event about the primary. Two drafts with the same reason and
/// `occurrence` are the same event and are written once.
package struct EventDraft: Sendable, Equatable {
    package let isWarning: Bool
    package let reason: String
    package let message: String
    /// Tells one occurrence from the next, for example the revision or generation it is about.
    package let occurrence: String

    package init(_ reason: String, _ message: String, occurrence: String, isWarning: Bool = false) {
        self.reason = reason
        self.message = message
        self.occurrence = occurrence
        self.isWarning = isWarning
    }
}
