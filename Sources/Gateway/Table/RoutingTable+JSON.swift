package import Documents

/// Why a table, or another message on the control socket, could not be read.
package struct GatewayMessageError: Error, Equatable, CustomStringConvertible {
    package var message: String
    package var description: String { message }
}

extension RoutingTable {
    package var json: JSON {
        [
            "hosts": .array(hosts.map(\.json)), "rules": .array(rules.map(\.json)),
            "backends": .array(backends.map(\.json)), "services": .array(services.map(\.json)),
        ]
    }

    /// Reads a table and checks every index and limit, so that nothing later needs to.
    package init(json: JSON) throws(GatewayMessageError) {
        backends = try Self.list(json, "backends", GatewayLimits.tableBackends).mapped(Backend.init(json:))
        rules = try Self.list(json, "rules", GatewayLimits.tableRules).mapped(Rule.init(json:))
        hosts = try Self.list(json, "hosts", GatewayLimits.tableHosts).mapped(Host.init(json:))
        services = try Self.list(json, "services", GatewayLimits.serviceAddresses).mapped(ServiceAddress.init(json:))
        for rule in rules {
            for entry in rule.backends {
                guard backends.indices.contains(entry.backend), entry.weight >= 0, entry.weight <= 1_000_000 else {
                    throw GatewayMessageError(
                        message: "rule \(rule.name) names backend \(entry.backend) with weight \(entry.weight)")
                }
            }
        }
        for host in hosts {
            for match in host.matches where !rules.indices.contains(match.rule) {
                throw GatewayMessageError(message: "host \(host.name) names rule \(match.rule) of \(rules.count)")
            }
        }
        for service in services where !backends.indices.contains(service.backend) || !(1...65535).contains(service.port)
        {
            throw GatewayMessageError(
                message: "service address \(service.address):\(service.port) has no backend or no such port")
        }
    }

    fileprivate static func list(_ json: JSON, _ key: String, _ limit: Int) throws(GatewayMessageError) -> [JSON] {
        guard let value = json[key] else { return [] }
        guard let array = value.arrayValue, array.count <= limit else {
            throw GatewayMessageError(message: "`\(key)` must be a list of at most \(limit), found \(value.typeName)")
        }
        return array
    }

    fileprivate static func text(_ json: JSON, _ key: String) throws(GatewayMessageError) -> String {
        guard let text = json[key]?.stringValue else {
            throw GatewayMessageError(message: "`\(key)` must be a string, found \(json[key]?.typeName ?? "nothing")")
        }
        return text
    }

    fileprivate static func number(_ json: JSON, _ key: String, default fallback: Int? = nil)
        throws(GatewayMessageError) -> Int
    {
        if let value = json[key]?.integerValue { return Int(value) }
        if json[key] == nil, let fallback { return fallback }
        throw GatewayMessageError(message: "`\(key)` must be an integer, found \(json[key]?.typeName ?? "nothing")")
    }
}

extension [JSON] {
    fileprivate func mapped<Result>(
        _ transform: (JSON) throws(GatewayMessageError) -> Result
    ) throws(GatewayMessageError) -> [Result] {
        var result: [Result] = []
        result.reserveCapacity(count)
        for element in self { result.append(try transform(element)) }
        return result
    }
}

extension RoutingTable.Backend {
    var json: JSON {
        var object: JSONObject = ["name": .string(name), "endpoints": .array(endpoints.map { .string($0) })]
        if isMissing { object["missing"] = true }
        return .object(object)
    }

    init(json: JSON) throws(GatewayMessageError) {
        name = try RoutingTable.text(json, "name")
        endpoints = []
        for value in try RoutingTable.list(json, "endpoints", GatewayLimits.endpointsPerBackend) {
            guard let text = value.stringValue else {
                throw GatewayMessageError(message: "an endpoint of \(name) is no string")
            }
            endpoints.append(text)
        }
        isMissing = json["missing"]?.boolValue ?? false
    }
}

