internal import Documents
internal import Seams
internal import Synchronization

/// What Kubernetes does to documents of some kinds before they are admitted.
extension APIPipeline {
    /// `reserved` is the address the document was given; whoever does not commit gives it back.
    func prepareForCreate(
        _ document: inout Document, _ resource: ServedResource, _ reserved: inout String?
    ) throws(APIError) {
        guard resource.definition.isBuiltIn else { return }
        switch resource.groupResource {
        case WellKnown.namespaces:
            var labels = document.json["metadata"]?["labels"]?.objectValue ?? JSONObject()
            labels["kubernetes.io/metadata.name"] = .string(document.name)
            document.json["metadata"]?["labels"] = .object(labels)
            document["spec"] = ["finalizers": ["kubernetes"]]
            document["status"] = ["phase": "Active"]
        case WellKnown.pods:
            document["status"] = ["phase": "Pending", "qosClass": .string(PodDefaults.qualityOfService(document))]
            document["spec"] = PodDefaults.spec(document.spec)
        case WellKnown.services: try prepareService(&document, old: nil, &reserved)
        case WellKnown.secrets: Self.mergeStringData(&document)
        case WellKnown.customResourceDefinitions: document = CustomResources.defaulted(document)
        case WellKnown.jobs: document = JobDefaults.applied(to: document)
        case WellKnown.persistentVolumeClaims: document = try prepareClaim(document)
        case WellKnown.persistentVolumes: document["status"] = ["phase": "Pending"]
        default: break
        }
    }

    func prepareForUpdate(_ document: inout Document, old: Document, _ resource: ServedResource) throws(APIError) {
        guard resource.definition.isBuiltIn else { return }
        switch resource.groupResource {
        case WellKnown.namespaces: document["spec"] = old["spec"]
        case WellKnown.services:
            var reserved: String?
            try prepareService(&document, old: old, &reserved)
        case WellKnown.secrets: Self.mergeStringData(&document)
        case WellKnown.customResourceDefinitions: document = CustomResources.defaulted(document)
        default: break
        }
    }

    /// `stringData` is a way to write, never to read: its values become base64 in `data`.
    static func mergeStringData(_ document: inout Document) {
        let strings = document["stringData"]?.objectValue
        document["stringData"] = nil
        guard let strings, !strings.isEmpty else { return }
        var data = document["data"]?.objectValue ?? JSONObject()
        for member in strings.members {
            if let text = member.value.stringValue { data[member.key] = .string(Base64.encode(Array(text.utf8))) }
        }
        document["data"] = .object(data)
    }

    private func prepareService(_ document: inout Document, old: Document?, _ reserved: inout String?) throws(APIError)
    {
        var spec = document.spec.objectValue ?? JSONObject()
        let type = spec["type"]?.stringValue ?? "ClusterIP"
        var ports = spec["ports"]?.arrayValue ?? []
        for index in ports.indices {
            if ports[index]["protocol"] == nil { ports[index]["protocol"] = "TCP" }
            if ports[index]["targetPort"] == nil { ports[index]["targetPort"] = ports[index]["port"] }
        }
        if !ports.isEmpty { spec["ports"] = .array(ports) }
        defer { document["spec"] = .object(spec) }
        if type == "ExternalName" { return }
        for (name, value) in serviceDefaults where spec[name] == nil { spec[name] = value }
        let before = old?.spec["clusterIP"]?.stringValue ?? ""
        var address = spec["clusterIP"]?.stringValue ?? ""
        if address.isEmpty, !before.isEmpty { address = before }
        if address.isEmpty {
            guard let free = cluster.withLock({ $0.addresses.allocate() }) else {
                throw Self.internalError("failed to allocate a serviceIP: range is full")
            }
            reserved = free
            address = free
        } else if address != "None", address != before, !cluster.withLock({ $0.addresses.isFree(address) }) {
            let kind = GroupVersionKind(group: "", version: "v1", kind: "Service")
            let isKnown = cluster.withLock { $0.addresses.contains(address) }
            let why =
                isKnown
                ? "provided IP is already allocated"
                : "provided IP is not in the valid range \(configuration.serviceRange)"
            let message =
                "Invalid value: \(JSON.array([.string(address)]).text()): failed to allocate IP \(address): \(why)"
            throw .invalid(
                kind, document.name,
                [APIError.Cause(reason: "FieldValueInvalid", message: message, field: "spec.clusterIPs")])
        }
        spec["clusterIP"] = .string(address)
        spec["clusterIPs"] = [.string(address)]
        document["status"] = document["status"] ?? ["loadBalancer": [:]]
    }

