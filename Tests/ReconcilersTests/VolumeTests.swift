import Client
import ControlLoop
import Documents
import Reconcilers
import Seams
import Testing

/// How claims and volumes find each other, one observation at a time.
struct VolumeTests {
    private func claim(_ name: String = "data", _ spec: JSON = [:], _ metadata: JSON = [:], phase: String = "Pending")
        -> Document
    {
        var whole: JSON = [
            "accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]],
            "storageClassName": "espalier-local",
        ]
        for member in spec.objectValue?.members ?? [] { whole[member.key] = member.value }
        return Scene.document(
            Kinds.claim, name, ["spec": whole, "metadata": metadata, "status": ["phase": .string(phase)]])
    }

    private func volume(_ name: String, _ spec: JSON = [:], _ members: JSON = [:]) -> Document {
        var whole: JSON = [
            "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "storageClassName": "slow",
            "persistentVolumeReclaimPolicy": "Retain", "local": ["path": "/srv"],
        ]
        for member in spec.objectValue?.members ?? [] { whole[member.key] = member.value }
        var members = members
        members["spec"] = whole
        return Scene.document(Kinds.volume, name, members)
    }

    private func scene(_ documents: [(ResourceInformation, Document)], mode: String = "Immediate") -> Scene {
        var scene = Scene()
        let storageClass = Scene.document(
            Kinds.storageClass, "espalier-local",
            [
                "provisioner": "espalier.dev/local", "reclaimPolicy": "Delete", "allowVolumeExpansion": true,
                "volumeBindingMode": .string(mode),
                "metadata": ["annotations": ["storageclass.kubernetes.io/is-default-class": "true"]],
            ])
        scene.put(Kinds.storageClass, storageClass)
        for (kind, document) in documents { scene.put(kind, document) }
        return scene
    }

    @Test func aClaimOfOurClassGetsAVolumeOfItsOwn() throws {
        let outcome = scene([(Kinds.claim, claim())]).decide(ClaimReconciler(), "data")
        let made = try #require(outcome.made.first)
        #expect(made.name == "pvc-uid-data" && outcome.reasons == ["ProvisioningSucceeded"])
        #expect(made.spec["capacity"] == ["storage": "1Gi"] && made.spec["claimRef"]?["uid"] == "uid-data")
        #expect(made.spec["local"] == ["path": "volumes/pvc-uid-data"])
        #expect(made.spec["persistentVolumeReclaimPolicy"] == "Delete")
        #expect(outcome.status == ["phase": "Pending"] && outcome.finalizers == ["kubernetes.io/pvc-protection"])
        // The volume is there: the claim names it, and is bound.
        var made2 = made
        made2.metadata["uid"] = "uid-v"
        let second = scene([(Kinds.claim, claim()), (Kinds.volume, made2)]).decide(ClaimReconciler(), "data")
        #expect(second.spec == ["volumeName": "pvc-uid-data"] && second.made.isEmpty)
        let named = claim("data", ["volumeName": "pvc-uid-data"])
        let bound = scene([(Kinds.claim, named), (Kinds.volume, made2)])
        let third = bound.decide(ClaimReconciler(), "data")
        #expect(third.status?["phase"] == "Bound" && third.status?["capacity"] == ["storage": "1Gi"])
        let volume = bound.decide(VolumeReconciler(), "pvc-uid-data", namespace: "")
        #expect(volume.status?["phase"] == "Bound" && volume.finalizers == ["kubernetes.io/pv-protection"])
    }

    @Test func aClaimWithoutAClassTakesTheDefault() throws {
        let outcome = scene([(Kinds.claim, claim("data", ["storageClassName": .null]))])
            .decide(ClaimReconciler(), "data")
        #expect(outcome.spec == ["storageClassName": "espalier-local"])
        #expect(outcome.made.first?.spec["storageClassName"] == "espalier-local")
    }

    @Test func theSmallestVolumeThatFitsIsTaken() {
        let volumes: [(ResourceInformation, Document)] = [
            (Kinds.volume, volume("a", ["capacity": ["storage": "500Mi"]])),
            (Kinds.volume, volume("b", ["capacity": ["storage": "3Gi"]])),
            (Kinds.volume, volume("c", ["capacity": ["storage": "2Gi"]])),
            (Kinds.volume, volume("d", ["accessModes": ["ReadOnlyMany"]])),
            (Kinds.volume, volume("e", ["claimRef": ["namespace": "x", "name": "y", "uid": "z"]])),
            (Kinds.claim, claim("data", ["storageClassName": "slow"])),
        ]
        let scene = self.scene(volumes)
        #expect(scene.decide(VolumeReconciler(), "b", namespace: "").spec == nil)
        let taken = scene.decide(VolumeReconciler(), "c", namespace: "").spec
        #expect(taken?["claimRef"]?["uid"] == "uid-data")
        // The claim waits for the volume to say so.
        #expect(scene.decide(ClaimReconciler(), "data").spec == nil)
        #expect(scene.decide(ClaimReconciler(), "data").made.isEmpty)
    }

