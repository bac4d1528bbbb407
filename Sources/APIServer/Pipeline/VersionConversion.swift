internal import Documents

/// What changes when a document is read or written at another version than the one it is stored in. Versions of users'
/// kinds differ in their name alone (strategy None), or a webhook knows more (strategy Webhook). Pure: what a webhook knows
/// is in the resource's `conversions`, or has to be asked for first.
enum VersionConversion {
    /// The stored document as `resource` serves it.
    static func served(_ document: Document, as resource: ServedResource) throws(APIError) -> Document {
        if document.apiVersion.isSameBytes(as: resource.apiVersion) { return document }
        if resource.definition.conversion != nil {
            if let conversions = resource.conversions {
                return try conversions.converted(document, to: resource.apiVersion)
            }
            // The server itself, when it tidies up, sees documents as they are stored.
            if resource.isStorageVersion { return document }
            throw APIPipeline.internalError("\(resource.apiVersion) is converted for clients alone")
        }
        var document = document
        document["apiVersion"] = .string(resource.apiVersion)
        switch (resource.kind.group, resource.kind.kind) {
        case ("autoscaling", "HorizontalPodAutoscaler"): AutoscalerConversion.toVersion1(&document)
        case ("events.k8s.io", "Event"): EventConversion.fromCore(&document)
        default: break
        }
        return document
    }

    /// The document of a client as it is stored.
    static func stored(_ document: Document, from resource: ServedResource) throws(APIError) -> Document {
        if resource.isStorageVersion { return document }
        if let conversions = resource.conversions {
            return try conversions.converted(document, to: resource.storageAPIVersion)
        }
        var document = document
        switch (resource.kind.group, resource.kind.kind) {
        case ("autoscaling", "HorizontalPodAutoscaler"): AutoscalerConversion.toVersion2(&document)
        case ("events.k8s.io", "Event"): EventConversion.toCore(&document)
        default: break
        }
        document["apiVersion"] = .string(resource.storageAPIVersion)
        return document
    }
}

/// HorizontalPodAutoscalers: version 1 knows one metric, the use of the CPU, and keeps the others in an annotation.
private enum AutoscalerConversion {
    private static let annotation = "autoscaling.alpha.kubernetes.io/metrics"

    static func toVersion1(_ document: inout Document) {
        let metrics = document.spec["metrics"]?.arrayValue ?? []
        document.json["spec"]?["metrics"] = nil
        let cpu = metrics.firstIndex { utilization(of: $0) != nil }
        document.json["spec"]?["targetCPUUtilizationPercentage"] = cpu.flatMap { utilization(of: metrics[$0]) }
        let others = metrics.enumerated().filter { $0.offset != cpu }.map(\.element)
        if !others.isEmpty { setAnnotation(&document, .string(JSON.array(others).text())) }
    }

    static func toVersion2(_ document: inout Document) {
        var metrics: [JSON] = []
        if let percentage = document.spec["targetCPUUtilizationPercentage"] {
            let target: JSON = ["type": "Utilization", "averageUtilization": percentage]
            metrics.append(["type": "Resource", "resource": ["name": "cpu", "target": target]])
        }
        if let text = document.annotations[annotation] {
            // Only what this server wrote is read back; anything else stays an annotation.
            guard let others = try? JSONParser.parse(Array(text.utf8)).arrayValue else { return }
            metrics += others
            setAnnotation(&document, nil)
        }
        document.json["spec"]?["targetCPUUtilizationPercentage"] = nil
        document.json["spec"]?["metrics"] = metrics.isEmpty ? nil : .array(metrics)
    }

    private static func utilization(of metric: JSON) -> JSON? {
        guard metric["type"]?.stringValue == "Resource", metric["resource"]?["name"]?.stringValue == "cpu" else {
            return nil
        }
        return metric["resource"]?["target"]?["averageUtilization"]
    }

    private static func setAnnotation(_ document: inout Document, _ value: JSON?) {
        var annotations = document.json["metadata"]?["annotations"]?.objectValue ?? JSONObject()
        annotations[annotation] = value
        document.json["metadata"]?["annotations"] = annotations.isEmpty ? nil : .object(annotations)
    }
}

/// Events of the group events.k8s.io: those of the core group under other names.
private enum EventConversion {
    private static let names = [
        ("involvedObject", "regarding"), ("message", "note"), ("source", "deprecatedSource"),
        ("firstTimestamp", "deprecatedFirstTimestamp"), ("lastTimestamp", "deprecatedLastTimestamp"),
        ("count", "deprecatedCount"), ("reportingComponent", "reportingController"),
    ]

    static func fromCore(_ document: inout Document) {
        for (core, other) in names { rename(core, other, in: &document) }
    }

    static func toCore(_ document: inout Document) {
        for (core, other) in names { rename(other, core, in: &document) }
        let defaults: [(String, JSON)] = [
            ("involvedObject", [:]), ("reportingComponent", ""), ("reportingInstance", ""),
        ]
        for (name, value) in defaults where document[name] == nil { document[name] = value }
    }

    private static func rename(_ old: String, _ new: String, in document: inout Document) {
        guard let value = document[old] else { return }
        document[old] = nil
        document[new] = value
    }
}
