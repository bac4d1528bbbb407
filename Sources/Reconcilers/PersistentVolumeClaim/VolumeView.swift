internal import Client
package import ControlLoop
package import Documents

/// A PersistentVolume as the loops read it, and the rules by which claims and volumes find each other.
package struct VolumeView: DocumentView {
    package let document: Document
    package init(_ document: Document) { self.document = document }

    package static let protection = "kubernetes.io/pv-protection"
    package static let provisionedBy = "pv.kubernetes.io/provisioned-by"

    package var claimReference: JSON? { document.spec["claimRef"] }
    package var storageClassName: String { document.spec.text("storageClassName") }
    package var capacity: Quantity? { document.spec["capacity"]?["storage"].flatMap(Quantity.init(json:)) }
    package var isOurs: Bool { document.annotations[Self.provisionedBy] == ClaimView.provisioner }
    package var isDeletedAfterUse: Bool { document.spec.text("persistentVolumeReclaimPolicy") == "Delete" }

    /// Whether it is taken for this claim: by UID, or by name, as an administrator writes it.
    package func isReserved(for claim: ClaimView) -> Bool {
        guard let reference = claimReference, reference.text("name") == claim.document.name,
            reference.text("namespace") == claim.document.namespace
        else { return false }
        let uid = reference.text("uid")
        return uid.isEmpty || uid == claim.document.uid
    }

    /// Whether it is what the claim asks for.
    package func fits(_ claim: ClaimView) -> Bool {
        guard let capacity, let request = claim.request, !document.isBeingDeleted else { return false }
        let modes = document.spec.elements("accessModes").map(\.text)
        let mode = document.spec["volumeMode"]?.stringValue ?? "Filesystem"
        return request <= capacity && claim.accessModes.allSatisfy(modes.contains) && mode == claim.volumeMode
            && storageClassName == claim.storageClassName ?? "" && isSelected(by: claim.document.spec["selector"])
    }

    private func isSelected(by selector: JSON?) -> Bool {
        guard let selector else { return true }
        // What is no selector was refused when the claim was written.
        guard let parsed = try? LabelSelector(json: selector) else { return false }
        return parsed.matches(document.labels)
    }

    /// The smallest free volume that fits a claim; of several, the first by name. A volume that names the claim, or that
    /// the claim names, comes before all others.
    package static func best(for claim: ClaimView, _ view: View) -> VolumeView? {
        let volumes = view.all(Kinds.volume.resource).map(VolumeView.init)
        if !claim.volumeName.isEmpty {
            return volumes.first {
                $0.document.name == claim.volumeName && ($0.claimReference == nil || $0.isReserved(for: claim))
            }
        }
        if let reserved = volumes.first(where: { $0.isReserved(for: claim) && !$0.document.isBeingDeleted }) {
            return reserved
        }
        return volumes.filter { $0.claimReference == nil && $0.fits(claim) }.min { left, right in
            guard let a = left.capacity, let b = right.capacity, a != b else {
                return left.document.name < right.document.name
            }
            return a < b
        }
    }
}