extension RoutingTable.Rule {
    var json: JSON {
        var object: JSONObject = [
            "name": .string(name),
            "backends": .array(
                backends.map { ["backend": .integer(Int64($0.backend)), "weight": .integer(Int64($0.weight))] }),
        ]
        switch rewrite {
        case .replacePrefix(let text): object["replacePrefix"] = .string(text)
        case .replaceFull(let text): object["replaceFull"] = .string(text)
        case nil: break
        }
        if requestTimeoutMilliseconds > 0 { object["requestTimeout"] = .integer(Int64(requestTimeoutMilliseconds)) }
        if backendTimeoutMilliseconds > 0 { object["backendTimeout"] = .integer(Int64(backendTimeoutMilliseconds)) }
        if retries > 0 { object["retries"] = .integer(Int64(retries)) }
        return .object(object)
    }

    init(json: JSON) throws(GatewayMessageError) {
        name = try RoutingTable.text(json, "name")
        backends = []
        for value in try RoutingTable.list(json, "backends", 64) {
            backends.append(
                RoutingTable.WeightedBackend(
                    backend: try RoutingTable.number(value, "backend"), weight: try RoutingTable.number(value, "weight")
                ))
        }
        if let text = json["replacePrefix"]?.stringValue { rewrite = .replacePrefix(text) }
        if let text = json["replaceFull"]?.stringValue { rewrite = .replaceFull(text) }
        requestTimeoutMilliseconds = max(0, try RoutingTable.number(json, "requestTimeout", default: 0))
        backendTimeoutMilliseconds = max(0, try RoutingTable.number(json, "backendTimeout", default: 0))
        retries = min(max(0, try RoutingTable.number(json, "retries", default: 0)), GatewayLimits.retries)
    }
}

extension RoutingTable.Header {
    fileprivate var json: JSON { ["name": .string(name), "value": .string(value)] }

    fileprivate init(json: JSON) throws(GatewayMessageError) {
        self.init(name: try RoutingTable.text(json, "name"), value: try RoutingTable.text(json, "value"))
    }
}

extension RoutingTable.Match {
    var json: JSON {
        var object = JSONObject()
        switch path {
        case .exact(let text): object["exact"] = .string(text)
        case .prefix(let text): object["prefix"] = .string(text)
        }
        if let method { object["method"] = .string(method) }
        if !headers.isEmpty { object["headers"] = .array(headers.map(\.json)) }
        if !parameters.isEmpty { object["parameters"] = .array(parameters.map(\.json)) }
        object["rule"] = .integer(Int64(rule))
        return .object(object)
    }

    init(json: JSON) throws(GatewayMessageError) {
        if let text = json["exact"]?.stringValue {
            path = .exact(text)
        } else {
            path = .prefix(try RoutingTable.text(json, "prefix"))
        }
        method = json["method"]?.stringValue
        headers = try RoutingTable.list(json, "headers", 16).mapped(RoutingTable.Header.init(json:))
        parameters = try RoutingTable.list(json, "parameters", 16).mapped(RoutingTable.Header.init(json:))
        rule = try RoutingTable.number(json, "rule")
    }
}

extension RoutingTable.Host {
    var json: JSON { ["host": .string(name), "matches": .array(matches.map(\.json))] }

    init(json: JSON) throws(GatewayMessageError) {
        name = try RoutingTable.text(json, "host")
        matches = try RoutingTable.list(json, "matches", GatewayLimits.tableRules).mapped(
            RoutingTable.Match.init(json:))
    }
}

extension RoutingTable.ServiceAddress {
    var json: JSON {
        var object: JSONObject = [
            "address": .string(address), "port": .integer(Int64(port)), "backend": .integer(Int64(backend)),
        ]
        if isUDP { object["udp"] = true }
        if affinitySeconds > 0 { object["affinity"] = .integer(Int64(affinitySeconds)) }
        return .object(object)
    }

    init(json: JSON) throws(GatewayMessageError) {
        address = try RoutingTable.text(json, "address")
        port = try RoutingTable.number(json, "port")
        backend = try RoutingTable.number(json, "backend")
        isUDP = json["udp"]?.boolValue ?? false
        affinitySeconds = max(0, try RoutingTable.number(json, "affinity", default: 0))
    }
}
