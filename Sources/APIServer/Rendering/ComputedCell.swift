internal import Documents
internal import Seams

/// Cells of built-in kinds that no single field holds: the rules by which upstream prints them.
enum ComputedCell {
    static func value(_ rule: String, _ document: Document, now: Instant) -> JSON {
        switch rule {
        case "dataCount": .integer(Int64(count(document["data"]) + count(document["binaryData"])))
        case "selector": .string(selector(document.spec["selector"]))
        case "roleRef": .string("\(text(document["roleRef"]?["kind"]))/\(text(document["roleRef"]?["name"]))")
        case "subjectUsers": .string(subjects(document, "User"))
        case "subjectGroups": .string(subjects(document, "Group"))
        case "subjectServiceAccounts": .string(subjects(document, "ServiceAccount"))
        case "accessModes": .string(accessModes(document))
        case "controller": .string(controller(document))
        case "containerNames": .string(containers(document, "name"))
        case "containerImages": .string(containers(document, "image"))
        case "deploymentReady":
            .string("\(integer(document.status["readyReplicas"]))/\(document.spec["replicas"]?.integerValue ?? 1)")
        case "availableReplicas": .integer(integer(document.status["availableReplicas"]))
        case "readyReplicas": .integer(integer(document.status["readyReplicas"]))
        case "updatedReplicas": .integer(integer(document.status["updatedReplicas"]))
        case "currentReplicas": .integer(integer(document.status["replicas"]))
        case "desiredReplicas": .integer(document.spec["replicas"]?.integerValue ?? 0)
        case "podIP": .string(orNone(text(document.status["podIP"])))
        case "podNode": .string(orNone(text(document.spec["nodeName"])))
        case "podNominatedNode": .string(orNone(text(document.status["nominatedNodeName"])))
        case "templateLabels": .string(selector(document["template"]?["metadata"]?["labels"] ?? [:]))
        case "globalDefault": .bool(document["globalDefault"]?.boolValue ?? false)
        case "allowsExpansion": .bool(document["allowVolumeExpansion"]?.boolValue ?? false)
        case "budgetMinAvailable": .string(PolicyCell.amount(document.spec["minAvailable"]))
        case "budgetMaxUnavailable": .string(PolicyCell.amount(document.spec["maxUnavailable"]))
        case "budgetAllowed": .integer(integer(document.status["disruptionsAllowed"]))
        case "autoscalerReference", "autoscalerTargets", "autoscalerMinimum", "autoscalerReplicas":
            PolicyCell.autoscaler(rule, document)
        case "ingressClass", "ingressHosts", "ingressAddress", "ingressPorts", "ingressClassParameters":
            IngressCell.value(rule, document)
        case "podReady", "podStatus", "podRestarts", "podReadinessGates": PodCell.value(rule, document, now: now)
        case "servicePorts", "serviceExternalIP", "serviceSelector": service(rule, document)
        case "endpoints", "endpointSliceAddresses", "endpointSlicePorts": endpoints(rule, document)
        case "nodeStatus", "nodeRoles": node(rule, document)
        case "jobStatus", "jobCompletions", "jobDuration", "cronJobActive": job(rule, document, now: now)
        case "eventLastSeen", "eventFirstSeen", "eventObject", "eventSource", "eventCount":
            event(rule, document, now: now)
        default: .null
        }
    }

    static func text(_ json: JSON?) -> String { json?.stringValue ?? "" }
    static func integer(_ json: JSON?) -> Int64 { json?.integerValue ?? 0 }
    private static func count(_ json: JSON?) -> Int { json?.objectValue?.count ?? 0 }
    static func orNone(_ text: String) -> String { text.isEmpty ? "<none>" : text }

    static func age(_ json: JSON?, now: Instant) -> String {
        guard let text = json?.stringValue, let instant = Instant(rfc3339: text) else { return "<unknown>" }
        return HumanDuration.text(now - instant)
    }

    /// A selector as a label selector's text, whichever of the two forms it has.
    private static func selector(_ json: JSON?) -> String {
        guard let json else { return "<none>" }
        if json["matchLabels"] != nil || json["matchExpressions"] != nil {
            // What is stored was admitted; a selector that is none prints as one that selects nothing known.
            guard let selector = try? LabelSelector(json: json) else { return "<none>" }
            return orNone(selector.description)
        }
        let pairs = json.objectValue?.members.map { "\($0.key)=\(text($0.value))" } ?? []
        return orNone(pairs.sorted().joined(separator: ","))
    }

