package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Finds a claim its volume, or has one made of the class `espalier.dev/local`. Who belongs to whom is decided by the
/// volume's `claimRef` alone (`VolumeReconciler`); the claim follows. A claim that pods use stays until they have ended.
package struct ClaimReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.claim }
    package var owner: FieldOwner { FieldOwner(loop: "persistentvolumeclaim") }

    package var interests: [Interest] {
        [
            .reference(Kinds.volume.resource) { volume, view in
                let waiting = view.all(Kinds.claim.resource).filter {
                    $0.spec.text("volumeName").isEmpty || $0.spec.text("volumeName") == volume.name
                }
                return waiting.map(PrimaryName.init)
            },
            .reference(Kinds.storageClass.resource) { _, view in
                view.all(Kinds.claim.resource).filter { $0.spec.text("volumeName").isEmpty }.map(PrimaryName.init)
            },
            .reference(Kinds.pod.resource) { pod, _ in
                ClaimView.claims(of: pod).map { PrimaryName(namespace: pod.namespace, name: $0) }
            },
        ]
    }

    package func reconcile(_ observed: Observation<ClaimView>, now: Instant) -> Outcome {
        let claim = observed.primary
        var outcome = Outcome()
        if !claim.volumeName.isEmpty { outcome.spec = ["volumeName": .string(claim.volumeName)] }
        if claim.document.isBeingDeleted {
            // A document that is being deleted takes no new finalizer.
            let isHeld = claim.document.finalizers.contains(ClaimView.protection) && claim.isInUse(observed.view)
            if isHeld { outcome.finalizers = [ClaimView.protection] }
            return outcome
        }
        outcome.finalizers = [ClaimView.protection]
        var pass = ClaimPass(claim, observed.view, observed.refusals, outcome)
        pass.run()
        return pass.outcome
    }
}

/// One decision about a claim that is to have a volume. Pure.
private struct ClaimPass {
    private let claim: ClaimView
    private let view: View
    private let refusals: [Refusal]
    private(set) var outcome: Outcome

    init(_ claim: ClaimView, _ view: View, _ refusals: [Refusal], _ outcome: Outcome) {
        (self.claim, self.view, self.refusals, self.outcome) = (claim, view, refusals, outcome)
    }

    mutating func run() {
        outcome.status = ["phase": "Pending"]
        guard let volume = VolumeView.best(for: claim, view) else { return withoutVolume() }
        // The volume is to name the claim first.
        guard volume.isReserved(for: claim) else { return }
        outcome.spec = ["volumeName": .string(volume.document.name)]
        guard claim.volumeName == volume.document.name,
            volume.claimReference?.text("uid") == claim.document.uid
        else { return }
        outcome.status = [
            "phase": "Bound", "accessModes": volume.document.spec["accessModes"] ?? [],
            "capacity": volume.document.spec["capacity"] ?? [:],
        ]
    }

    private mutating func withoutVolume() {
        if !claim.volumeName.isEmpty {
            let volume = view.get(Kinds.volume.resource, "", claim.volumeName)
            if claim.wasBound || claim.document.status.text("phase") == "Lost" {
                outcome.status = ["phase": "Lost"]
                let message =
                    volume == nil
                    ? "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
                    : "Two claims are bound to the same volume, this one is bound incorrectly"
                say(volume == nil ? "ClaimLost" : "ClaimMisbound", message, isWarning: true)
            } else if volume != nil {
                say("FailedBinding", "volume \"\(claim.volumeName)\" already bound to a different claim.")
            }
            return
        }
        guard let name = claim.storageClassName ?? defaultClass else {
            return say(
                "FailedBinding", "no persistent volumes available for this claim and no storage class is set")
        }
        if claim.storageClassName == nil { outcome.spec = ["storageClassName": .string(name)] }
        if name.isEmpty {
            return say(
                "FailedBinding", "no persistent volumes available for this claim and no storage class is set")
        }
        guard let storageClass = view.get(Kinds.storageClass.resource, "", name) else {
            return say("ProvisioningFailed", "storageclass.storage.k8s.io \"\(name)\" not found", isWarning: true)
        }
        if storageClass.json.text("volumeBindingMode") == "WaitForFirstConsumer", !claim.isInUse(view) {
            return say("WaitForFirstConsumer", "waiting for first consumer to be created before binding")
        }
        provision(storageClass)
    }

    private var defaultClass: String? {
        view.all(Kinds.storageClass.resource).filter {
            $0.annotations["storageclass.kubernetes.io/is-default-class"] == "true"
        }.max { ($0.creationTimestamp, $1.name) < ($1.creationTimestamp, $0.name) }?.name
    }

    private mutating func provision(_ storageClass: Document) {
        let provisioner = storageClass.json.text("provisioner")
        if provisioner != ClaimView.provisioner {
            return say(
                "ExternalProvisioning",
                "Waiting for a volume to be created either by the external provisioner '\(provisioner)' or manually by "
                    + "the system administrator. If volume creation is delayed, please verify that the provisioner is "
                    + "running and correctly registered.")
        }
        if claim.volumeMode != "Filesystem" || claim.document.spec["dataSource"] != nil
            || claim.document.spec["dataSourceRef"] != nil
        {
            return say(
                "ProvisioningFailed",
                "failed to provision volume with StorageClass \"\(storageClass.name)\": \(provisioner) makes empty "
                    + "folders: volumeMode must be Filesystem, and dataSource must not be set", isWarning: true)
        }
        guard let request = claim.request else { return }
        var volume = Kinds.volume.document(namespace: "", name: claim.ownVolumeName)
        volume.metadata["annotations"] = [VolumeView.provisionedBy: .string(provisioner)]
        volume["spec"] = [
            "capacity": ["storage": .string(request.description)],
            "accessModes": claim.document.spec["accessModes"] ?? [], "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": storageClass["reclaimPolicy"] ?? "Delete",
            "storageClassName": .string(storageClass.name), "claimRef": claim.reference,
            "local": ["path": .string("volumes/\(claim.ownVolumeName)")],
        ]
        outcome.others = [Other(Kinds.volume.resource, volume, .create(volume), because: "it is claimed")]
        if let refusal = refusals.first {
            return say(
                "ProvisioningFailed",
                "failed to provision volume with StorageClass \"\(storageClass.name)\": \(refusal.message)",
                isWarning: true)
        }
        say("ProvisioningSucceeded", "Successfully provisioned volume \(claim.ownVolumeName)")
    }

    private mutating func say(_ reason: String, _ message: String, isWarning: Bool = false) {
        outcome.events.append(
            EventDraft(reason, message, occurrence: "\(claim.document.generation)", isWarning: isWarning))
    }
}
