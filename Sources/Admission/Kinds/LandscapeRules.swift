import Documents

/// A Landscape: names that refer to each other inside the document, the ladder, ranges.
enum LandscapeRules {
    static func check(_ context: inout RuleContext) {
        let spec = context.document.spec
        let services = spec["services"]?.arrayValue ?? []
        let managed = spec["managedServices"]?.arrayValue ?? []
        checkNames(&context, services, managed)
        for (index, service) in services.enumerated() {
            ServiceRules.check(&context, service, at: "spec.services[\(index)]")
        }
        // Services may also come from the ci.yml of the source; then the document alone cannot know all names.
        let isComplete = spec["source"] == nil
        let names = (services + managed).compactMap { $0["name"]?.stringValue }
        if isComplete { DependencyRules.check(&context, services, names: names) }
        for (index, route) in (spec["routes"]?.arrayValue ?? []).enumerated() {
            check(&context, route: route, services: services, isComplete: isComplete, at: "spec.routes[\(index)]")
        }
        if let rollout = spec["rollout"] { LadderRules.check(&context, rollout, at: "spec.rollout") }
        for (index, entry) in (spec["network"]?["allow"]?.arrayValue ?? []).enumerated() {
            guard let cidr = entry["cidr"]?.stringValue, !AddressRules.isRange(cidr) else { continue }
            let field = "spec.network.allow[\(index)].cidr"
            context.report(
                .invalid(field, .string(cidr), "must be a range of addresses such as 10.0.0.0/8 or fd00::/8"))
        }
    }

    /// Services and managed services are reached by the same kind of name, so they share one set of names.
    private static func checkNames(_ context: inout RuleContext, _ services: [JSON], _ managed: [JSON]) {
        var first: [String: String] = [:]
        for (index, service) in services.enumerated() {
            if let name = service["name"]?.stringValue { first[name] = "spec.services[\(index)]" }
        }
        for (index, service) in managed.enumerated() {
            guard let name = service["name"]?.stringValue, let other = first[name] else { continue }
            let detail = "is also the name of \(other)"
            context.report(.invalid("spec.managedServices[\(index)].name", .string(name), detail))
        }
    }

    // MARK: - Routes

    private static func check(
        _ context: inout RuleContext, route: JSON, services: [JSON], isComplete: Bool, at place: String
    ) {
        HostRules.check(&context, route, at: place)
        let rules = route["rules"]?.arrayValue ?? []
        var paths: [String: String] = [:]
        for (index, rule) in rules.enumerated() {
            let field = "\(place).rules[\(index)]"
            if isComplete { checkTarget(&context, rule, services: services, at: field) }
            context.requireDuration(
                rule["timeout"], "\(field).timeout", in: .milliseconds(1)...Duration.seconds(24 * 3600))
            var path = rule["path"]?.stringValue ?? "/"
            while path.count > 1, path.hasSuffix("/") { path.removeLast() }
            if let first = paths[path] {
                context.report(.invalid("\(field).path", .string(path), "matches the same requests as \(first)"))
            } else {
                paths[path] = "\(field).path"
            }
            guard route["tcpPort"] != nil else { continue }
            for name in ["path", "stripPrefix", "timeout"] where rule[name] != nil {
                context.report(
                    .forbidden("\(field).\(name)", "a route with tcpPort does not look into what it carries"))
            }
        }
        if route["tcpPort"] != nil, rules.count > 1 { context.report(.tooMany("\(place).rules", rules.count, 1)) }
    }

