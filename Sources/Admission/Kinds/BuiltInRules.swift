import Documents

/// The rules of built-in kinds that our loops and users rely on: the part of upstream's hand-written validation that
/// a schema cannot say.
enum BuiltInRules {
    static func rules(for definition: ResourceDefinition) -> ((inout RuleContext) -> Void)? {
        switch (definition.group, definition.kind) {
        case ("", "ConfigMap"): { configuration(&$0, members: ["data", "binaryData"]) }
        case ("", "Secret"): { secret(&$0) }
        case ("", "Service"): { service(&$0) }
        case ("", "Pod"): { pod(&$0) }
        case ("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("apps", "DaemonSet"):
            { workload(&$0) }
        case ("apps", "ControllerRevision"): { controllerRevision(&$0) }
        case ("batch", "Job"): { BatchRules.job(&$0) }
        case ("batch", "CronJob"): { BatchRules.cronJob(&$0) }
        case ("", "PersistentVolumeClaim"): { StorageRules.claim(&$0) }
        case ("", "PersistentVolume"): { StorageRules.volume(&$0) }
        case ("", "Event"): { event(&$0) }
        case ("rbac.authorization.k8s.io", "RoleBinding"), ("rbac.authorization.k8s.io", "ClusterRoleBinding"):
            { binding(&$0) }
        default: nil
        }
    }

    // MARK: - ConfigMap, Secret

    private static func configuration(_ context: inout RuleContext, members: [String]) {
        let document = context.document
        var size = 0
        for name in members {
            for member in document[name]?.objectValue?.members ?? [] {
                size += member.value.stringValue?.utf8.count ?? 0
                if let problem = NameRules.configurationKeyProblem(member.key) {
                    context.report(.invalid("\(name)[\(member.key)]", .string(member.key), problem))
                }
                if name == "binaryData", document["data"]?[member.key] != nil {
                    context.report(
                        .invalid("binaryData[\(member.key)]", .string(member.key), "duplicate of key present in data"))
                }
            }
        }
        if size > AdmissionLimits.configurationBytes {
            context.report(.tooLong("[]", AdmissionLimits.configurationBytes))
        }
        guard let old = context.old, old["immutable"]?.boolValue == true else { return }
        if document["immutable"]?.boolValue != true {
            context.report(.forbidden("immutable", "field is immutable when `immutable` is set"))
        }
        for name in members where document[name] != old[name] {
            context.report(.forbidden(name, "field is immutable when `immutable` is set"))
        }
    }

    private static func secret(_ context: inout RuleContext) {
        configuration(&context, members: ["data"])
        guard context.old != nil, context.hasChanged("type"), let type = context.document["type"] else { return }
        context.report(.immutable("type", type))
    }

    // MARK: - Service

    private static func service(_ context: inout RuleContext) {
        let spec = context.document.spec
        let ports = spec["ports"]?.arrayValue ?? []
        let isHeadless = spec["clusterIP"]?.stringValue == "None"
        if ports.isEmpty, !isHeadless, spec["type"]?.stringValue != "ExternalName" {
            context.report(.required("spec.ports"))
        }
        context.requireUnique(
            ports.enumerated().compactMap { index, port in port["name"].map { ("spec.ports[\(index)].name", $0) } })
        for (index, port) in ports.enumerated() {
            if ports.count > 1, port["name"]?.stringValue?.isEmpty ?? true {
                context.report(.required("spec.ports[\(index)].name"))
            }
            if case .integer(let number)? = port["targetPort"], !(1...65535).contains(number) {
                let detail = "must be between 1 and 65535, inclusive"
                context.report(.invalid("spec.ports[\(index)].targetPort", .integer(number), detail))
            }
        }
        guard let old = context.old?.spec["clusterIP"]?.stringValue, !old.isEmpty else { return }
        if let new = spec["clusterIP"]?.stringValue, !new.isSameBytes(as: old) {
            context.report(.immutable("spec.clusterIP", .string(new)))
        }
    }

    // MARK: - Pods and what makes them

    private static func pod(_ context: inout RuleContext) {
        check(&context, podSpec: context.document.spec, at: "spec")
        guard let old = context.old else { return }
        let node = old.spec["nodeName"]?.stringValue ?? ""
        if !node.isEmpty, context.hasChanged("spec", "nodeName") {
            context.report(
                .forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`: nodeName"))
        }
    }

    private static func workload(_ context: inout RuleContext) {
        let document = context.document
        let spec = document.spec
        if let template = spec["template"] {
            let claims = (spec["volumeClaimTemplates"]?.arrayValue ?? []).compactMap {
                $0["metadata"]?["name"]?.stringValue
            }
            check(&context, podSpec: template["spec"] ?? .null, at: "spec.template.spec", claims: claims)
            checkSelector(&context, spec["selector"], labels: template["metadata"]?["labels"])
            let policy = template["spec"]?["restartPolicy"]?.stringValue ?? "Always"
            if policy != "Always" {
                context.report(.notSupported("spec.template.spec.restartPolicy", .string(policy), ["Always"]))
            }
        }
        if let replicas = spec["replicas"]?.integerValue, replicas < 0 {
            context.report(.invalid("spec.replicas", .integer(replicas), "must be greater than or equal to 0"))
        }
        if document.kind == "StatefulSet" { return statefulSet(&context) }
        if context.old != nil, context.hasChanged("spec", "selector"), let selector = spec["selector"] {
            context.report(.immutable("spec.selector", selector))
        }
    }

    private static func statefulSet(_ context: inout RuleContext) {
        guard let old = context.old else { return }
        func fixed(_ spec: JSON) -> JSON {
            var fixed = spec.objectValue ?? JSONObject()
            fixed.removeAll([
                "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
            ])
            return .object(fixed)
        }
        if fixed(context.document.spec) == fixed(old.spec) { return }
        context.report(
            .forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                    + "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                    + "'minReadySeconds' are forbidden"))
    }

    private static func checkSelector(_ context: inout RuleContext, _ selector: JSON?, labels: JSON?) {
        let wanted = selector?["matchLabels"]?.objectValue?.members ?? []
        let expressions = selector?["matchExpressions"]?.arrayValue ?? []
        if wanted.isEmpty, expressions.isEmpty {
            let detail = "empty selector is invalid for deployment"
            return context.report(.invalid("spec.selector", selector ?? .object(JSONObject()), detail))
        }
        if wanted.allSatisfy({ labels?[$0.key] == $0.value }) { return }
        let detail = "`selector` does not match template `labels`"
        context.report(.invalid("spec.template.metadata.labels", labels ?? .null, detail))
    }

    private static func event(_ context: inout RuleContext) {
        let namespace = context.document["involvedObject"]?["namespace"]?.stringValue ?? ""
        if namespace.isEmpty || namespace.isSameBytes(as: context.document.namespace) { return }
        context.report(.invalid("involvedObject.namespace", .string(namespace), "does not match event.namespace"))
    }

    private static func binding(_ context: inout RuleContext) {
        guard context.old != nil, context.hasChanged("roleRef") else { return }
        let role = context.document["roleRef"]
        let value: JSON = [
            "APIGroup": role?["apiGroup"] ?? "", "Kind": role?["kind"] ?? "", "Name": role?["name"] ?? "",
        ]
        context.report(.invalid("roleRef", value, "cannot change roleRef"))
    }

    private static func controllerRevision(_ context: inout RuleContext) {
        guard context.old != nil, context.hasChanged("data") else { return }
        context.report(.immutable("data", .string("…")))
    }

    static func check(
        _ context: inout RuleContext, podSpec spec: JSON, at place: String, claims: [String] = []
    ) {
        let containers = spec["containers"]?.arrayValue ?? []
        if containers.isEmpty { context.report(.required("\(place).containers")) }
        let volumes = Set((spec["volumes"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue } + claims)
        let initial = (spec["initContainers"]?.arrayValue ?? []).enumerated()
            .map { ("\(place).initContainers[\($0.offset)]", $0.element) }
        let main = containers.enumerated().map { ("\(place).containers[\($0.offset)]", $0.element) }
        for (field, container) in initial + main {
            if let name = container["name"]?.stringValue, let problem = NameRules.labelProblem(name) {
                context.report(.invalid("\(field).name", .string(name), problem))
            }
            let isProcess = spec["runtimeClassName"]?.stringValue == "espalier-process"
            if !isProcess, container["image"]?.stringValue?.isEmpty ?? true {
                context.report(
                    .required(
                        "\(field).image",
                        "or runtimeClassName: espalier-process with a command, to run a program of the node"))
            }
            for (number, mount) in (container["volumeMounts"]?.arrayValue ?? []).enumerated() {
                guard let name = mount["name"]?.stringValue, !volumes.contains(name) else { continue }
                let text = FieldError.text(.string(name))
                context.report(FieldError(.notFound, "\(field).volumeMounts[\(number)].name", "Not found: \(text)"))
            }
        }
    }
}
