internal import Client
package import ControlLoop
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

    /// Why it is not ready, in one sentence; `nil` where it is, or where nothing is said but that it is on its way.
    package var trouble: String? {
        if isReady || isTerminating { return nil }
        if let scheduled = document.condition("PodScheduled"), scheduled.text("status") == "False" {
            return scheduled["message"]?.stringValue
        }
        let container = document.status.elements("containerStatuses").first
        if let waiting = container?["state"]?["waiting"], waiting["message"] != nil {
            return "\(waiting.text("reason")): \(waiting.text("message"))"
        }
        let message = document.condition("Ready")?["message"]?.stringValue ?? ""
        // A kubelet names the containers in brackets and no cause.
        if !message.isEmpty, !message.hasSuffix("]") { return message }
        if let ended = container?["state"]?["terminated"] ?? container?["lastState"]?["terminated"] {
            let words = ended["message"]?.stringValue.map { ": \($0)" } ?? ""
            return "it ended with exit code \(ended.integer("exitCode") ?? 0)\(words)"
        }
        return nil
    }

    /// What holds up the pods of a service, as an addition to a message; empty where nothing is known.
    package static func trouble(of service: LandscapeRevision.Service, in namespace: String, _ view: View) -> String {
        let pods = view.list(Kinds.pod.resource, namespace).filter { pod in
            pod.labels[Label.component] == service.name && pod.labels[Label.hash] == service.hash
        }
        return pods.lazy.compactMap { PodView($0).trouble }.first.map { " (\($0))" } ?? ""
    }

    /// When the last of its containers ended, or else when it was told to go or was last heard of; `nil` while it runs.
    package var finished: Instant? {
        guard isOver || isTerminating else { return nil }
        let ends = document.status.elements("containerStatuses").compactMap {
            $0["state"]?["terminated"]?["finishedAt"]?.stringValue.flatMap(Instant.init(rfc3339:))
        }
        let transition = document.condition("Ready")?["lastTransitionTime"]?.stringValue
        return ends.max() ?? (document.deletionTimestamp ?? transition).flatMap(Instant.init(rfc3339:)) ?? created
    }

    package var created: Instant? { Instant(rfc3339: document.creationTimestamp) }

    /// When it counts as available, having been ready for `seconds`; `nil` where it is not ready.
    package func available(after seconds: Int) -> Instant? {
        guard isReady else { return nil }
        return (readySince ?? Instant(nanoseconds: 0)) + .seconds(seconds)
    }
}
