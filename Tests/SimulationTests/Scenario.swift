import APIServer
import Client
import Documents
import Reconcilers
import Simulation
import Store

/// A story that is told again and again, each time with a crash somewhere else. Every user's write is durable before the
/// story goes on, as it is when a server has answered it.
struct Scenario: Sendable, CustomStringConvertible {
    let description: String
    let play: @Sendable (World) async throws -> Void

    static let all: [Scenario] = [
        Scenario(description: "first deployment") { world in
            try await world.applyShop()
            try await world.pass(10)
        },
        Scenario(description: "a change waits in its ladder") { world in
            try await world.firstDeployment()
            try await world.applyShop(version: "2")
            try await world.pass(30)
        },
        Scenario(description: "promote step by step") { world in
            try await world.firstDeployment()
            try await world.applyShop(version: "2")
            try await world.pass(30)
            try await world.decide("shop-2", "Promote", step: 1)
            try await world.pass(900)
        },
        Scenario(description: "abort, then retry and promote") { world in
            try await world.firstDeployment()
            try await world.applyShop(version: "2")
            try await world.pass(30)
            try await world.decide("shop-2", "Abort")
            try await world.pass(30)
            try await world.decide("shop-2", "Retry")
            try await world.pass(30)
            try await world.decide("shop-2", "PromoteFull")
            try await world.pass(30)
        },
        Scenario(description: "undo") { world in
            try await world.firstDeployment()
            try await world.applyShop(version: "2", rollout: nil)
            try await world.pass(30)
            try await world.applyShop(version: "1", rollout: nil)
            try await world.pass(30)
        },
        Scenario(description: "never ready, rolled back") { world in
            try await world.firstDeployment()
            try await world.applyShop(version: "2", command: "never-ready")
            try await world.pass(700)
        },
        Scenario(description: "configuration changes") { world in
            try await world.firstDeployment()
            try await world.configMap("2")
            try await world.pass(30)
        },
        Scenario(description: "scale up and down") { world in
            try await world.applyShop(replicas: 3)
            try await world.pass(10)
            try await world.applyShop(replicas: 1)
            try await world.pass(10)
        },
        Scenario(description: "recreate") { world in
            try await world.applyShop(rollout: ["strategy": "Recreate"])
            try await world.pass(10)
            try await world.applyShop(version: "2", rollout: ["strategy": "Recreate"])
            try await world.pass(30)
        },
        Scenario(description: "superseded") { world in
            try await world.firstDeployment()
            try await world.applyShop(version: "2")
            try await world.pass(5)
            try await world.applyShop(version: "3")
            try await world.pass(30)
        },
        Scenario(description: "two landscapes behind one route") { world in
            try await world.applyShop(rollout: nil, name: "blue", hosts: ["blue.localhost"])
            try await world.applyShop(version: "2", rollout: nil, name: "green", hosts: ["green.localhost"])
            try await world.applyBlueGreen(90)
            try await world.pass(10)
            try await world.applyBlueGreen(10)
            try await world.pass(10)
        },
        Scenario(description: "deleted") { world in
            try await world.firstDeployment()
            try await world.plane.client.delete(
                ObjectKey(Kinds.landscape.resource, namespace: World.namespace, name: "shop"), options: DeleteOptions())
            try await world.pass(10)
        },
    ]
}

extension World {
    func firstDeployment() async throws {
        try await applyShop()
        try await pass(10)
    }

    /// Makes what was written durable, and lets time pass.
    func pass(_ seconds: Int) async throws {
        plane.store.flush()
        try await plane.run(for: .seconds(seconds))
    }

    func applyBlueGreen(_ blue: Int) async throws {
        func backend(_ name: String, _ weight: Int) -> JSON {
            [
                "name": .string(name), "landscape": ["name": .string(name)], "service": "web", "port": "http",
                "weight": .integer(Int64(weight)),
            ]
        }
        try await apply([
            "apiVersion": "espalier.dev/v1alpha1", "kind": "Route",
            "metadata": ["name": "front", "namespace": .string(Self.namespace)],
            "spec": [
                "hosts": ["front.localhost"],
                "rules": [["backends": [backend("blue", blue), backend("green", 100 - blue)]]],
            ],
        ])
    }

    /// Everything the namespace holds, without what two good runs may differ in: identities, times, addresses, counters.
    func normalised() async throws -> [String] {
        var lines: [String] = []
        for kind in [
            Kinds.landscape, Kinds.rollout, Kinds.route, Kinds.httpRoute, Kinds.controllerRevision, Kinds.deployment,
            Kinds.replicaSet,
            Kinds.pod, Kinds.service, Kinds.endpointSlice, Kinds.configMap, Kinds.secret,
        ] {
            for document in try await list(kind) {
                var json = document.json
                let isPod = kind.kind == "Pod"
                json["metadata"] = [
                    "name": .string(isPod ? document.controller?.name ?? "" : document.name),
                    "labels": document.metadata["labels"] ?? [:],
                    "owner": .string(document.controller.map { "\($0.kind) \($0.name)" } ?? ""),
                    "going": .bool(document.isBeingDeleted),
                ]
                lines.append("\(kind.kind) \(Self.strip(json).canonical.text())")
            }
        }
        return lines.sorted()
    }

    private static let differing = [
        "lastTransitionTime", "lastUpdateTime", "observedGeneration", "decisionGeneration", "startTime", "podIP",
        "podIPs", "hostIP",
        "clusterIP", "clusterIPs", "targetRef", "addresses", "started", "stepStarted", "finished", "time",
    ]

    private static func strip(_ json: JSON) -> JSON {
        switch json {
        case .array(let elements): return .array(elements.map(strip))
        case .object(let object):
            var kept = object
            kept.filter { !differing.contains($0.key) }
            return .object(JSONObject(kept.members.map { ($0.key, strip($0.value)) }))
        default: return json
        }
    }
}

/// Comparing two lists of lines.
enum Lines {
    /// Lines of one side only.
    static func difference(_ left: [String], _ right: [String]) -> [String] {
        if left == right { return [] }
        return left.filter { !right.contains($0) }.map { "- \($0)" }
            + right.filter { !left.contains($0) }.map { "+ \($0)" }
            + ["\(left.count) and \(right.count) documents"]
    }
}
