internal import Documents

/// Renders a service of a landscape as a pod template in the shape of core/v1. Pure; the result is recorded in the
/// revision and never rendered again.
enum PodTemplate {
    /// Members of a service that go to the container as they are.
    private static let containerMembers = [
        "image", "command", "args", "workingDir", "env", "readinessProbe", "livenessProbe", "startupProbe",
    ]

    /// `service` has its references pinned; `plan` is the spec of its Plan, or null.
    static func render(_ service: JSON, landscape: String, hash: String, plan: JSON) -> JSON {
        let name = service.text("name")
        let labels = [Label.partOf: landscape, Label.component: name, Label.hash: hash]
        var spec: JSONObject = ["containers": [container(service, plan)]]
        let volumes = service.elements("volumes").compactMap(volume)
        if !volumes.isEmpty { spec["volumes"] = .array(volumes) }
        if let runtimeClass = runtimeClass(service) { spec["runtimeClassName"] = .string(runtimeClass) }
        spec["terminationGracePeriodSeconds"] = service["terminationGracePeriodSeconds"]
        return ["metadata": ["labels": JSON(labels)], "spec": .object(spec)]
    }

    private static func container(_ service: JSON, _ plan: JSON) -> JSON {
        var container: JSONObject = ["name": .string(service.text("name"))]
        for member in containerMembers { container[member] = service[member] }
        let ports = service.elements("ports").map { port -> JSON in
            [
                "name": .string(port.text("name")), "containerPort": port["port"] ?? 0,
                "protocol": port["protocol"] ?? "TCP",
            ]
        }
        if !ports.isEmpty { container["ports"] = .array(ports) }
        let mounts = service.elements("volumes").map { volume -> JSON in
            var mount: JSONObject = [
                "name": .string(volume.text("name")), "mountPath": .string(volume.text("mountPath")),
            ]
            mount["readOnly"] = volume["readOnly"]
            return .object(mount)
        }
        if !mounts.isEmpty { container["volumeMounts"] = .array(mounts) }
        let resources = resources(service, plan)
        if !resources.isEmpty { container["resources"] = .object(resources) }
        return .object(container)
    }

    private static func volume(_ volume: JSON) -> JSON? {
        guard let source = volume["configMap"] else { return nil }
        return ["name": .string(volume.text("name")), "configMap": source]
    }

    /// What the plan gives, overridden by what the service says itself.
    private static func resources(_ service: JSON, _ plan: JSON) -> JSONObject {
        var limits = JSONObject()
        limits["cpu"] = plan["cpu"]
        limits["memory"] = plan["memory"]
        for member in service["resources"]?["limits"]?.objectValue?.members ?? [] { limits[member.key] = member.value }
        var resources = JSONObject()
        if !limits.isEmpty { resources["limits"] = .object(limits) }
        resources["requests"] = service["resources"]?["requests"]
        return resources
    }

    /// Which isolation the node is asked for; `nil` leaves it the container runtime it has.
    private static func runtimeClass(_ service: JSON) -> String? {
        switch service.text("isolation") {
        case "Process": "espalier-process"
        case "Machine": "espalier-machine"
        case "Container": nil
        default: service["image"] == nil ? "espalier-process" : nil
        }
    }
}
