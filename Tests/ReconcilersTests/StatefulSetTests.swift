import Client
import ControlLoop
import Documents
import Reconcilers
import Seams
import Testing

/// A StatefulSet's decisions, one observation at a time. `Stage` plays the node and the API between them.
struct StatefulSetTests {
    /// A set with the pods, claims and revisions that its decisions have come to.
    private struct Stage {
        var scene = Scene()
        var set: Document
        var pods: [String: Document] = [:]
        private var counter = 0

        init(_ spec: JSON) {
            var spec = spec
            if spec["template"] == nil { spec["template"] = StatefulSetTests.template("1") }
            spec["serviceName"] = "db"
            spec["selector"] = ["matchLabels": ["app": "db"]]
            set = Scene.document(Kinds.statefulSet, "db", ["spec": spec])
        }

        /// One decision, and what comes of it: pods it leaves out go at once, pods it makes are pending.
        @discardableResult
        mutating func step() -> Outcome {
            scene.put(Kinds.statefulSet, set)
            let outcome = scene.decide(StatefulSetReconciler(), "db")
            let wanted = Set(outcome.children.map(\.key.name))
            for name in pods.keys where !wanted.contains(name) { remove(name) }
            for child in outcome.children {
                guard case .create(let document) = child.intent else {
                    if case .apply(let document) = child.intent { put(Kinds.controllerRevision, document) }
                    continue
                }
                put(child.key.resource == Kinds.pod.resource ? Kinds.pod : Kinds.controllerRevision, document)
            }
            for other in outcome.others {
                if case .create(let document) = other.intent { put(Kinds.claim, document, isOwned: false) }
            }
            set["status"] = outcome.status
            return outcome
        }

        private mutating func put(_ kind: ResourceInformation, _ document: Document, isOwned: Bool = true) {
            counter += 1
            var document = document
            document.metadata["uid"] = .string("uid-\(counter)")
            document.metadata["creationTimestamp"] = .string(scene.now.rfc3339)
            if isOwned { document.metadata["ownerReferences"] = [OwnerReference(controller: set).json] }
            if kind == Kinds.pod { pods[document.name] = document }
            scene.put(kind, document)
        }

        mutating func remove(_ name: String) {
            guard let pod = pods.removeValue(forKey: name) else { return }
            scene.remove(Kinds.pod, pod)
        }

        mutating func set(_ name: String, phase: String = "Running", isReady: Bool = true) {
            guard var pod = pods[name] else { return }
            pod["status"] = [
                "phase": .string(phase),
                "conditions": [
                    [
                        "type": "Ready", "status": isReady ? "True" : "False",
                        "lastTransitionTime": .string(scene.now.rfc3339),
                    ]
                ],
            ]
            pods[name] = pod
            scene.put(Kinds.pod, pod)
        }

        /// Steps until every pod that is made serves and nothing moves any more; answers the names in the order in which
        /// they were made (`+`) and went (`-`).
        mutating func settle() -> [String] {
            var moves: [String] = []
            for _ in 0..<40 {
                let before = pods
                step()
                let made = pods.keys.filter { before[$0]?.uid != pods[$0]?.uid }.sorted()
                moves += before.keys.filter { pods[$0] == nil }.sorted().map { "-\($0)" } + made.map { "+\($0)" }
                let idle = pods.keys.filter { pods[$0]?.status["phase"] == nil }
                for name in idle { set(name) }
                if before.keys == pods.keys, idle.isEmpty, made.isEmpty { break }
            }
            step()
            return moves
        }

        func revision(of name: String) -> String { pods[name]?.labels["controller-revision-hash"] ?? "" }
    }

    private static func template(_ version: String) -> JSON {
        ["metadata": ["labels": ["app": "db"]], "spec": ["containers": [["name": "db", "image": .string(version)]]]]
    }

    @Test func oneAfterTheOther() {
        var stage = Stage(["replicas": 3])
        #expect(stage.step().created.filter { $0.hasPrefix("db-") && $0.utf8.count < 6 } == ["db-0"])
        // The second waits for the first.
        #expect(stage.step().made.filter { $0.kind == "Pod" }.isEmpty)
        stage.set("db-0", isReady: false)
        #expect(stage.step().made.filter { $0.kind == "Pod" }.isEmpty)
        stage.set("db-0")
        #expect(stage.settle() == ["+db-1", "+db-2"])
        stage.set.json["spec"]?["replicas"] = 1
        #expect(stage.settle() == ["-db-2", "-db-1"])
    }

    @Test func allAtOnce() {
        var stage = Stage(["replicas": 3, "podManagementPolicy": "Parallel", "ordinals": ["start": 5]])
        let pods = stage.step().made.filter { $0.kind == "Pod" }
        #expect(pods.map(\.name) == ["db-5", "db-6", "db-7"])
        #expect(pods.map { $0.labels["apps.kubernetes.io/pod-index"] } == ["5", "6", "7"])
        #expect(pods.map { $0.labels["statefulset.kubernetes.io/pod-name"] } == ["db-5", "db-6", "db-7"])
        #expect(pods.first?.spec["hostname"] == "db-5" && pods.first?.spec["subdomain"] == "db")
    }

