internal import Client
internal import ControlLoop
internal import Documents

extension LandscapePass {
    func deployment(_ service: LandscapeRevision.Service) -> Document? {
        observed.view.get(Kinds.deployment.resource, landscape.namespace, service.objectName)
    }

    /// Whether all the pods a service should have are there and take requests.
    func isReady(_ service: LandscapeRevision.Service) -> Bool {
        guard let deployment = deployment(service) else { return false }
        return Capacity.of(deployment) == .full
    }

    /// The Deployment and the Service of every service hash that runs, and of those that may not go yet.
    mutating func addWorkloads(_ running: [LandscapeRevision]) {
        var wanted: [String] = []
        for revision in running {
            for service in revision.services where !wanted.contains(service.objectName) {
                wanted.append(service.objectName)
                addWorkload(service, of: revision)
            }
        }
        for deployment in observed.children(of: Kinds.deployment.resource) where !wanted.contains(deployment.name) {
            guard mustStay(deployment) else { continue }
            result.children.append(.keep(Kinds.deployment.resource, deployment, because: "it may still get requests"))
            if let service = observed.view.get(Kinds.service.resource, deployment.namespace, deployment.name) {
                result.children.append(.keep(Kinds.service.resource, service, because: "it may still get requests"))
            }
        }
    }

    private mutating func addWorkload(_ service: LandscapeRevision.Service, of revision: LandscapeRevision) {
        let labels = labels(service)
        if !service.ports.isEmpty {
            result.children.append(
                .apply(
                    Kinds.service.resource, serviceDocument(service.objectName, service, labels),
                    because: "the pods of \(service.name) \(service.hash) have ports"))
        }
        guard deployment(service) != nil || mayStart(service, of: revision) else { return }
        var document = Kinds.deployment.document(
            namespace: landscape.namespace, name: service.objectName, labels: labels)
        document["spec"] = [
            "replicas": .integer(Int64(replicas(service, of: revision))), "revisionHistoryLimit": 2,
            "selector": ["matchLabels": JSON(labels)], "template": service.template,
        ]
        let container = service.template["spec"]?["containers"]?.arrayValue?.first
        if container?["readinessProbe"] == nil {
            // Without a probe a process is ready as soon as it runs, also in the moment before it crashes again. It
            // must not be promoted for that.
            document["spec"]?["minReadySeconds"] = .integer(ReconcilerLimits.unprobedReadySeconds)
        }
        result.children.append(
            .apply(
                Kinds.deployment.resource, document, because: "\(revision.name) runs \(service.name) \(service.hash)"))
    }

    private func labels(_ service: LandscapeRevision.Service) -> [String: String] {
        [Label.partOf: landscape.name, Label.component: service.name, Label.hash: service.hash]
    }

    private func serviceDocument(
        _ name: String, _ service: LandscapeRevision.Service, _ selector: [String: String]
    ) -> Document {
        var labels = selector
        if name != service.objectName { labels[Label.hash] = nil }
        var document = Kinds.service.document(namespace: landscape.namespace, name: name, labels: labels)
        document["spec"] = [
            "selector": JSON(selector),
            "ports": .array(
                service.ports.map {
                    [
                        "name": .string($0.text("name")), "port": $0["port"] ?? 0,
                        "targetPort": .string($0.text("name")), "protocol": $0["protocol"] ?? "TCP",
                    ]
                }),
        ]
        return document
    }

    /// How many pods: as many as the landscape says, in every revision that runs. Only Recreate stops one revision before
    /// it starts the other.
    private func replicas(_ service: LandscapeRevision.Service, of revision: LandscapeRevision) -> Int {
        let full = min(landscape.replicas(service.name), ReconcilerLimits.replicas)
        guard let (leaving, arriving) = recreation else { return full }
        let isShared = leaving.service(service.name)?.hash == arriving.service(service.name)?.hash
        if isShared { return full }
        if leaving.service(service.name)?.objectName == service.objectName { return 0 }
        return isDrained(leaving, for: arriving) ? full : 0
    }

    /// The two revisions of an attempt under way that stops one before it starts the other.
    private var recreation: (leaving: LandscapeRevision, arriving: LandscapeRevision)? {
        guard let current, !current.isFinished, current.strategy == "Recreate", let from = revision(current.from),
            let to = revision(current.to), from.name != to.name
        else { return nil }
        return current.phase == .rollingBack ? (to, from) : (from, to)
    }

    private func isDrained(_ leaving: LandscapeRevision, for arriving: LandscapeRevision) -> Bool {
        leaving.services.filter { arriving.service($0.name)?.hash != $0.hash }.allSatisfy { service in
            guard let deployment = deployment(service) else { return true }
            return deployment.spec.integer("replicas") == 0
                && deployment.status.integer("observedGeneration").map(Int64.init) == deployment.generation
                && deployment.status.integer("replicas") == 0
                && (deployment.status.integer("terminatingReplicas") ?? 0) == 0
        }
    }

    /// Whether everything the service waits for is ready. Asked only before its first start.
    func mayStart(_ service: LandscapeRevision.Service, of revision: LandscapeRevision) -> Bool {
        if let (leaving, arriving) = recreation, arriving.name == revision.name, !isDrained(leaving, for: arriving) {
            return false
        }
        return missingDependencies(service, of: revision).isEmpty
    }

    func missingDependencies(_ service: LandscapeRevision.Service, of revision: LandscapeRevision) -> [String] {
        service.dependsOn.filter { name in
            if let dependency = revision.service(name) { return !isReady(dependency) }
            return observed.view.get(Kinds.managedService.resource, landscape.namespace, name)?.isTrue("Ready") != true
        }
    }

    /// Whether a Deployment that is no longer wanted may still get requests: a route leads to it, or led to it and the
    /// gateway has not confirmed anything newer, or the service's own address does.
    private func mustStay(_ deployment: Document) -> Bool {
        let hash = deployment.labels[Label.hash] ?? ""
        let component = deployment.labels[Label.component] ?? ""
        let stable = observed.view.get(
            Kinds.service.resource, landscape.namespace, ChildName.stable([landscape.name, component]))
        if stable?.spec["selector"]?[Label.hash]?.stringValue == hash { return true }
        return observed.view.list(Kinds.route.resource, landscape.namespace).contains { document in
            let route = RouteView(document)
            let backends = route.rules.flatMap(route.backends).filter {
                $0.landscape == landscape.name && $0.namespace == landscape.namespace && $0.service == component
            }
            if document.controller?.uid == landscape.document.uid, !route.isConfirmed { return true }
            return backends.contains { revision($0.revision)?.service(component)?.hash == hash }
        }
    }

    /// The Service under which others reach a service by name. Its selector follows the live revision, and flips last.
    mutating func addStableServices() {
        guard let serving else {
            for service in observed.children(of: Kinds.service.resource) where service.labels[Label.hash] == nil {
                result.children.append(
                    .keep(Kinds.service.resource, service, because: "the live revision's record is gone"))
            }
            return
        }
        var done: Set<String> = []
        for service in serving.services + (other?.services ?? []) where done.insert(service.name).inserted {
            if service.ports.isEmpty { continue }
            let name = ChildName.stable([landscape.name, service.name])
            result.children.append(
                .apply(
                    Kinds.service.resource, serviceDocument(name, service, labels(service)),
                    because: "\(serving.name) is live"))
        }
    }
}
