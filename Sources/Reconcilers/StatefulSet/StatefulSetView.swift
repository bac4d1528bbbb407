internal import ControlLoop
package import Documents
internal import Seams

/// A StatefulSet as its loop reads it, with the defaults of apps/v1.
package struct StatefulSetView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }

    package static let podName = "statefulset.kubernetes.io/pod-name"
    package static let podIndex = "apps.kubernetes.io/pod-index"
    package static let revisionLabel = "controller-revision-hash"

    private var spec: JSON { document.spec }
    package var replicas: Int { max(0, min(spec.integer("replicas") ?? 1, ReconcilerLimits.replicas)) }
    /// The ordinals of its pods.
    package var ordinals: Range<Int> {
        let start = max(0, min(spec["ordinals"]?.integer("start") ?? 0, Int(Int32.max)))
        return start..<(start + replicas)
    }
    package var isParallel: Bool { spec.text("podManagementPolicy") == "Parallel" }
    package var updatesOnDelete: Bool { spec["updateStrategy"]?.text("type") == "OnDelete" }
    /// Pods whose place is below this keep the revision they have.
    package var partition: Int { max(0, spec["updateStrategy"]?["rollingUpdate"]?.integer("partition") ?? 0) }
    package var revisionHistoryLimit: Int { max(0, spec.integer("revisionHistoryLimit") ?? 10) }
    package var minReadySeconds: Int { spec.integer("minReadySeconds") ?? 0 }
    package var claimTemplates: [JSON] { spec.elements("volumeClaimTemplates") }

    /// How many pods an update may take away at a time.
    package var maxUnavailable: Int {
        let value = spec["updateStrategy"]?["rollingUpdate"]?["maxUnavailable"]
        return value == nil ? 1 : max(1, Share.resolve(value, of: replicas, roundsUp: true, unset: "1"))
    }

    package func deletesClaims(when: String) -> Bool {
        spec["persistentVolumeClaimRetentionPolicy"]?.text(when) == "Delete"
    }

    package func podName(_ ordinal: Int) -> String { "\(document.name)-\(ordinal)" }
    package func claimName(_ template: JSON, _ ordinal: Int) -> String {
        "\(template["metadata"]?.text("name") ?? "")-\(podName(ordinal))"
    }

    /// The ordinal in the name of a document that is named after a pod of the set, behind `prefix`.
    package func ordinal(of name: String, prefix: String = "") -> Int? {
        let start = "\(prefix)\(document.name)-"
        guard name.hasPrefix(start), name.utf8.count <= start.utf8.count + 10 else { return nil }
        let digits = name.dropFirst(start.count)
        guard let ordinal = Int(digits), ordinal >= 0, String(ordinal) == digits else { return nil }
        return ordinal
    }

    /// The pod of an ordinal, by the template of a revision.
    package func pod(_ ordinal: Int, template: JSON, revision: String) -> Document {
        let name = podName(ordinal)
        var pod = Kinds.pod.document(namespace: document.namespace, name: name)
        var labels = template["metadata"]?["labels"] ?? [:]
        labels[Self.podName] = .string(name)
        labels[Self.podIndex] = .string(String(ordinal))
        labels[Self.revisionLabel] = .string(revision)
        pod.metadata["labels"] = labels
        pod.metadata["annotations"] = template["metadata"]?["annotations"]
        var spec = template["spec"] ?? [:]
        spec["hostname"] = .string(name)
        if let service = document.spec["serviceName"]?.stringValue, !service.isEmpty {
            spec["subdomain"] = .string(service)
        }
        if !claimTemplates.isEmpty {
            let claimed = claimTemplates.map { $0["metadata"]?.text("name") ?? "" }
            let volumes = spec.elements("volumes").filter { !claimed.contains($0.text("name")) }
            let own = claimTemplates.map { claim -> JSON in
                [
                    "name": .string(claim["metadata"]?.text("name") ?? ""),
                    "persistentVolumeClaim": ["claimName": .string(claimName(claim, ordinal))],
                ]
            }
            spec["volumes"] = .array(own + volumes)
        }
        pod["spec"] = spec
        return pod
    }

    /// The claim of a template for an ordinal. It bears the labels by which the set finds its pods.
    package func claim(_ template: JSON, _ ordinal: Int) -> Document {
        var claim = Kinds.claim.document(namespace: document.namespace, name: claimName(template, ordinal))
        var labels = template["metadata"]?["labels"] ?? [:]
        for label in document.spec["selector"]?["matchLabels"]?.objectValue?.members ?? [] {
            labels[label.key] = label.value
        }
        claim.metadata["labels"] = labels
        claim.metadata["annotations"] = template["metadata"]?["annotations"]
        claim["spec"] = template["spec"]
        return claim
    }
}
