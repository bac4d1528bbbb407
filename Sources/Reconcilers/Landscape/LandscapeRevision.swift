internal import Client
package import Documents

/// A landscape revision: what each service runs, the routes, and the spec it came from; immutable. Stored as the data of
/// an `apps/v1` ControllerRevision. What its pods look like is recorded, not computed again, so that an upgrade of
/// Espalier restarts nothing.
package struct LandscapeRevision: Sendable, Equatable {
    /// One service in one revision.
    package struct Service: Sendable, Equatable {
        package let name: String
        /// Eight hexadecimal digits; the same in every revision in which the service runs the same.
        package let hash: String
        /// Of the Deployment, and of the Service that finds these pods only.
        package let objectName: String
        package let template: JSON
        /// `{name, port, protocol}` each, the first being the one meant where none is named.
        package let ports: [JSON]
        package let dependsOn: [String]
        /// The ConfigMaps and Secrets that hold this revision's configuration.
        package let configuration: [ObjectKey]
    }

    package static let dataVersion = "v1"

    /// Such as `shop-7`.
    package let name: String
    package let number: Int64
    /// Over everything the revision holds; two revisions with one digest are the same revision.
    package let digest: String
    package let services: [Service]
    /// As in the landscape's spec.
    package let routes: [JSON]
    /// The whole spec of the landscape when the revision was made.
    package let spec: JSON

    package func service(_ name: String) -> Service? { services.first { $0.name.isSameBytes(as: name) } }

    /// The spec to apply to bring this revision back. What is no part of a revision stays as it is in `current`: scale,
    /// idleAfter and rollout. `nil` where `revision` does not hold a landscape's revision.
    package static func spec(of revision: Document, keepingFrom current: JSON) -> JSON? {
        guard let recorded = LandscapeRevision(revision) else { return nil }
        var spec = recorded.spec
        spec["rollout"] = current["rollout"]
        spec["services"] = .array(
            recorded.spec.elements("services").map { service in
                guard let today = current.named(service.text("name"), in: "services") else { return service }
                var result = service
                for key in ["scale", "idleAfter"] { result[key] = today[key] }
                return result
            })
        return spec
    }

    package init?(_ document: Document) {
        guard let data = document.json["data"], data.text("version") == Self.dataVersion else { return nil }
        name = document.name
        number = document.json["revision"]?.integerValue ?? 0
        digest = data.text("digest")
        routes = data.elements("routes")
        spec = data["spec"] ?? [:]
        services = data.elements("services").map { Service($0, namespace: document.namespace) }
    }

    package init(
        name: String, number: Int64, digest: String, services: [Service], routes: [JSON], spec: JSON
    ) {
        self.name = name
        self.number = number
        self.digest = digest
        self.services = services
        self.routes = routes
        self.spec = spec
    }

    /// The ControllerRevision's `data`.
    package var data: JSON {
        [
            "version": .string(Self.dataVersion), "digest": .string(digest), "services": .array(services.map(\.json)),
            "routes": .array(routes), "spec": spec,
        ]
    }
}

extension LandscapeRevision.Service {
    init(_ json: JSON, namespace: String) {
        name = json.text("name")
        hash = json.text("hash")
        objectName = json.text("objectName")
        template = json["template"] ?? [:]
        ports = json.elements("ports")
        dependsOn = json.elements("dependsOn").compactMap(\.stringValue)
        configuration = json.elements("configuration").map {
            let kind = $0.text("kind") == "Secret" ? Kinds.secret : Kinds.configMap
            return ObjectKey(kind.resource, namespace: namespace, name: $0.text("name"))
        }
    }

    var json: JSON {
        [
            "name": .string(name), "hash": .string(hash), "objectName": .string(objectName), "template": template,
            "ports": .array(ports), "dependsOn": .array(dependsOn.map(JSON.string)),
            "configuration": .array(
                configuration.map {
                    let isSecret = $0.resource == Kinds.secret.resource
                    return ["kind": .string(isSecret ? "Secret" : "ConfigMap"), "name": .string($0.name)]
                }),
        ]
    }
}
