internal import Client
package import ControlLoop
package import Documents

/// A PersistentVolumeClaim as the loops read it.
package struct ClaimView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }

    package static let protection = "kubernetes.io/pvc-protection"
    package static let provisioner = "espalier.dev/local"

    /// Empty while it is not bound.
    package var volumeName: String { document.spec.text("volumeName") }
    /// `nil` where none is named, which is not the same as the empty name: that stands for volumes without a class.
    package var storageClassName: String? { document.spec["storageClassName"]?.stringValue }
    package var accessModes: [String] { document.spec.elements("accessModes").map(\.text) }
    package var volumeMode: String { document.spec["volumeMode"]?.stringValue ?? "Filesystem" }
    package var request: Quantity? {
        document.spec["resources"]?["requests"]?["storage"].flatMap(Quantity.init(json:))
    }
    package var wasBound: Bool { document.status.text("phase") == "Bound" }

    /// Names of the claims a pod mounts.
    package static func claims(of pod: Document) -> [String] {
        pod.spec.elements("volumes").compactMap { $0["persistentVolumeClaim"]?["claimName"]?.stringValue }
    }

    /// Whether a pod that has not ended mounts it.
    package func isInUse(_ view: View) -> Bool {
        view.list(Kinds.pod.resource, document.namespace).contains { pod in
            !PodView(pod).isOver && Self.claims(of: pod).contains(document.name)
        }
    }

    /// The volume that is made for it where none is there.
    package var ownVolumeName: String { "pvc-\(document.uid)" }

    package var reference: JSON {
        [
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": .string(document.namespace),
            "name": .string(document.name), "uid": .string(document.uid),
        ]
    }
}

extension Quantity {
    init?(json: JSON) {
        guard let text = json.stringValue ?? json.integerValue.map(String.init) else { return nil }
        self.init(parsing: text)
    }
}
