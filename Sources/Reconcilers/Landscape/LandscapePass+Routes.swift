internal import Client
internal import ControlLoop
internal import Documents

extension LandscapePass {
    /// The Routes of the live revision. While an attempt is under way, rules whose service differs between its two
    /// revisions have a backend for each, weighted as the attempt says. Routes that only the new revision has come, and
    /// those it lacks go, when it is live.
    mutating func addRoutes() {
        guard let serving else {
            // Its record was deleted, which is no reason to cut off what still serves.
            for route in observed.children(of: Kinds.route.resource) {
                result.children.append(
                    .keep(Kinds.route.resource, route, because: "the live revision's record is gone"))
            }
            return
        }
        for (name, route) in zip(routeNames(serving.routes), serving.routes) {
            var document = Kinds.route.document(
                namespace: landscape.namespace, name: name, labels: [Label.partOf: landscape.name])
            var spec = JSONObject()
            spec["hosts"] = route["hosts"]
            spec["tcpPort"] = route["tcpPort"]
            spec["tls"] = route["tls"]
            spec["rules"] = .array(route.elements("rules").map { rule($0, serving) })
            document["spec"] = .object(spec)
            result.children.append(.apply(Kinds.route.resource, document, because: "\(serving.name) is live"))
        }
    }

    /// `<landscape>-<n>`. A route keeps its number as long as its hosts stay, wherever in the list it stands.
    private func routeNames(_ routes: [JSON]) -> [String] {
        let existing = observed.children(of: Kinds.route.resource)
        var taken: Set<String> = []
        var names: [String?] = routes.map { route in
            let found = existing.first {
                !taken.contains($0.name) && $0.spec["hosts"] == route["hosts"] && $0.spec["tcpPort"] == route["tcpPort"]
            }
            if let found { taken.insert(found.name) }
            return found?.name
        }
        var number = 1
        for index in names.indices where names[index] == nil {
            while taken.contains(ChildName.stable([landscape.name, String(number)])) { number += 1 }
            let name = ChildName.stable([landscape.name, String(number)])
            taken.insert(name)
            names[index] = name
        }
        return names.compactMap { $0 }
    }

    private func rule(_ rule: JSON, _ serving: LandscapeRevision) -> JSON {
        let service = rule.text("service")
        var backends = [backend(serving, rule)]
        if let other, let theirs = other.service(service), let ours = serving.service(service),
            theirs.hash != ours.hash,
            let current
        {
            let toWeight = current.weight
            let servingWeight = serving.name == current.to ? toWeight : 100 - toWeight
            backends[0]["weight"] = .integer(Int64(servingWeight))
            var second = backend(other, rule)
            second["weight"] = .integer(Int64(100 - servingWeight))
            backends.append(second)
        }
        var json: JSONObject = [
            "matches": [["path": ["type": "PathPrefix", "value": rule["path"] ?? "/"]]], "backends": .array(backends),
        ]
        json["stripPrefix"] = rule["stripPrefix"]
        json["timeout"] = rule["timeout"]
        return .object(json)
    }

    private func backend(_ revision: LandscapeRevision, _ rule: JSON) -> JSON {
        var json: JSONObject = [
            "name": .string(revision.name), "landscape": ["name": .string(landscape.name)],
            "service": .string(rule.text("service")), "revision": .string(revision.name),
        ]
        json["port"] = rule["port"]
        return .object(json)
    }

    /// The landscape's Routes as they stand.
    var routes: [RouteView] { observed.children(of: Kinds.route.resource).map(RouteView.init) }
}
