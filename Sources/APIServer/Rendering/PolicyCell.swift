internal import Documents

/// What `kubectl get` says of PodDisruptionBudgets and HorizontalPodAutoscalers.
enum PolicyCell {
    /// A number or a percentage.
    static func amount(_ json: JSON?) -> String {
        guard let json else { return "N/A" }
        return json.stringValue ?? json.text()
    }

    static func autoscaler(_ rule: String, _ document: Document) -> JSON {
        let spec = document.spec
        switch rule {
        case "autoscalerReference":
            let target = spec["scaleTargetRef"]
            return .string("\(ComputedCell.text(target?["kind"]))/\(ComputedCell.text(target?["name"]))")
        case "autoscalerMinimum": return .string(spec["minReplicas"]?.text() ?? "<unset>")
        case "autoscalerReplicas": return .integer(ComputedCell.integer(document.status["currentReplicas"]))
        default: return .string(targets(document))
        }
    }

    private static func targets(_ document: Document) -> String {
        if let percentage = document.spec["targetCPUUtilizationPercentage"] {
            let current = document.status["currentCPUUtilizationPercentage"].map { "\($0.text())%" }
            return "cpu: \(current ?? "<unknown>")/\(percentage.text())%"
        }
        let metrics = document.spec["metrics"]?.arrayValue ?? []
        if metrics.isEmpty { return "<none>" }
        let current = document.status["currentMetrics"]?.arrayValue ?? []
        let shown = metrics.prefix(2).enumerated().map { index, metric in
            target(metric, current: index < current.count ? current[index] : nil)
        }
        let rest = metrics.count - shown.count
        return shown.joined(separator: ", ") + (rest > 0 ? " + \(rest) more..." : "")
    }

    private static func target(_ metric: JSON, current: JSON?) -> String {
        guard let (member, source) = source(metric) else { return "<unknown type>" }
        let measured = current?[member]?["current"]
        let name = ["resource", "containerResource"].contains(member) ? "\(ComputedCell.text(source["name"])): " : ""
        if let percentage = source["target"]?["averageUtilization"] {
            let now = measured?["averageUtilization"].map { "\($0.text())%" } ?? "<unknown>"
            return "\(name)\(now)/\(percentage.text())%"
        }
        let kind = source["target"]?["averageValue"] == nil ? "value" : "averageValue"
        let suffix = kind == "averageValue" && name.isEmpty ? " (avg)" : ""
        return "\(name)\(measured?[kind].map(amount) ?? "<unknown>")/\(amount(source["target"]?[kind]))\(suffix)"
    }

    private static func source(_ metric: JSON) -> (String, JSON)? {
        let names = ["resource", "containerResource", "pods", "object", "external"]
        return names.lazy.compactMap { name in metric[name].map { (name, $0) } }.first
    }
}

/// What `kubectl get` says of Ingresses and IngressClasses.
enum IngressCell {
    static func value(_ rule: String, _ document: Document) -> JSON {
        let spec = document.spec
        switch rule {
        case "ingressClass":
            let annotation = document.annotations["kubernetes.io/ingress.class"] ?? ""
            let name = ComputedCell.text(spec["ingressClassName"])
            return .string(ComputedCell.orNone(name.isEmpty ? annotation : name))
        case "ingressHosts":
            let hosts = (spec["rules"]?.arrayValue ?? []).map { ComputedCell.text($0["host"]) }.filter { !$0.isEmpty }
            let more = hosts.count > 3 ? " + \(hosts.count - 3) more..." : ""
            return .string(hosts.isEmpty ? "*" : hosts.prefix(3).joined(separator: ",") + more)
        case "ingressAddress":
            let points = document.status["loadBalancer"]?["ingress"]?.arrayValue ?? []
            let addresses = points.map { point in
                let address = ComputedCell.text(point["ip"])
                return address.isEmpty ? ComputedCell.text(point["hostname"]) : address
            }
            return .string(addresses.filter { !$0.isEmpty }.joined(separator: ","))
        case "ingressPorts": return .string((spec["tls"]?.arrayValue ?? []).isEmpty ? "80" : "80, 443")
        default:
            guard let parameters = spec["parameters"] else { return "<none>" }
            let group = ComputedCell.text(parameters["apiGroup"])
            let kind = ComputedCell.text(parameters["kind"]) + (group.isEmpty ? "" : ".\(group)")
            return .string("\(kind)/\(ComputedCell.text(parameters["name"]))")
        }
    }
}