    private static func subjects(_ document: Document, _ kind: String) -> String {
        let subjects = (document["subjects"]?.arrayValue ?? []).filter { text($0["kind"]) == kind }
        return subjects.map { subject in
            let namespace = text(subject["namespace"])
            return (kind == "ServiceAccount" && !namespace.isEmpty ? "\(namespace)/" : "") + text(subject["name"])
        }.joined(separator: ", ")
    }

    private static func accessModes(_ document: Document) -> String {
        let modes = (document.status["accessModes"] ?? document.spec["accessModes"])?.arrayValue ?? []
        let short = ["ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"]
        return modes.compactMap(\.stringValue).map { short[$0] ?? $0 }.joined(separator: ",")
    }

    private static func controller(_ document: Document) -> String {
        guard let owner = document.controller else { return "<none>" }
        let (group, _) = GroupVersionKind.split(apiVersion: owner.apiVersion)
        let kind = owner.kind.lowercased()
        return group.isEmpty ? "\(kind)/\(owner.name)" : "\(kind).\(group)/\(owner.name)"
    }

    private static func containers(_ document: Document, _ member: String) -> String {
        let template =
            document["template"]?["spec"] ?? document.spec["template"]?["spec"]
            ?? document.spec["jobTemplate"]?["spec"]?["template"]?["spec"]
        let containers = template?["containers"]?.arrayValue ?? []
        return orNone(containers.map { text($0[member]) }.filter { !$0.isEmpty }.joined(separator: ","))
    }

    private static func service(_ rule: String, _ document: Document) -> JSON {
        let spec = document.spec
        switch rule {
        case "serviceSelector": return .string(selector(spec["selector"]))
        case "servicePorts":
            let ports = (spec["ports"]?.arrayValue ?? []).map { port in
                let number = integer(port["port"])
                let node = integer(port["nodePort"])
                let protocolName = text(port["protocol"]).isEmpty ? "TCP" : text(port["protocol"])
                return node > 0 ? "\(number):\(node)/\(protocolName)" : "\(number)/\(protocolName)"
            }
            return .string(orNone(ports.joined(separator: ",")))
        default:
            let external = (spec["externalIPs"]?.arrayValue ?? []).compactMap(\.stringValue)
            switch text(spec["type"]) {
            case "ExternalName": return .string(text(spec["externalName"]))
            case "LoadBalancer":
                let ingress = document.status["loadBalancer"]?["ingress"]?.arrayValue ?? []
                let found = ingress.map { text($0["ip"]).isEmpty ? text($0["hostname"]) : text($0["ip"]) } + external
                return .string(found.isEmpty ? "<pending>" : found.joined(separator: ","))
            default: return .string(orNone(external.joined(separator: ",")))
            }
        }
    }

    private static func endpoints(_ rule: String, _ document: Document) -> JSON {
        switch rule {
        case "endpointSlicePorts":
            let ports = (document["ports"]?.arrayValue ?? []).compactMap { $0["port"]?.integerValue }.map(String.init)
            return .string(ports.isEmpty ? "<unset>" : shortened(ports))
        case "endpointSliceAddresses":
            let endpoints = document["endpoints"]?.arrayValue ?? []
            let addresses = endpoints.flatMap { $0["addresses"]?.arrayValue ?? [] }.compactMap(\.stringValue)
            return .string(addresses.isEmpty ? "<unset>" : shortened(addresses))
        default:
            var found: [String] = []
            for subset in document["subsets"]?.arrayValue ?? [] {
                let ports = (subset["ports"]?.arrayValue ?? []).map { integer($0["port"]) }
                for address in subset["addresses"]?.arrayValue ?? [] {
                    if ports.isEmpty { found.append(text(address["ip"])) }
                    for port in ports { found.append("\(text(address["ip"])):\(port)") }
                }
            }
            return .string(found.isEmpty ? "<none>" : shortened(found))
        }
    }

    private static func shortened(_ values: [String]) -> String {
        values.count <= 3
            ? values.joined(separator: ",")
            : values.prefix(3).joined(separator: ",") + " + \(values.count - 3) more..."
    }

    private static func node(_ rule: String, _ document: Document) -> JSON {
        if rule == "nodeRoles" {
            let prefix = "node-role.kubernetes.io/"
            let roles = document.labels.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
            return .string(orNone(roles.sorted().joined(separator: ",")))
        }
        let ready = (document.status["conditions"]?.arrayValue ?? []).first { text($0["type"]) == "Ready" }
        var words = [text(ready?["status"]) == "True" ? "Ready" : ready == nil ? "Unknown" : "NotReady"]
        if document.spec["unschedulable"]?.boolValue == true { words.append("SchedulingDisabled") }
        return .string(words.joined(separator: ","))
    }

