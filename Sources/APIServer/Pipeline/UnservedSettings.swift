internal import Documents

/// What this server stores and nothing here acts on yet, said to whoever writes it, as `Warning` headers. Documents
/// that wait for ever, or run without a protection they ask for, must not do so in silence. Pure.
enum UnservedSettings {
    /// Kinds that are served and have no controller here.
    private static let idleKinds: Set<String> = [
        "networking.k8s.io/Ingress", "networking.k8s.io/NetworkPolicy", "/ReplicationController", "/ResourceQuota",
        "/LimitRange", "autoscaling/HorizontalPodAutoscaler", "scheduling.k8s.io/PriorityClass",
        "networking.k8s.io/IngressClass", "espalier.dev/Workspace", "espalier.dev/ManagedService",
        "espalier.dev/PreviewDeployment",
    ]

    static func warnings(_ document: Document, _ definition: ResourceDefinition, isNew: Bool) -> [String] {
        var warnings: [String] = []
        if isNew, idleKinds.contains("\(definition.group)/\(definition.kind)") {
            warnings.append(
                "no controller here acts on \(definition.kind): the document is kept, and nothing comes of it")
        }
        switch (definition.group, definition.kind) {
        case ("espalier.dev", "Landscape"): landscape(document.spec, &warnings)
        case ("", "Pod"): pod(document.spec, at: "spec", &warnings)
        case ("apps", "Deployment"), ("apps", "ReplicaSet"):
            pod(document.spec["template"]?["spec"] ?? .null, at: "spec.template.spec", &warnings)
        default: break
        }
        return warnings
    }

    private static func landscape(_ spec: JSON, _ warnings: inout [String]) {
        if spec["network"]?["egress"]?.stringValue == "Denied" {
            warnings.append(
                "spec.network.egress: Denied is not enforced here; the landscape is not started until it is taken out")
        }
        for (index, service) in (spec["services"]?.arrayValue ?? []).enumerated() {
            let field = "spec.services[\(index)]"
            if service["scale"]?["min"]?.integerValue == 0 || service["idleAfter"] != nil {
                let member = service["scale"]?["min"]?.integerValue == 0 ? "scale.min" : "idleAfter"
                warnings.append(
                    "\(field).\(member): nothing here notices yet that a service is unused; it keeps one pod")
            }
            if let image = service["image"]?.stringValue, service["isolation"]?.stringValue == "Process" {
                warnings.append("\(field).image: \(image) is not used: isolation Process runs programs of this machine")
            }
        }
        for (index, step) in (spec["rollout"]?["steps"]?.arrayValue ?? []).enumerated() where step["analysis"] != nil {
            warnings.append(
                "spec.rollout.steps[\(index)].analysis: nothing here measures yet; the rollout waits there for "
                    + "`espalier rollout promote`")
        }
    }

    private static func pod(_ spec: JSON, at place: String, _ warnings: inout [String]) {
        guard spec["runtimeClassName"]?.stringValue == "espalier-process" else { return }
        for (index, container) in (spec["containers"]?.arrayValue ?? []).enumerated() {
            guard let image = container["image"]?.stringValue, !image.isEmpty else { continue }
            warnings.append(
                "\(place).containers[\(index)].image: \(image) is not used: runtimeClassName espalier-process runs "
                    + "programs of this machine")
        }
    }
}