    private static func checkTarget(_ context: inout RuleContext, _ rule: JSON, services: [JSON], at field: String) {
        guard let name = rule["service"]?.stringValue else { return }
        guard let service = services.first(where: { $0["name"]?.stringValue?.isSameBytes(as: name) == true }) else {
            let names = services.compactMap { $0["name"]?.stringValue }
            return context.report(.notFound("\(field).service", name, candidates: names))
        }
        let ports = (service["ports"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        if let port = rule["port"]?.stringValue, !ports.contains(where: { $0.isSameBytes(as: port) }) {
            context.report(.notFound("\(field).port", port, candidates: ports))
        } else if ports.isEmpty {
            context.report(.invalid("\(field).service", .string(name), "the service has no ports"))
        }
    }
}

/// One service of a Landscape.
enum ServiceRules {
    static func check(_ context: inout RuleContext, _ service: JSON, at place: String) {
        if service["command"] != nil, service["steps"] != nil {
            context.report(.forbidden(place, "command and steps exclude each other"))
        }
        let runs = service["command"] ?? service["steps"]
        if service["image"] == nil, runs?.arrayValue?.isEmpty ?? true {
            let field = service["steps"] != nil ? "steps" : "command"
            context.report(.required("\(place).\(field)", "a service without an image needs a command or steps"))
        }
        checkScale(&context, service, at: place)
        let year = Duration.seconds(365 * 24 * 3600)
        context.requireDuration(service["idleAfter"], "\(place).idleAfter", in: .seconds(10)...year)
        checkPorts(&context, service, at: place)
        checkVolumes(&context, service["volumes"]?.arrayValue ?? [], at: place)
        let ports = service["ports"]?.arrayValue ?? []
        for name in ["readinessProbe", "livenessProbe", "startupProbe"] {
            if let probe = service[name] { check(&context, probe: probe, ports: ports, at: "\(place).\(name)") }
        }
    }

    private static func checkScale(_ context: inout RuleContext, _ service: JSON, at place: String) {
        guard let scale = service["scale"] else { return }
        if let least = scale["min"]?.integerValue, let most = scale["max"]?.integerValue, most < least {
            context.report(
                .invalid(
                    "\(place).scale.max", .integer(most), "must not be below \(place).scale.min, which is \(least)"))
        }
        let hasVolume = (service["volumes"]?.arrayValue ?? []).contains { $0["size"] != nil }
        if hasVolume, let most = scale["max"]?.integerValue ?? scale["min"]?.integerValue, most > 1 {
            let field = scale["max"] == nil ? "min" : "max"
            let detail = "must be 1 at most: the service has a volume that one pod writes to"
            context.report(.invalid("\(place).scale.\(field)", .integer(most), detail))
        }
    }

    private static func checkPorts(_ context: inout RuleContext, _ service: JSON, at place: String) {
        let ports = service["ports"]?.arrayValue ?? []
        var seen: [JSON: Int] = [:]
        for (index, port) in ports.enumerated() {
            let key: JSON = ["port": port["port"] ?? .null, "protocol": port["protocol"] ?? "TCP"]
            if seen[key] != nil {
                context.report(.duplicate("\(place).ports[\(index)].port", port["port"] ?? .null))
            }
            seen[key] = index
            guard let name = port["name"]?.stringValue, !name.utf8.contains(where: { (97...122).contains($0) }) else {
                continue
            }
            let detail = "must contain at least one letter (a-z)"
            context.report(.invalid("\(place).ports[\(index)].name", .string(name), detail))
        }
    }

    private static func checkVolumes(_ context: inout RuleContext, _ volumes: [JSON], at place: String) {
        var paths: [String: Int] = [:]
        for (index, volume) in volumes.enumerated() {
            let field = "\(place).volumes[\(index)]"
            if (volume["size"] != nil) == (volume["configMap"] != nil) {
                context.report(.invalid(field, volume, "must have exactly one of size, configMap"))
            }
            if let path = volume["mountPath"]?.stringValue {
                if let first = paths[path] {
                    let detail = "is also the place of \(place).volumes[\(first)]"
                    context.report(.invalid("\(field).mountPath", .string(path), detail))
                }
                paths[path] = index
                checkPath(&context, path, "\(field).mountPath")
            }
            for (number, item) in (volume["configMap"]?["items"]?.arrayValue ?? []).enumerated() {
                let below = "\(field).configMap.items[\(number)].path"
                guard let path = item["path"]?.stringValue else { continue }
                if path.hasPrefix("/") {
                    context.report(.invalid(below, .string(path), "must be relative to the mountPath"))
                }
                checkPath(&context, path, below)
            }
        }
    }

    private static func checkPath(_ context: inout RuleContext, _ path: String, _ field: String) {
        if path.split(separator: "/").contains("..") {
            context.report(.invalid(field, .string(path), "must not contain '..'"))
        }
    }

    private static func check(_ context: inout RuleContext, probe: JSON, ports: [JSON], at place: String) {
        for kind in ["httpGet", "tcpSocket"] {
            guard let port = probe[kind]?["port"] else { continue }
            let field = "\(place).\(kind).port"
            switch port {
            case .integer(let number) where !(1...65535).contains(number):
                context.report(.invalid(field, port, "must be between 1 and 65535"))
            case .string(let name) where !ports.contains { $0["name"]?.stringValue?.isSameBytes(as: name) == true }:
                context.report(.notFound(field, name, candidates: ports.compactMap { $0["name"]?.stringValue }))
            default: break
            }
        }
        if let success = probe["successThreshold"]?.integerValue, success != 1, !place.hasSuffix("readinessProbe") {
            context.report(.invalid("\(place).successThreshold", .integer(success), "must be 1"))
        }
    }
}

/// `dependsOn`: known names, no circles.
enum DependencyRules {
    static func check(_ context: inout RuleContext, _ services: [JSON], names: [String]) {
        var edges: [String: [String]] = [:]
        for (index, service) in services.enumerated() {
            guard let name = service["name"]?.stringValue else { continue }
            for (number, dependency) in (service["dependsOn"]?.arrayValue ?? []).enumerated() {
                guard let other = dependency["name"]?.stringValue else { continue }
                if !names.contains(where: { $0.isSameBytes(as: other) }) {
                    let field = "spec.services[\(index)].dependsOn[\(number)].name"
                    let candidates = names.filter { !$0.isSameBytes(as: name) }
                    context.report(.notFound(field, other, candidates: candidates))
                }
                edges[name, default: []].append(other)
            }
        }
        for (index, service) in services.enumerated() {
            guard let name = service["name"]?.stringValue, let circle = circle(from: name, edges) else { continue }
            // A circle is reported once, at the member that comes first in the document.
            let first = services.first { circle.contains($0["name"]?.stringValue ?? "") }?["name"]?.stringValue
            if first?.isSameBytes(as: name) != true { continue }
            let text = (circle + [name]).joined(separator: " → ")
            let detail = "services wait for each other in a circle: \(text)"
            context.report(.invalid("spec.services[\(index)].dependsOn", .string(name), detail))
        }
    }

    /// The shortest way from `start` back to itself; `nil` where there is none.
    private static func circle(from start: String, _ edges: [String: [String]]) -> [String]? {
        var previous: [String: String] = [:]
        var queue = [start]
        var position = 0
        while position < queue.count {
            let name = queue[position]
            position += 1
            for next in edges[name] ?? [] {
                if next.isSameBytes(as: start) {
                    var way = [name]
                    while let before = previous[way[0]], !way[0].isSameBytes(as: start) { way.insert(before, at: 0) }
                    return way
                }
                if previous[next] == nil {
                    previous[next] = name
                    queue.append(next)
                }
            }
        }
        return nil
    }
}