    private var serviceDefaults: [(String, JSON)] {
        [
            ("type", "ClusterIP"), ("sessionAffinity", "None"), ("internalTrafficPolicy", "Cluster"),
            ("ipFamilies", ["IPv4"]), ("ipFamilyPolicy", "SingleStack"),
        ]
    }
}

/// What a pod has where its author said nothing.
enum PodDefaults {
    /// `BestEffort`, `Burstable` or `Guaranteed`, from requests and limits.
    static func qualityOfService(_ pod: Document) -> String {
        let containers = pod.spec["containers"]?.arrayValue ?? []
        var isGuaranteed = !containers.isEmpty
        var hasAny = false
        for container in containers {
            let requests = container["resources"]?["requests"]
            let limits = container["resources"]?["limits"]
            if requests?.objectValue?.isEmpty == false || limits?.objectValue?.isEmpty == false { hasAny = true }
            for name in ["cpu", "memory"] {
                let limit = limits?[name]
                if limit == nil || (requests?[name] != nil && requests?[name] != limit) { isGuaranteed = false }
            }
        }
        return isGuaranteed ? "Guaranteed" : hasAny ? "Burstable" : "BestEffort"
    }

    static func spec(_ spec: JSON) -> JSON {
        guard var object = spec.objectValue else { return spec }
        if object["terminationGracePeriodSeconds"] == nil { object["terminationGracePeriodSeconds"] = 30 }
        if object["restartPolicy"] == nil { object["restartPolicy"] = "Always" }
        return .object(object)
    }
}

/// What the server does with CustomResourceDefinitions.
enum CustomResources {
    static let cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io"

    /// With the names that follow from others filled in.
    static func defaulted(_ document: Document) -> Document {
        var document = document
        guard var names = document.spec["names"]?.objectValue, let kind = names["kind"]?.stringValue else {
            return document
        }
        if (names["singular"]?.stringValue ?? "").isEmpty { names["singular"] = .string(kind.lowercased()) }
        if (names["listKind"]?.stringValue ?? "").isEmpty { names["listKind"] = .string("\(kind)List") }
        document.json["spec"]?["names"] = .object(names)
        if document.spec["conversion"] == nil { document.json["spec"]?["conversion"] = ["strategy": "None"] }
        return document
    }

    /// Whether documents of the kind may be stored and read.
    static func isEstablished(_ document: Document) -> Bool {
        (document.status["conditions"]?.arrayValue ?? []).contains {
            $0["type"]?.stringValue == "Established" && $0["status"]?.stringValue == "True"
        }
    }

    /// With the status of a definition that is served: the catalogue takes it in with the same write.
    static func established(_ document: Document, old: Document?, _ now: Instant) -> Document {
        var document = document
        var status = (old ?? document).status.objectValue ?? JSONObject()
        let storage = (document.spec["versions"]?.arrayValue ?? []).first { $0["storage"]?.boolValue == true }?["name"]
        var stored = status["storedVersions"]?.arrayValue ?? []
        if let storage, !stored.contains(storage) { stored.append(storage) }
        status["acceptedNames"] = document.spec["names"]
        status["storedVersions"] = .array(stored)
        if !isEstablished(Document(["status": .object(status)])) {
            func condition(_ type: String, _ reason: String, _ message: String) -> JSON {
                [
                    "type": .string(type), "status": "True", "lastTransitionTime": .string(now.rfc3339),
                    "reason": .string(reason), "message": .string(message),
                ]
            }
            status["conditions"] = [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ]
        }
        document["status"] = .object(status)
        return document
    }
}
