import APIServer
import Client
import Documents
import Glibc
import Reconcilers
import Seams
import Simulation
import Testing

extension Mode {
    /// The modes that stories are told in: both, or the one that MODE names. `hack/test` takes them one after the other, as
    /// sockets have time limits that a machine which does everything at once does not meet.
    static let tested = getenv("MODE").flatMap { Mode(rawValue: String(cString: $0)) }.map { [$0] } ?? allCases
}

/// A control plane with a team's namespace, and the verbs scenarios are told in.
final class World {
    let plane: ControlPlane
    static let namespace = "team-a"
    static let bundled = Result { try BundledDefinitions.load() }

    /// What is decided does not depend on the mode: it is decided twice in one of them.
    init(_ mode: Mode = .embedded, seed: UInt64 = 1, decidesTwice: Bool = true) async throws {
        plane = try ControlPlane(
            seed: seed, bundled: try Self.bundled.get(), decidesTwice: decidesTwice && mode == .embedded)
        if mode == .remote { try await plane.serve() }
        _ = try await plane.client.create(
            Document(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(Self.namespace)]]),
            options: WriteOptions(fieldManager: "test"))
        try await configMap("1")
    }

    func configMap(_ content: String) async throws {
        try await apply([
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": ["name": "shop-code", "namespace": .string(Self.namespace)],
            "data": ["web.py": .string("print(\(content))")],
        ])
    }

    @discardableResult
    func apply(_ json: JSON) async throws -> Document {
        var options = WriteOptions(fieldManager: "kubectl")
        options.force = true
        return try await plane.client.apply(Document(json), subresource: nil, options: options)
    }

    /// Applies the shop: `api`, and `web` in a version and with a number of pods, behind one route.
    func applyShop(
        version: String = "1", command: String = "/usr/bin/python3", replicas: Int = 1, rollout: JSON? = World.canary,
        name: String = "shop", hosts: [String] = ["shop.localhost"]
    ) async throws {
        try await apply(
            Self.shop(
                version: version, command: command, replicas: replicas, rollout: rollout, name: name, hosts: hosts))
    }

    static let canary: JSON = [
        "strategy": "Canary",
        "steps": [["setWeight": 10], ["pause": [:]], ["setWeight": 50], ["pause": ["duration": "2m"]]],
    ]

    static func shop(
        version: String, command: String, replicas: Int, rollout: JSON?, name: String = "shop",
        hosts: [String] = ["shop.localhost"]
    ) -> JSON {
        var spec: JSON = [
            "services": [
                [
                    "name": "api", "command": ["/usr/bin/python3", "/app/api.py"],
                    "ports": [["name": "http", "port": 3000]],
                    "readinessProbe": ["httpGet": ["path": "/healthz", "port": "http"]],
                ],
                [
                    "name": "web", "command": [.string(command), "/app/web.py"],
                    "env": [["name": "VERSION", "value": .string(version)]], "ports": [["name": "http", "port": 3000]],
                    "scale": ["min": .integer(Int64(replicas)), "max": 9],
                    "dependsOn": [["name": "api"]],
                    "volumes": [["name": "code", "mountPath": "/app", "configMap": ["name": "shop-code"]]],
                ],
            ],
            "routes": [
                [
                    "hosts": .array(hosts.map(JSON.string)),
                    "rules": [
                        ["path": "/", "service": "web", "port": "http"],
                        ["path": "/api", "service": "api", "port": "http", "stripPrefix": true],
                    ],
                ]
            ],
        ]
        if let rollout { spec["rollout"] = rollout }
        return [
            "apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape",
            "metadata": ["name": .string(name), "namespace": .string(namespace)], "spec": spec,
        ]
    }

    func get(_ kind: ResourceInformation, _ name: String) async throws -> Document {
        try await plane.client.get(ObjectKey(kind.resource, namespace: Self.namespace, name: name))
    }

    func list(_ kind: ResourceInformation) async throws -> [Document] {
        try await plane.client.list(kind.resource, namespace: Self.namespace, options: ListOptions()).items
            .sorted { $0.name < $1.name }
    }

    func decide(_ rollout: String, _ decision: String, step: Int? = nil) async throws {
        var spec: JSON = ["decision": .string(decision)]
        if let step { spec["decisionStep"] = .integer(Int64(step)) }
        _ = try await plane.client.patch(
            ObjectKey(Kinds.rollout.resource, namespace: Self.namespace, name: rollout), .merge(["spec": spec]),
            subresource: nil,
            options: WriteOptions(fieldManager: "kubectl"))
    }

    func condition(_ kind: ResourceInformation, _ name: String, _ type: String) async throws -> String {
        let condition = try await get(kind, name).condition(type)
        return "\(condition?.text("status") ?? "") \(condition?.text("reason") ?? "")"
    }

    /// Weights in the HTTPRoute's first rule, by Service.
    func weights(_ route: String = "shop-1") async throws -> [Int] {
        try await get(Kinds.httpRoute, route).spec.elements("rules").first?.elements("backendRefs").map {
            $0.integer("weight") ?? -1
        } ?? []
    }

    func active(_ landscape: String = "shop") async throws -> String {
        try await get(Kinds.landscape, landscape).status["revision"]?.text("active") ?? ""
    }
}
