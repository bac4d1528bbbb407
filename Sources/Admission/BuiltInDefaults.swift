import Documents

/// Defaults of built-in kinds that depend on other fields, which a schema cannot say.
enum BuiltInDefaults {
    static func apply(to document: inout Document, definition: ResourceDefinition) {
        switch (definition.group, definition.plural) {
        case ("", "services"): service(&document)
        case ("", "pods"): containers(in: &document.json, path: ["spec"])
        case ("apps", "deployments"), ("apps", "replicasets"), ("apps", "statefulsets"), ("apps", "daemonsets"):
            containers(in: &document.json, path: ["spec", "template", "spec"])
            if definition.plural == "statefulsets" { claimTemplates(&document) }
        case ("batch", "jobs"):
            containers(in: &document.json, path: ["spec", "template", "spec"])
            job(&document)
        case ("batch", "cronjobs"):
            containers(in: &document.json, path: ["spec", "jobTemplate", "spec", "template", "spec"])
        case ("apiextensions.k8s.io", "customresourcedefinitions"): resourceDefinition(&document)
        default: break
        }
    }

    private static func resourceDefinition(_ document: inout Document) {
        var spec = document.spec
        guard var names = spec["names"], let kind = names["kind"]?.stringValue else { return }
        if names["singular"] == nil { names["singular"] = .string(kind.lowercased()) }
        if names["listKind"] == nil { names["listKind"] = .string("\(kind)List") }
        spec["names"] = names
        if spec["conversion"] == nil { spec["conversion"] = ["strategy": "None"] }
        document["spec"] = spec
    }

    private static func service(_ document: inout Document) {
        guard var ports = document.spec["ports"]?.arrayValue else { return }
        for index in ports.indices where ports[index]["targetPort"] == nil {
            ports[index]["targetPort"] = ports[index]["port"]
        }
        var spec = document.spec
        spec["ports"] = .array(ports)
        document["spec"] = spec
    }

    /// Claims in a template know their kind, and wait.
    private static func claimTemplates(_ document: inout Document) {
        guard var templates = document.spec["volumeClaimTemplates"]?.arrayValue else { return }
        for index in templates.indices {
            templates[index]["apiVersion"] = templates[index]["apiVersion"] ?? "v1"
            templates[index]["kind"] = templates[index]["kind"] ?? "PersistentVolumeClaim"
            templates[index]["status"] = templates[index]["status"] ?? ["phase": "Pending"]
        }
        document.json["spec"]?["volumeClaimTemplates"] = .array(templates)
    }

    private static func job(_ document: inout Document) {
        var spec = document.spec
        if spec["completions"] == nil, spec["parallelism"] == nil {
            spec["completions"] = 1
            spec["parallelism"] = 1
        } else if spec["parallelism"] == nil {
            spec["parallelism"] = 1
        }
        // Where every index has a limit of its own, the one for all makes way.
        if spec["backoffLimit"] == nil {
            spec["backoffLimit"] = spec["backoffLimitPerIndex"] == nil ? 6 : .integer(Int64(Int32.max))
        }
        if spec["podReplacementPolicy"] == nil {
            spec["podReplacementPolicy"] = spec["podFailurePolicy"] == nil ? "TerminatingOrFailed" : "Failed"
        }
        document["spec"] = spec
    }

    /// An image without a tag, or with the tag latest, is pulled each time.
    private static func containers(in json: inout JSON, path: [String]) {
        guard var spec = json[path: path] else { return }
        for list in ["containers", "initContainers"] {
            guard var containers = spec[list]?.arrayValue else { continue }
            for index in containers.indices where containers[index]["imagePullPolicy"] == nil {
                let image = containers[index]["image"]?.stringValue ?? ""
                containers[index]["imagePullPolicy"] = isLatest(image) ? "Always" : "IfNotPresent"
            }
            spec[list] = .array(containers)
        }
        set(&json, path[...], spec)
    }

    private static func isLatest(_ image: String) -> Bool {
        if image.isEmpty || image.contains("@") { return false }
        let name = image.split(separator: "/").last ?? ""
        guard let colon = name.lastIndex(of: ":") else { return true }
        return name[name.index(after: colon)...] == "latest"
    }

    private static func set(_ json: inout JSON, _ path: ArraySlice<String>, _ value: JSON) {
        guard let first = path.first else { return json = value }
        var below = json[first] ?? .object(JSONObject())
        set(&below, path.dropFirst(), value)
        json[first] = below
    }
}
