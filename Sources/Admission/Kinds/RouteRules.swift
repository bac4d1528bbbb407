import Documents

/// A Route: weights, matches, names.
enum RouteRules {
    static func check(_ context: inout RuleContext) {
        let spec = context.document.spec
        let rules = spec["rules"]?.arrayValue ?? []
        var matches: [(field: String, value: JSON)] = []
        var names: [(field: String, value: JSON)] = []
        for (index, rule) in rules.enumerated() {
            let field = "spec.rules[\(index)]"
            if let name = rule["name"] { names.append(("\(field).name", name)) }
            matches += canonicalMatches(of: rule, at: field)
            checkBackends(
                &context, rule["backends"]?.arrayValue ?? [], at: field, isBlueGreen: spec["blueGreen"] != nil)
            context.requireDuration(
                rule["timeout"], "\(field).timeout", in: .milliseconds(1)...Duration.seconds(24 * 3600))
            if spec["tcpPort"] != nil { checkTCP(&context, rule, at: field) }
        }
        if spec["tcpPort"] != nil, rules.count > 1 {
            context.report(.tooMany("spec.rules", rules.count, 1))
        }
        context.requireUnique(names)
        if spec["tcpPort"] == nil { checkMatches(&context, matches) }
        checkBlueGreen(&context, spec, rules)
        HostRules.check(&context, spec, at: "spec")
    }

    // MARK: - Weights

    /// Weights add up to 100 where there is a choice. With blueGreen they may be left out everywhere.
    private static func checkBackends(
        _ context: inout RuleContext, _ backends: [JSON], at field: String, isBlueGreen: Bool
    ) {
        var sum: Int64 = 0
        var weighted = 0
        for (index, backend) in backends.enumerated() {
            guard let weight = backend["weight"]?.integerValue else { continue }
            weighted += 1
            sum += max(-1000, min(1000, weight))
            if !(0...100).contains(weight) {
                context.report(
                    .invalid("\(field).backends[\(index)].weight", .integer(weight), "must be between 0 and 100"))
            }
        }
        if backends.count < 2 || weighted == 0 && isBlueGreen { return }
        if weighted < backends.count {
            for (index, backend) in backends.enumerated() where backend["weight"] == nil {
                let detail = "each of several backends needs a weight; together they are 100"
                context.report(.required("\(field).backends[\(index)].weight", detail))
            }
            return
        }
        if sum == 100 { return }
        let parts = backends.map { "\($0["name"]?.stringValue ?? "?") \($0["weight"]?.integerValue ?? 0)" }
        let detail = "weights must add up to 100, found \(parts.joined(separator: " + "))"
        context.report(.invalid("\(field).backends", .integer(sum), detail))
    }

    private static func checkBlueGreen(_ context: inout RuleContext, _ spec: JSON, _ rules: [JSON]) {
        guard let blueGreen = spec["blueGreen"], let active = blueGreen["active"]?.stringValue else { return }
        if let host = blueGreen["previewHost"]?.stringValue {
            for (index, other) in (spec["hosts"]?.arrayValue ?? []).enumerated()
            where other.stringValue?.isSameBytes(as: host) == true {
                let detail = "is also spec.hosts[\(index)], which leads to the active backend"
                context.report(.invalid("spec.blueGreen.previewHost", .string(host), detail))
            }
            if spec["tcpPort"] != nil {
                context.report(.forbidden("spec.blueGreen.previewHost", "a TCP route has no hosts"))
            }
        }
        for (index, rule) in rules.enumerated() {
            let names = (rule["backends"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
            if names.contains(where: { $0.isSameBytes(as: active) }) { continue }
            var error = FieldError.notFound("spec.blueGreen.active", active, candidates: names)
            error.message += " (a backend of spec.rules[\(index)])"
            return context.report(error)
        }
    }

    private static func checkTCP(_ context: inout RuleContext, _ rule: JSON, at field: String) {
        for name in ["matches", "stripPrefix", "retries", "timeout"] where rule[name] != nil {
            context.report(.forbidden("\(field).\(name)", "a route with tcpPort does not look into what it carries"))
        }
    }

    // MARK: - Matches

    /// Each match with its defaults written out and its headers in order, so that equal ones look equal.
    private static func canonicalMatches(of rule: JSON, at field: String) -> [(field: String, value: JSON)] {
        let matches = rule["matches"]?.arrayValue ?? []
        if matches.isEmpty { return [("\(field).matches", canonical([:]))] }
        return matches.enumerated().map { ("\(field).matches[\($0.offset)]", canonical($0.element)) }
    }

    private static func canonical(_ match: JSON) -> JSON {
        var path = match["path"]?["value"]?.stringValue ?? "/"
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        let headers = (match["headers"]?.arrayValue ?? []).map {
            "\(($0["name"]?.stringValue ?? "").lowercased())=\($0["value"]?.stringValue ?? "")"
        }
        return [
            "path": .string(path), "type": match["path"]?["type"] ?? "PathPrefix", "method": match["method"] ?? "",
            "headers": .array(headers.sorted().map(JSON.string)),
        ]
    }

    private static func checkMatches(_ context: inout RuleContext, _ matches: [(field: String, value: JSON)]) {
        var seen: [JSON: String] = [:]
        for match in matches {
            if let first = seen[match.value] {
                let path = match.value["path"] ?? .null
                context.report(.invalid(match.field, path, "matches the same requests as \(first)"))
            } else {
                seen[match.value] = match.field
            }
        }
    }
}

/// Hosts, TCP port and TLS: the same in a Route and in an entry of a Landscape's `routes`.
enum HostRules {
    static func check(_ context: inout RuleContext, _ route: JSON, at place: String) {
        let hosts = route["hosts"]?.arrayValue ?? []
        if let list = route["hosts"], hosts.isEmpty {
            context.report(.invalid("\(place).hosts", list, "must name at least one host"))
        }
        for (index, host) in hosts.enumerated() {
            guard let text = host.stringValue else { continue }
            let name = text.hasPrefix("*.") ? String(text.dropFirst(2)) : text
            if let problem = NameRules.subdomainProblem(name) {
                context.report(.invalid("\(place).hosts[\(index)]", host, problem))
            }
        }
        let mode = route["tls"]?["mode"]?.stringValue
        if mode == "Automatic", route["tcpPort"] != nil {
            context.report(.invalid("\(place).tls.mode", "Automatic", "needs hosts; a tcpPort has none"))
        }
    }
}