    @Test func claims() {
        let claim: JSON = ["metadata": ["name": "data"], "spec": ["accessModes": ["ReadWriteOnce"]]]
        var stage = Stage(["replicas": 2, "volumeClaimTemplates": [claim]])
        _ = stage.settle()
        #expect(stage.scene.names(Kinds.claim) == ["data-db-0", "data-db-1"])
        let volume = stage.pods["db-1"]?.spec.elements("volumes").first
        #expect(volume?["persistentVolumeClaim"]?["claimName"] == "data-db-1")
        // They stay when the set is smaller, unless it says otherwise.
        stage.set.json["spec"]?["replicas"] = 1
        _ = stage.settle()
        #expect(stage.step().deleted.isEmpty)
        stage.set.json["spec"]?["persistentVolumeClaimRetentionPolicy"] = ["whenScaled": "Delete"]
        #expect(stage.step().deleted == ["data-db-1"])
        stage.set.json["spec"]?["persistentVolumeClaimRetentionPolicy"] = ["whenDeleted": "Delete"]
        let owned = stage.step().others.compactMap { other -> Int? in
            guard case .apply(let document) = other.intent else { return nil }
            return document.ownerReferences.filter { $0.uid == "uid-db" && !$0.isController }.count
        }
        #expect(owned == [1, 1])
    }

    @Test func updatesFromTheTop() {
        var stage = Stage(["replicas": 3])
        _ = stage.settle()
        let first = stage.revision(of: "db-0")
        #expect(stage.set.status["currentRevision"]?.stringValue == first)
        stage.set.json["spec"]?["template"] = Self.template("2")
        #expect(stage.settle() == ["-db-2", "+db-2", "-db-1", "+db-1", "-db-0", "+db-0"])
        let second = stage.revision(of: "db-0")
        #expect(second != first && stage.set.status["currentRevision"]?.stringValue == second)
        #expect(stage.set.status.integer("updatedReplicas") == 3)
        // Going back takes the old revision up again, as the newest.
        stage.set.json["spec"]?["template"] = Self.template("1")
        _ = stage.settle()
        #expect(stage.revision(of: "db-2") == first)
        #expect(stage.scene.list(Kinds.controllerRevision).map { $0.json.integer("revision") ?? 0 }.sorted() == [2, 3])
    }

    @Test func partition() {
        var stage = Stage(["replicas": 3])
        _ = stage.settle()
        let first = stage.revision(of: "db-0")
        stage.set.json["spec"]?["updateStrategy"] = ["type": "RollingUpdate", "rollingUpdate": ["partition": 2]]
        stage.set.json["spec"]?["template"] = Self.template("2")
        #expect(stage.settle() == ["-db-2", "+db-2"])
        #expect(stage.revision(of: "db-1") == first && stage.revision(of: "db-2") != first)
        #expect(stage.set.status.integer("updatedReplicas") == 1 && stage.set.status.integer("currentReplicas") == 2)
        // A pod below the partition comes back as it was.
        stage.remove("db-0")
        #expect(stage.settle() == ["+db-0"] && stage.revision(of: "db-0") == first)
    }

    @Test func severalAtATime() {
        var stage = Stage(["replicas": 4, "podManagementPolicy": "Parallel"])
        _ = stage.settle()
        stage.set.json["spec"]?["updateStrategy"] = [
            "type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": "50%"],
        ]
        stage.set.json["spec"]?["template"] = Self.template("2")
        stage.step()
        #expect(stage.pods.keys.sorted() == ["db-0", "db-1"])
    }

    @Test func onDelete() {
        var stage = Stage(["replicas": 2, "updateStrategy": ["type": "OnDelete"]])
        _ = stage.settle()
        let first = stage.revision(of: "db-0")
        stage.set.json["spec"]?["template"] = Self.template("2")
        #expect(stage.settle().isEmpty)
        stage.remove("db-0")
        #expect(stage.settle() == ["+db-0"] && stage.revision(of: "db-0") != first)
        #expect(stage.revision(of: "db-1") == first)
    }

    @Test func aFailedPodComesBackInItsPlace() {
        var stage = Stage(["replicas": 2])
        _ = stage.settle()
        stage.set("db-0", phase: "Failed", isReady: false)
        let resting = stage.step()
        #expect(stage.pods["db-0"] != nil && resting.wakeAt != nil)
        stage.scene.now = stage.scene.now + .seconds(11)
        #expect(stage.step().reasons == ["RecreatingFailedPod"])
        #expect(stage.settle() == ["+db-0"])
    }

    @Test func historyIsLimited() {
        var stage = Stage(["replicas": 1, "revisionHistoryLimit": 2])
        for version in 1...6 {
            stage.set.json["spec"]?["template"] = Self.template("\(version)")
            _ = stage.settle()
        }
        let kept = stage.step().children.filter { $0.key.resource == Kinds.controllerRevision.resource }
        #expect(kept.count == 3)
    }

    @Test func availabilityTakesTime() {
        var stage = Stage(["replicas": 2, "minReadySeconds": 5])
        stage.step()
        stage.set("db-0")
        let waiting = stage.step()
        #expect(waiting.made.isEmpty && waiting.wakeAt == stage.scene.now + .seconds(5))
        #expect(waiting.status?["readyReplicas"] == 1 && waiting.status?["availableReplicas"] == 0)
        stage.scene.now = stage.scene.now + .seconds(5)
        #expect(stage.step().made.map(\.name) == ["db-1"])
    }
}
