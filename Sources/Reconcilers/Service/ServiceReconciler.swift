package import Client
package import ControlLoop
internal import Documents
package import Seams

/// Lists the pods behind a Service in EndpointSlices. Pods whose ports have the same numbers share slices; a pod on the
/// host's network has ports of its own, and so a slice of its own.
package struct ServiceReconciler: Reconciler {
    package init() {}

    package var primary: ResourceInformation { Kinds.service }
    package var owner: FieldOwner { FieldOwner(loop: "service") }

    package var interests: [Interest] {
        [
            .child(Kinds.endpointSlice.resource),
            .reference(Kinds.pod.resource) { pod, view in
                let labels = pod.labels
                return view.list(Kinds.service.resource, pod.namespace).filter { service in
                    Self.selector(service).map { $0.allSatisfy { labels[$0.key] == $0.value } } ?? false
                }.map(PrimaryName.init)
            },
        ]
    }

    /// The labels a Service's pods have; `nil` where it selects none.
    private static func selector(_ service: Document) -> [String: String]? {
        guard let members = service.spec["selector"]?.objectValue?.members, !members.isEmpty else { return nil }
        return Dictionary(members.map { ($0.key, $0.value.text) }) { first, _ in first }
    }

    package func reconcile(_ observed: Observation<PlainView>, now: Instant) -> Outcome {
        let service = observed.primary.document
        var outcome = Outcome()
        guard let selector = Self.selector(service), service.spec.text("type") != "ExternalName" else { return outcome }
        let pods = observed.view.list(Kinds.pod.resource, service.namespace).filter { pod in
            let labels = pod.labels
            return selector.allSatisfy { labels[$0.key] == $0.value }
        }.map(PodView.init).filter { !$0.isOver && !$0.document.status.text("podIP").isEmpty }

        var order: [String] = []
        var groups: [String: (ports: JSON, pods: [PodView])] = [:]
        for pod in pods {
            let ports = Self.ports(service, pod.document)
            let key = ports.canonical.text()
            if groups[key] == nil { order.append(key) }
            groups[key, default: (ports, [])].pods.append(pod)
        }
        for key in order.sorted() {
            guard let group = groups[key] else { continue }
            let hash = StableHash.text(StableHash.of(Array(key.utf8))).suffix(8)
            for (index, start) in stride(from: 0, to: group.pods.count, by: ReconcilerLimits.endpointsPerSlice)
                .enumerated()
            {
                let part = group.pods[start..<min(start + ReconcilerLimits.endpointsPerSlice, group.pods.count)]
                let name = index == 0 ? "\(service.name)-\(hash)" : "\(service.name)-\(hash)-\(index)"
                outcome.children.append(
                    .apply(
                        Kinds.endpointSlice.resource, slice(service, name, group.ports, Array(part)),
                        because: "pods match the selector"))
            }
        }
        return outcome
    }

    private func slice(_ service: Document, _ name: String, _ ports: JSON, _ pods: [PodView]) -> Document {
        var labels = [Label.serviceName: service.name, Label.managedBy: owner.name]
        for label in [Label.partOf, Label.component, Label.hash] { labels[label] = service.labels[label] }
        var document = Kinds.endpointSlice.document(namespace: service.namespace, name: name, labels: labels)
        document["addressType"] = .string(
            pods.contains { $0.document.status.text("podIP").contains(":") } ? "IPv6" : "IPv4")
        document["ports"] = ports
        let publishesAll = service.spec["publishNotReadyAddresses"]?.boolValue ?? false
        document["endpoints"] = .array(pods.map { endpoint($0, of: service, publishesAll: publishesAll) })
        return document
    }

    private func endpoint(_ pod: PodView, of service: Document, publishesAll: Bool) -> JSON {
        let serves = pod.isReady || publishesAll
        var endpoint: JSONObject = [
            "addresses": [.string(pod.document.status.text("podIP"))],
            "conditions": [
                "ready": .bool(serves && !pod.isTerminating), "serving": .bool(serves),
                "terminating": .bool(pod.isTerminating),
            ],
            "targetRef": [
                "kind": "Pod", "name": .string(pod.document.name), "namespace": .string(pod.document.namespace),
                "uid": .string(pod.document.uid),
            ],
        ]
        endpoint["nodeName"] = pod.document.spec["nodeName"]
        // The pod has a name of its own below that of the Service, as those of a StatefulSet have.
        if let name = pod.document.spec["hostname"]?.stringValue, !name.isEmpty,
            pod.document.spec.text("subdomain") == service.name
        {
            endpoint["hostname"] = .string(name)
        }
        return .object(endpoint)
    }

    /// The Service's ports as numbers on this pod: the port the node gave it, the container's port of that name, or the
    /// number itself. Ports the pod does not have are left out.
    static func ports(_ service: Document, _ pod: Document) -> JSON {
        // Not JSON: none given.
        let given = pod.annotations[Label.ports].flatMap { try? JSONParser.parse(Array($0.utf8)) }
        return .array(
            service.spec.elements("ports").compactMap { port in
                let target = port["targetPort"] ?? port["port"] ?? .null
                let declared = pod.spec.elements("containers").flatMap { $0.elements("ports") }.first {
                    $0["name"] == target || $0["containerPort"] == target
                }
                let name = declared?["name"]?.stringValue ?? target.text
                guard
                    let number = given?[name]?.integerValue ?? given?[target.text()]?.integerValue
                        ?? declared?["containerPort"]?.integerValue ?? target.integerValue
                else { return nil }
                var json: JSONObject = [
                    "name": .string(port.text("name")), "protocol": port["protocol"] ?? "TCP", "port": .integer(number),
                ]
                json["appProtocol"] = port["appProtocol"]
                return .object(json)
            })
    }
}
