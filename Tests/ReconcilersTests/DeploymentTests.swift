import Client
import ControlLoop
import Documents
import Reconcilers
import Seams
import Testing

/// A Deployment's decisions, one observation at a time. `Stage` plays the ReplicaSets between them.
struct DeploymentTests {
    private struct Stage {
        var scene = Scene()
        var deployment: Document
        var sets: [String: Document] = [:]
        private var version = 0

        init(_ spec: JSON, annotations: JSON = [:]) {
            var spec = spec
            spec["selector"] = ["matchLabels": ["app": "web"]]
            if spec["template"] == nil { spec["template"] = DeploymentTests.template("1") }
            deployment = Scene.document(
                Kinds.deployment, "web", ["spec": spec, "metadata": ["annotations": annotations]])
        }

        @discardableResult
        mutating func step() -> Outcome {
            scene.put(Kinds.deployment, deployment)
            let outcome = scene.decide(DeploymentReconciler(), "web")
            let wanted = Set(outcome.children.map(\.key.name))
            for (name, set) in sets where !wanted.contains(name) {
                scene.remove(Kinds.replicaSet, set)
                sets[name] = nil
            }
            for child in outcome.children {
                guard case .apply(var document) = child.intent else { continue }
                version += 1
                let old = sets[document.name]
                document.metadata["uid"] = .string(old?.uid ?? "uid-\(version)")
                document.metadata["resourceVersion"] = .string("\(version)")
                document.metadata["ownerReferences"] = [OwnerReference(controller: deployment).json]
                document["status"] = old?["status"] ?? [:]
                put(document)
            }
            deployment["status"] = outcome.status
            return outcome
        }

        private mutating func put(_ set: Document) {
            sets[set.name] = set
            scene.put(Kinds.replicaSet, set)
        }

        /// Every set has the pods it wants, and they serve.
        mutating func serve() {
            for var set in sets.values {
                let count = set.spec["replicas"] ?? 0
                set["status"] = ["replicas": count, "readyReplicas": count, "availableReplicas": count]
                put(set)
            }
        }

        mutating func settle() {
            for _ in 0..<20 {
                step()
                serve()
            }
        }

        /// Counts by the image of the template.
        var counts: [String: Int] {
            var counts: [String: Int] = [:]
            for set in sets.values {
                let image = set.spec["template"]?["spec"]?.elements("containers").first?.text("image") ?? ""
                counts[image] = set.spec.integer("replicas") ?? 0
            }
            return counts
        }
    }

    private static func template(_ version: String) -> JSON {
        ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "web", "image": .string(version)]]]]
    }

    @Test func percentagesRoundAwayFromStandingStill() {
        func view(_ surge: JSON, _ unavailable: JSON) -> DeploymentView {
            let rolling: JSON = ["maxSurge": surge, "maxUnavailable": unavailable]
            return DeploymentView(Document(["spec": ["replicas": 10, "strategy": ["rollingUpdate": rolling]]]))
        }
        #expect(view("25%", "25%").surgeAndUnavailable == (3, 2))
        #expect(view("0%", "5%").surgeAndUnavailable == (0, 1))
        #expect(view(2, 0).surgeAndUnavailable == (2, 0))
        #expect(view("100%", "100%").surgeAndUnavailable == (10, 10))
    }

    @Test func rollsWithinItsBounds() {
        var stage = Stage(["replicas": 4, "strategy": ["rollingUpdate": ["maxSurge": 1, "maxUnavailable": 0]]])
        stage.settle()
        stage.deployment.json["spec"]?["template"] = Self.template("2")
        for _ in 0..<30 {
            stage.step()
            #expect(stage.counts.values.reduce(0, +) <= 5, "\(stage.counts)")
            stage.serve()
        }
        #expect(stage.counts == ["1": 0, "2": 4])
        let said = stage.step()
        #expect(said.condition("Progressing") == "True NewReplicaSetAvailable")
        #expect(said.events.isEmpty && said.status?["updatedReplicas"] == 4)
    }

    @Test func recreateWaitsForTheEnd() {
        var stage = Stage(["replicas": 2, "strategy": ["type": "Recreate"]])
        stage.settle()
        stage.deployment.json["spec"]?["template"] = Self.template("2")
        stage.step()
        #expect(stage.counts == ["1": 0, "2": 0])
        stage.step()
        // The old pods are not gone yet, as the status of their set says.
        #expect(stage.counts == ["1": 0, "2": 0])
        stage.serve()
        stage.step()
        #expect(stage.counts == ["1": 0, "2": 2])
    }

    @Test func goingBackTakesTheOldSetUpAgain() {
        var stage = Stage(["replicas": 1], annotations: ["kubernetes.io/change-cause": "first"])
        stage.settle()
        stage.deployment.metadata["annotations"] = ["kubernetes.io/change-cause": "second"]
        stage.deployment.json["spec"]?["template"] = Self.template("2")
        stage.settle()
        let causes = stage.sets.values.map { $0.annotations["kubernetes.io/change-cause"] ?? "" }.sorted()
        #expect(causes == ["first", "second"])
        stage.deployment.json["spec"]?["template"] = Self.template("1")
        stage.settle()
        #expect(stage.counts == ["1": 1, "2": 0])
        let revisions = stage.sets.values.map { $0.annotations["deployment.kubernetes.io/revision"] ?? "" }.sorted()
        #expect(revisions == ["2", "3"])
        #expect(stage.step().annotations["deployment.kubernetes.io/revision"] == "3")
    }

    @Test func historyIsLimited() {
        var stage = Stage(["replicas": 1, "revisionHistoryLimit": 2])
        for version in 1...6 {
            stage.deployment.json["spec"]?["template"] = Self.template("\(version)")
            stage.settle()
        }
        #expect(stage.counts == ["4": 0, "5": 0, "6": 1])
    }

    @Test func pausedItOnlyScales() {
        var stage = Stage(["replicas": 2])
        stage.settle()
        stage.deployment.json["spec"]?["paused"] = true
        stage.deployment.json["spec"]?["template"] = Self.template("2")
        stage.deployment.json["spec"]?["replicas"] = 3
        stage.settle()
        #expect(stage.counts == ["1": 3])
        #expect(stage.step().condition("Progressing") == "Unknown DeploymentPaused")
        stage.deployment.json["spec"]?["paused"] = false
        stage.settle()
        #expect(stage.counts == ["1": 0, "2": 3])
    }

    @Test func aDeadlineThatPasses() {
        var stage = Stage(["replicas": 1, "progressDeadlineSeconds": 60])
        #expect(stage.step().wakeAt == stage.scene.now + .seconds(60))
        stage.step()
        stage.scene.now = stage.scene.now + .seconds(60)
        #expect(stage.step().condition("Progressing") == "False ProgressDeadlineExceeded")
    }

    @Test func saysWhatItScales() {
        var stage = Stage(["replicas": 2])
        #expect(stage.step().events.map(\.message).first?.hasSuffix(" from 0 to 2") == true)
        #expect(stage.step().events.isEmpty)
        stage.deployment.json["spec"]?["replicas"] = 1
        #expect(stage.step().events.map(\.message).first?.hasPrefix("Scaled down replica set web-") == true)
    }
}