    @Test func labelsSelect() {
        let selector: JSON = ["storageClassName": "slow", "selector": ["matchLabels": ["disk": "ssd"]]]
        let scene = self.scene([
            (Kinds.volume, volume("a")), (Kinds.volume, volume("b", [:], ["metadata": ["labels": ["disk": "ssd"]]])),
            (Kinds.claim, claim("data", selector)),
        ])
        #expect(scene.decide(VolumeReconciler(), "a", namespace: "").spec == nil)
        #expect(scene.decide(VolumeReconciler(), "b", namespace: "").spec != nil)
    }

    @Test func aVolumeWhoseClaimHasGone() {
        let reference: JSON = [
            "namespace": "team-a", "name": "data", "uid": "uid-data", "kind": "PersistentVolumeClaim",
        ]
        func outcome(_ policy: String, _ phase: String, isOurs: Bool = true) -> Outcome {
            let annotations: JSON = isOurs ? ["pv.kubernetes.io/provisioned-by": "espalier.dev/local"] : [:]
            let document = volume(
                "v", ["claimRef": reference, "persistentVolumeReclaimPolicy": .string(policy)],
                ["status": ["phase": .string(phase)], "metadata": ["annotations": annotations]])
            return self.scene([(Kinds.volume, document)]).decide(VolumeReconciler(), "v", namespace: "")
        }
        #expect(outcome("Delete", "Bound").status?["phase"] == "Released")
        #expect(!outcome("Delete", "Bound").isExpired && outcome("Delete", "Released").isExpired)
        #expect(!outcome("Retain", "Released").isExpired && !outcome("Delete", "Released", isOurs: false).isExpired)
        // A claim of the same name is another one.
        let other = claim("data", [:], ["uid": "uid-other"])
        let scene = self.scene([(Kinds.claim, other), (Kinds.volume, volume("v", ["claimRef": reference]))])
        #expect(scene.decide(VolumeReconciler(), "v", namespace: "").status?["phase"] == "Released")
    }

    @Test func grows() {
        let reference: JSON = ["namespace": "team-a", "name": "data", "uid": "uid-data"]
        let volume = volume(
            "v", ["claimRef": reference, "storageClassName": "espalier-local"],
            ["metadata": ["annotations": ["pv.kubernetes.io/provisioned-by": "espalier.dev/local"]]])
        let wants = claim("data", ["volumeName": "v", "resources": ["requests": ["storage": "4Gi"]]])
        let outcome = scene([(Kinds.claim, wants), (Kinds.volume, volume)])
            .decide(VolumeReconciler(), "v", namespace: "")
        #expect(outcome.spec?["capacity"] == ["storage": "4Gi"])
    }

    @Test func aClaimInUseStays() {
        let metadata: JSON = [
            "deletionTimestamp": "2026-09-01T00:00:00Z", "finalizers": ["kubernetes.io/pvc-protection"],
        ]
        let going = claim("data", ["volumeName": "v"], metadata)
        func outcome(_ phase: String) -> Outcome {
            let pod = Scene.document(
                Kinds.pod, "db-0",
                [
                    "spec": ["volumes": [["name": "data", "persistentVolumeClaim": ["claimName": "data"]]]],
                    "status": ["phase": .string(phase)],
                ])
            return self.scene([(Kinds.claim, going), (Kinds.pod, pod)]).decide(ClaimReconciler(), "data")
        }
        #expect(outcome("Running").finalizers == ["kubernetes.io/pvc-protection"])
        #expect(outcome("Succeeded").finalizers.isEmpty)
    }

    @Test func whatCannotBeMadeIsSaid() {
        let block = scene([(Kinds.claim, claim("data", ["volumeMode": "Block"]))]).decide(ClaimReconciler(), "data")
        #expect(block.reasons == ["ProvisioningFailed"] && block.made.isEmpty)
        let unknown = scene([(Kinds.claim, claim("data", ["storageClassName": "gold"]))])
            .decide(ClaimReconciler(), "data")
        #expect(unknown.events.map(\.message) == ["storageclass.storage.k8s.io \"gold\" not found"])
        let waiting = scene([(Kinds.claim, claim())], mode: "WaitForFirstConsumer").decide(ClaimReconciler(), "data")
        #expect(waiting.reasons == ["WaitForFirstConsumer"] && waiting.made.isEmpty)
        let lost = scene([(Kinds.claim, claim("data", ["volumeName": "gone"], phase: "Bound"))])
            .decide(ClaimReconciler(), "data")
        #expect(lost.status == ["phase": "Lost"] && lost.reasons == ["ClaimLost"])
    }
}
