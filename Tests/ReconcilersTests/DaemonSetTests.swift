import Client
import ControlLoop
import Documents
import Reconcilers
import Seams
import Testing

/// A DaemonSet's decisions, one observation at a time.
struct DaemonSetTests {
    private let set = Scene.document(
        Kinds.daemonSet, "agent",
        ["spec": ["template": ["metadata": ["labels": ["app": "agent"]], "spec": ["nodeSelector": ["disk": "ssd"]]]]])

    private func scene(_ pods: [(String, node: String, isReady: Bool)] = []) -> Scene {
        var scene = Scene()
        scene.put(Kinds.daemonSet, set)
        for (name, disk) in [("a", "ssd"), ("b", "ssd"), ("c", "hdd")] {
            scene.put(Kinds.node, Scene.document(Kinds.node, name, ["metadata": ["labels": ["disk": .string(disk)]]]))
        }
        for pod in pods {
            let ready: JSON = pod.isReady ? "True" : "False"
            let status: JSON = ["phase": "Running", "conditions": [["type": "Ready", "status": ready]]]
            let metadata: JSON = ["labels": ["controller-revision-hash": "old"]]
            scene.put(
                Kinds.pod,
                Scene.document(
                    Kinds.pod, pod.0,
                    ["spec": ["nodeName": .string(pod.node)], "status": status, "metadata": metadata], owner: set))
        }
        return scene
    }

    @Test func aPodOnEveryNodeThatIsSelected() {
        let outcome = scene().decide(DaemonSetReconciler(), "agent")
        let pods = outcome.made.filter { $0.kind == "Pod" }
        #expect(pods.map { $0.spec["nodeName"] } == ["a", "b"])
        #expect(outcome.status?["desiredNumberScheduled"] == 2 && outcome.status?["numberUnavailable"] == 2)
    }

    @Test func podsElsewhereGo() {
        let outcome = scene([("x", "a", true), ("y", "c", true)]).decide(DaemonSetReconciler(), "agent")
        #expect(outcome.status?["numberMisscheduled"] == 1)
        #expect(!outcome.children.map(\.key.name).contains("y"))
    }

    @Test func anUpdateTakesOneAtATime() {
        let both = scene([("x", "a", true), ("y", "b", true)]).decide(DaemonSetReconciler(), "agent")
        #expect(both.children.filter { $0.key.resource == Kinds.pod.resource }.map(\.key.name) == ["y"])
        // One that does not serve goes first, and the other waits.
        let one = scene([("x", "a", true), ("y", "b", false)]).decide(DaemonSetReconciler(), "agent")
        #expect(one.children.filter { $0.key.resource == Kinds.pod.resource }.map(\.key.name) == ["x"])
    }
}
