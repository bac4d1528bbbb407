internal import ControlLoop
package import Documents

/// A DaemonSet as its loop reads it, with the defaults of apps/v1.
package struct DaemonSetView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }

    private var spec: JSON { document.spec }
    package var template: JSON { spec["template"] ?? [:] }
    package var updatesOnDelete: Bool { spec["updateStrategy"]?.text("type") == "OnDelete" }
    package var revisionHistoryLimit: Int { max(0, spec.integer("revisionHistoryLimit") ?? 10) }
    package var minReadySeconds: Int { spec.integer("minReadySeconds") ?? 0 }

    /// How many of `count` pods an update may take away at a time.
    package func maxUnavailable(of count: Int) -> Int {
        let value = spec["updateStrategy"]?["rollingUpdate"]?["maxUnavailable"]
        return max(1, Share.resolve(value, of: count, roundsUp: true, unset: "1"))
    }

    /// Whether a pod of it belongs on the node.
    package func runs(on node: Document) -> Bool {
        if node.isBeingDeleted { return false }
        let labels = node.labels
        let wanted = template["spec"]?["nodeSelector"]?.objectValue?.members ?? []
        return wanted.allSatisfy { labels[$0.key] == $0.value.stringValue }
    }
}
