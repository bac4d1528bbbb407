import Documents

/// The rules of claims and volumes that a schema cannot say, in upstream's words.
enum StorageRules {
    static func claim(_ context: inout RuleContext) {
        let spec = context.document.spec
        if (spec["accessModes"]?.arrayValue ?? []).isEmpty {
            context.report(.required("spec.accessModes", "at least 1 access mode is required"))
        }
        let field = "spec.resources[storage]"
        guard let request = storage(spec["resources"]?["requests"]) else { return context.report(.required(field)) }
        if request <= Quantity(nanos: 0, format: .decimal) {
            let value = spec["resources"]?["requests"]?["storage"] ?? .null
            context.report(.invalid(field, value, "must be greater than zero"))
        }
        guard let old = context.old else { return }
        if fixed(spec, old.spec) != fixed(old.spec, old.spec) {
            context.report(
                .forbidden(
                    "spec",
                    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
                        + "bound claims"))
        }
        guard let before = storage(old.spec["resources"]?["requests"]), request < before else { return }
        if let capacity = storage(old.status["capacity"]), request >= capacity { return }
        context.report(
            .forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"))
    }

    /// What may not change: a volume and a class may be given once, what is asked for may change.
    private static func fixed(_ spec: JSON, _ old: JSON) -> JSON {
        var fixed = spec
        fixed["resources"]?["requests"]?["storage"] = nil
        fixed["volumeAttributesClassName"] = nil
        if (old["volumeName"]?.stringValue ?? "").isEmpty {
            fixed["volumeName"] = nil
            if old["storageClassName"] == nil { fixed["storageClassName"] = nil }
        }
        return fixed
    }

    static func volume(_ context: inout RuleContext) {
        let spec = context.document.spec
        if (spec["accessModes"]?.arrayValue ?? []).isEmpty { context.report(.required("spec.accessModes")) }
        if storage(spec["capacity"]) == nil { context.report(.required("spec.capacity")) }
        let policies: [JSON] = ["Delete", "Recycle", "Retain"]
        if let policy = spec["persistentVolumeReclaimPolicy"], !policies.contains(policy) {
            context.report(.notSupported("spec.persistentVolumeReclaimPolicy", policy, policies))
        }
        let sources = ["local", "hostPath", "nfs", "csi", "iscsi"]
        let isGiven = (spec.objectValue?.members ?? []).contains { member in
            member.value.objectValue != nil && !["capacity", "claimRef", "nodeAffinity"].contains(member.key)
        }
        if !isGiven { context.report(.required("spec", "must specify a volume type")) }
        guard context.old != nil else { return }
        for source in sources where context.hasChanged("spec", source) {
            context.report(
                .forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"))
        }
    }

    private static func storage(_ amounts: JSON?) -> Quantity? {
        guard let value = amounts?["storage"] else { return nil }
        return (value.stringValue ?? value.integerValue.map(String.init)).flatMap(Quantity.init(parsing:))
    }
}
