package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Gives volumes to claims: a free volume takes the claim it is the best for, by `claimRef`, which nobody else writes. One
/// whose claim has gone is released, and goes too where its policy says so. The node that holds the folder of a volume
/// of ours (`spec.local.path`, below its data directory) makes it for the first pod and removes it after the volume.
package struct VolumeReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.volume }
    package var owner: FieldOwner { FieldOwner(loop: "persistentvolume") }

    package var interests: [Interest] {
        [
            .reference(Kinds.claim.resource) { claim, view in
                let name = ClaimView(claim).volumeName
                return view.all(Kinds.volume.resource).filter {
                    name.isEmpty || $0.name == name || $0.spec["claimRef"]?.text("uid") == claim.uid
                }.map(PrimaryName.init)
            },
            // Whether volumes of a class may grow.
            .reference(Kinds.storageClass.resource) { storageClass, view in
                view.all(Kinds.volume.resource).filter { $0.spec.text("storageClassName") == storageClass.name }
                    .map(PrimaryName.init)
            },
        ]
    }

    package func reconcile(_ observed: Observation<VolumeView>, now: Instant) -> Outcome {
        let volume = observed.primary
        var outcome = Outcome()
        guard let reference = volume.claimReference else {
            outcome.status = status("Available", volume, now)
            if !volume.document.isBeingDeleted, let claim = taker(of: volume, observed.view) {
                outcome.spec = ["claimRef": claim.reference]
            }
            return outcome
        }
        let found = observed.view.get(Kinds.claim.resource, reference.text("namespace"), reference.text("name"))
            .map(ClaimView.init)
        guard let claim = found, volume.isReserved(for: claim) else {
            // A claim that an administrator names may come yet.
            if reference.text("uid").isEmpty {
                outcome.status = status("Available", volume, now)
                return outcome
            }
            return released(volume, reference, now)
        }
        if !claim.volumeName.isEmpty, claim.volumeName != volume.document.name {
            // It was faster with another volume: this one is free again, or was made for nothing.
            outcome.isExpired = volume.isOurs && volume.document.name == claim.ownVolumeName
            outcome.status = status("Available", volume, now)
            return outcome
        }
        let isBound = claim.volumeName == volume.document.name
        let mayBeHeld = !volume.document.isBeingDeleted || volume.document.finalizers.contains(VolumeView.protection)
        outcome.finalizers = isBound && mayBeHeld ? [VolumeView.protection] : []
        outcome.spec = ["claimRef": claim.reference]
        if let capacity = grown(volume, claim, observed.view) { outcome.spec?["capacity"] = capacity }
        outcome.status = status(isBound ? "Bound" : "Available", volume, now)
        return outcome
    }

    /// The claim that this free volume is the best for.
    private func taker(of volume: VolumeView, _ view: View) -> ClaimView? {
        view.all(Kinds.claim.resource).map(ClaimView.init).first { claim in
            guard !claim.document.isBeingDeleted, !claim.wasBound else { return false }
            return VolumeView.best(for: claim, view)?.document.uid == volume.document.uid
        }
    }

    private func released(_ volume: VolumeView, _ reference: JSON, _ now: Instant) -> Outcome {
        var outcome = Outcome()
        outcome.spec = ["claimRef": reference]
        if volume.isOurs, let capacity = volume.document.spec["capacity"] { outcome.spec?["capacity"] = capacity }
        outcome.status = status("Released", volume, now)
        // Said first, done then: nothing goes on the strength of one look.
        let isSaid = volume.document.status.text("phase") == "Released"
        outcome.isExpired = isSaid && volume.isDeletedAfterUse && volume.isOurs
        return outcome
    }

    /// The capacity of a volume of ours: what its claim asks for, where that is more and its class lets volumes grow.
    private func grown(_ volume: VolumeView, _ claim: ClaimView, _ view: View) -> JSON? {
        guard volume.isOurs, let has = volume.capacity else { return nil }
        let storageClass = view.get(Kinds.storageClass.resource, "", volume.storageClassName)
        guard let wants = claim.request, wants > has, storageClass?["allowVolumeExpansion"]?.boolValue ?? false else {
            return volume.document.spec["capacity"]
        }
        return ["storage": .string(wants.description)]
    }

    private func status(_ phase: String, _ volume: VolumeView, _ now: Instant) -> JSON {
        let before = volume.document.status
        let since = before.text("phase") == phase ? before["lastPhaseTransitionTime"] : nil
        return ["phase": .string(phase), "lastPhaseTransitionTime": since ?? .string(now.rfc3339)]
    }
}
