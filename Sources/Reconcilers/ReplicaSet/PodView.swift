internal import ControlLoop
package import Documents
package import Seams

/// A Pod as the loops read it.
package struct PodView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }

    package var phase: String { document.status.text("phase") }
    /// Its processes have ended and will not come back.
    package var isOver: Bool { phase == "Failed" || phase == "Succeeded" }
    package var isReady: Bool { document.isTrue("Ready") }
    package var isTerminating: Bool { document.isBeingDeleted }

    /// Since when it is ready; `nil` where it is not.
    package var readySince: Instant? {
        guard isReady else { return nil }
        return document.condition("Ready")?["lastTransitionTime"]?.stringValue.flatMap(Instant.init(rfc3339:))
    }

    package var created: Instant? { Instant(rfc3339: document.creationTimestamp) }

    /// When it counts as available, having been ready for `seconds`; `nil` where it is not ready.
    package func available(after seconds: Int) -> Instant? {
        guard isReady else { return nil }
        return (readySince ?? Instant(nanoseconds: 0)) + .seconds(seconds)
    }
}