    private static func job(_ rule: String, _ document: Document, now: Instant) -> JSON {
        let status = document.status
        switch rule {
        case "cronJobActive": return .integer(Int64(status["active"]?.arrayValue?.count ?? 0))
        case "jobCompletions":
            return .string("\(integer(status["succeeded"]))/\(document.spec["completions"]?.integerValue ?? 1)")
        case "jobDuration":
            guard let start = status["startTime"]?.stringValue.flatMap({ Instant(rfc3339: $0) }) else { return "" }
            let end = status["completionTime"]?.stringValue.flatMap { Instant(rfc3339: $0) } ?? now
            return .string(HumanDuration.text(end - start))
        default:
            let conditions = status["conditions"]?.arrayValue ?? []
            let holding = Set(conditions.filter { text($0["status"]) == "True" }.map { text($0["type"]) })
            for (type, word) in [("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended")]
            where holding.contains(type) { return .string(word) }
            return document.isBeingDeleted ? "Terminating" : "Running"
        }
    }

    private static func event(_ rule: String, _ document: Document, now: Instant) -> JSON {
        let time = document["eventTime"]
        switch rule {
        case "eventObject":
            let object = document["involvedObject"] ?? document["regarding"]
            return .string("\(text(object?["kind"]).lowercased())/\(text(object?["name"]))")
        case "eventSource":
            let component = text(document["source"]?["component"])
            let source = component.isEmpty ? text(document["reportingComponent"]) : component
            let host = text(document["source"]?["host"])
            return .string(host.isEmpty ? source : "\(source), \(host)")
        case "eventCount":
            let series = document["series"]?["count"]?.integerValue
            return .integer(series ?? max(1, integer(document["count"])))
        case "eventFirstSeen":
            let first = document["firstTimestamp"]?.stringValue == nil ? time : document["firstTimestamp"]
            return .string(age(first, now: now))
        default:
            let series = document["series"]?["lastObservedTime"]
            let known = document["lastTimestamp"] ?? document["deprecatedLastTimestamp"]
            let last = known?.stringValue == nil ? nil : known
            return .string(age(series ?? last ?? time, now: now))
        }
    }
}

/// What `kubectl get pods` says of a pod, derived as upstream derives it from phase, conditions and container states.
enum PodCell {
    static func value(_ rule: String, _ pod: Document, now: Instant) -> JSON {
        let statuses = pod.status["containerStatuses"]?.arrayValue ?? []
        switch rule {
        case "podReady":
            let total = pod.spec["containers"]?.arrayValue?.count ?? 0
            let ready = statuses.count { $0["ready"]?.boolValue == true && $0["state"]?["running"] != nil }
            return .string("\(ready)/\(total)")
        case "podRestarts": return .string(restarts(statuses, now: now))
        case "podReadinessGates": return .string("<none>")
        default: return .string(status(pod, statuses))
        }
    }

    private static func restarts(_ statuses: [JSON], now: Instant) -> String {
        let count = statuses.reduce(0) { $0 + ComputedCell.integer($1["restartCount"]) }
        let last = statuses.compactMap { $0["lastState"]?["terminated"]?["finishedAt"]?.stringValue }
            .compactMap { Instant(rfc3339: $0) }.max()
        guard count > 0, let last else { return String(count) }
        return "\(count) (\(HumanDuration.text(now - last)) ago)"
    }

    private static func status(_ pod: Document, _ statuses: [JSON]) -> String {
        let text = ComputedCell.text
        var reason = text(pod.status["reason"]).isEmpty ? text(pod.status["phase"]) : text(pod.status["reason"])
        if reason.isEmpty { reason = "Unknown" }
        var hasRunning = false
        for status in statuses.reversed() {
            let state = status["state"]
            if let waiting = state?["waiting"], !text(waiting["reason"]).isEmpty {
                reason = text(waiting["reason"])
            } else if let ended = state?["terminated"] {
                let signal = ComputedCell.integer(ended["signal"])
                reason =
                    !text(ended["reason"]).isEmpty
                    ? text(ended["reason"])
                    : signal != 0 ? "Signal:\(signal)" : "ExitCode:\(ComputedCell.integer(ended["exitCode"]))"
            } else if state?["running"] != nil, status["ready"]?.boolValue == true {
                hasRunning = true
            }
        }
        if reason == "Completed", hasRunning { reason = "Running" }
        if pod.isBeingDeleted { return text(pod.status["reason"]) == "NodeLost" ? "Unknown" : "Terminating" }
        return reason
    }
}
