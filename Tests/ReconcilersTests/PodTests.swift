import Client
import ControlLoop
import Documents
import Reconcilers
import Seams
import Testing

/// What becomes of pods beside those who made them.
struct PodTests {
    private func pod(_ number: Int, _ phase: String, owner: Document? = nil) -> Document {
        let minutes = number / 60 % 60
        let (minute, second) = (minutes < 10 ? "0\(minutes)" : "\(minutes)", number % 60)
        let created = "2026-09-01T00:\(minute):\(second < 10 ? "0" : "")\(second)Z"
        return Scene.document(
            Kinds.pod, "pod-\(number)",
            ["status": ["phase": .string(phase)], "metadata": ["creationTimestamp": .string(created)]], owner: owner)
    }

    @Test func ofPodsThatHaveEndedTheNewestAreKept() {
        var scene = Scene()
        let limit = ReconcilerLimits.terminatedPodsKept
        let owner = Scene.document(Kinds.job, "work", [:])
        for number in 0..<(limit + 2) { scene.put(Kinds.pod, pod(number, number % 2 == 0 ? "Succeeded" : "Failed")) }
        for number in 1000..<1010 { scene.put(Kinds.pod, pod(number, "Running")) }
        for number in 2000..<2010 { scene.put(Kinds.pod, pod(number, "Failed", owner: owner)) }
        let looked = ["pod-0", "pod-1", "pod-2", "pod-\(limit + 1)", "pod-1000", "pod-2000"]
        #expect(looked.filter { scene.decide(PodReconciler(), $0).isExpired } == ["pod-0", "pod-1"])
    }

    /// A pod of a set has a name of its own below that of its Service.
    @Test func endpointsOfASetHaveNames() {
        var scene = Scene()
        let service = Scene.document(
            Kinds.service, "db",
            ["spec": ["clusterIP": "None", "selector": ["app": "db"], "ports": [["port": 5432, "targetPort": 5432]]]])
        scene.put(Kinds.service, service)
        for (name, subdomain) in [("db-0", "db"), ("db-1", "other")] {
            let spec: JSON = ["hostname": .string(name), "subdomain": .string(subdomain)]
            scene.put(
                Kinds.pod,
                Scene.document(
                    Kinds.pod, name,
                    [
                        "spec": spec, "metadata": ["labels": ["app": "db"]],
                        "status": ["phase": "Running", "podIP": "10.0.0.1"],
                    ]))
        }
        let slices = scene.decide(ServiceReconciler(), "db").children.compactMap { child -> Document? in
            if case .apply(let document) = child.intent { document } else { nil }
        }
        let names = slices.flatMap { $0["endpoints"]?.elements ?? [] }.map { $0["hostname"] }
        #expect(names == ["db-0", nil])
    }
}
