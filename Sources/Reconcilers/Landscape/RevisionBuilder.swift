internal import Client
internal import ControlLoop
internal import Documents

/// Computes the revision a landscape's spec and configuration ask for. Pure.
struct RevisionBuilder {
    /// Members of a service that say nothing about what its pods run.
    private static let notHashed = ["scale", "idleAfter", "dependsOn"]

    let landscape: LandscapeView
    let view: View
    let hash: ContentHash
    /// Kept revisions, of which unchanged services are taken over as recorded.
    let known: [LandscapeRevision]

    private(set) var copies: [ConfigurationCopy] = []
    private(set) var problems: [Problem] = []
    private(set) var services: [LandscapeRevision.Service] = []
    private(set) var digest = ""

    init(_ landscape: LandscapeView, view: View, hash: ContentHash, known: [LandscapeRevision]) {
        self.landscape = landscape
        self.view = view
        self.hash = hash
        self.known = known
        if landscape.document.spec["source"] != nil {
            unsupported(
                "NoSource", "spec.source: no repositories are read here; give each service an image or a command")
        }
        if landscape.document.spec["network"]?["egress"]?.stringValue == "Denied" {
            unsupported(
                "NotEnforced",
                "spec.network.egress: nothing here keeps services from reaching outside, so Denied is not started; take it "
                    + "out to run without that protection")
        }
        for service in landscape.services { add(service) }
        digest = ContentHash.digest("espalier.dev/landscape/v1", identity)
    }

    /// What makes two revisions the same. What a service waits for and where routes lead is part of it.
    private var identity: JSON {
        [
            "services": .object(
                JSONObject(
                    services.map {
                        ($0.name, ["hash": .string($0.hash), "dependsOn": .array($0.dependsOn.map(JSON.string))])
                    })),
            "routes": .array(landscape.routes), "managedServices": landscape.document.spec["managedServices"] ?? [],
            "network": landscape.document.spec["network"] ?? .null,
        ]
    }

    private mutating func add(_ service: JSON) {
        let name = service.text("name")
        if service["steps"] != nil {
            unsupported(
                "NoSource", "service \(name): steps need a source, and no repositories are read here; use command")
        }
        if service["command"] == nil, service["image"] == nil, service["steps"] == nil {
            unsupported("NothingToRun", "service \(name) has neither a command nor an image")
        }
        for volume in service.elements("volumes") where volume["size"] != nil {
            unsupported(
                "NoVolumes",
                "service \(name): volume \(volume.text("name")) is to keep data, and no volumes are kept here yet")
        }
        let configuration = ServiceConfiguration(service, landscape: landscape.document, view: view, hash: hash)
        problems += configuration.problems
        for copy in configuration.copies where !copies.contains(copy) { copies.append(copy) }
        services.append(revise(service, configuration))
    }

    private mutating func revise(_ service: JSON, _ configuration: ServiceConfiguration) -> LandscapeRevision.Service {
        let name = service.text("name")
        var run = service
        for member in Self.notHashed { run[member] = nil }
        let content: JSON = [
            "landscape": .string(landscape.name), "service": run, "configuration": .object(configuration.digests),
        ]
        let hash = String(ContentHash.digest("espalier.dev/service/v1", content).prefix(8))
        let dependsOn = service.elements("dependsOn").map { $0.text("name") }.sorted()
        if let recorded = known.lazy.compactMap({ $0.service(name) }).first(where: { $0.hash == hash }) {
            return LandscapeRevision.Service(
                name: name, hash: hash, objectName: recorded.objectName, template: recorded.template,
                ports: recorded.ports,
                dependsOn: dependsOn, configuration: recorded.configuration)
        }
        return LandscapeRevision.Service(
            name: name, hash: hash, objectName: ChildName.hashed([landscape.name, name], hash),
            template: PodTemplate.render(
                configuration.pinned, landscape: landscape.name, hash: hash, plan: plan(service)),
            ports: service.elements("ports").map {
                ["name": .string($0.text("name")), "port": $0["port"] ?? 0, "protocol": $0["protocol"] ?? "TCP"]
            },
            dependsOn: dependsOn, configuration: configuration.copies.map(\.key))
    }

    private mutating func plan(_ service: JSON) -> JSON {
        guard let name = service["plan"]?.stringValue else { return .null }
        if let plan = view.get(Kinds.plan.resource, "", name) { return plan.spec }
        problems.append(
            Problem(
                kind: .missing, reason: "RefNotFound",
                message: "service \(service.text("name")): Plan \(name) does not exist"))
        return .null
    }

    private mutating func unsupported(_ reason: String, _ message: String) {
        problems.append(Problem(kind: .unsupported, reason: reason, message: message))
    }
}
