package import Documents

/// The names of the cluster and what they stand for, from Services and EndpointSlices, after the specification of DNS in
/// Kubernetes (version 1.1). A plain value without I/O.
package struct ClusterNames: Sendable {
    /// What is said to a question about a name of ours.
    package enum Answer: Sendable, Equatable {
        case records([DNSRecord], additional: [DNSRecord])
        /// The name stands for another, which may be anywhere.
        case alias(DNSName)
        /// The name is there, and has nothing of the type.
        case noData
        case noSuchName
    }

    private struct Service: Sendable, Equatable {
        var address: IPv4Address?
        var isHeadless: Bool
        var externalName: DNSName?
        var ports: [(name: String, transport: Transport, number: Int)] = []
        var publishesAll: Bool
        /// Its landscape and component, where it stands for one service of a landscape whatever the revision.
        var partOf: String
        var component: String

        static func == (left: Self, right: Self) -> Bool {
            left.address == right.address && left.isHeadless == right.isHeadless
                && left.externalName == right.externalName && left.publishesAll == right.publishesAll
                && left.partOf == right.partOf && left.component == right.component
                && left.ports.elementsEqual(right.ports, by: ==)
        }
    }

    private struct Endpoint: Sendable, Equatable {
        var address: IPv4Address
        /// The names it has below its Service's; the first is the one it is called by.
        var names: [String]
        var isReady: Bool
    }

    private struct Slice: Sendable {
        var service: String
        var endpoints: [Endpoint]
        var ports: [(name: String, transport: Transport, number: Int)]
    }

    package static let services = GroupResource(group: "", resource: "services")
    package static let slices = GroupResource(group: "discovery.k8s.io", resource: "endpointslices")

    private let zone: DNSName
    private var services: [String: [String: Service]] = [:]
    /// By namespace, then by the slice's name.
    private var slices: [String: [String: Slice]] = [:]
    /// Ranges whose addresses only we can name.
    private let ranges: [IPv4Range]

    package init(ranges: [IPv4Range]) {
        self.ranges = ranges
        zone = DNSName(labels: ["cluster", "local"].map { Array($0.utf8) })
    }

    // MARK: What is known

    package mutating func removeAll() {
        services = [:]
        slices = [:]
    }

    package mutating func set(_ change: Walls.Change) {
        let document = change.document
        switch change.resource {
        case Self.services:
            services[document.namespace, default: [:]][document.name] =
                change.isDeleted ? nil : Self.service(document)
        case Self.slices:
            slices[document.namespace, default: [:]][document.name] = change.isDeleted ? nil : Self.slice(document)
        default: break
        }
    }

    private static func service(_ document: Document) -> Service {
        let spec = document.spec
        let address = spec["clusterIP"]?.stringValue ?? ""
        let isExternal = spec["type"]?.stringValue == "ExternalName"
        let (partOf, component) = (
            document.labels["app.kubernetes.io/part-of"] ?? "", document.labels["app.kubernetes.io/component"] ?? ""
        )
        let isStable = !component.isEmpty && document.name == "\(partOf)-\(component)"
        return Service(
            address: IPv4Address(address), isHeadless: address == "None",
            externalName: isExternal ? spec["externalName"]?.stringValue.flatMap(DNSName.init) : nil,
            ports: ports(spec["ports"]), publishesAll: spec["publishNotReadyAddresses"]?.boolValue ?? false,
            partOf: isStable ? partOf : "", component: isStable ? component : "")
    }

    private static func slice(_ document: Document) -> Slice {
        let endpoints = (document["endpoints"]?.arrayValue ?? []).compactMap { endpoint -> Endpoint? in
            guard let text = endpoint["addresses"]?.arrayValue?.first?.stringValue, let address = IPv4Address(text)
            else { return nil }
            let names = [endpoint["hostname"]?.stringValue, endpoint["targetRef"]?["name"]?.stringValue]
            return Endpoint(
                address: address, names: names.compactMap { $0 } + [dashed(address)],
                isReady: endpoint["conditions"]?["ready"]?.boolValue ?? true)
        }
        return Slice(
            service: document.labels["kubernetes.io/service-name"] ?? "", endpoints: endpoints,
            ports: ports(document["ports"]))
    }

    private static func ports(_ json: JSON?) -> [(name: String, transport: Transport, number: Int)] {
        (json?.arrayValue ?? []).compactMap { port in
            guard let number = port["port"]?.integerValue, (1...65535).contains(number),
                let transport = Transport(port["protocol"])
            else { return nil }
            return (port["name"]?.stringValue ?? "", transport, Int(number))
        }
    }

    private static func dashed(_ address: IPv4Address) -> String {
        address.description.split(separator: ".").joined(separator: "-")
    }

    // MARK: Asking

    /// Who asks, as far as the answer depends on it.
    package struct Asker: Sendable {
        package var namespace: String
        package var partOf: String

        package init(namespace: String = "", partOf: String = "") {
            self.namespace = namespace
            self.partOf = partOf
        }
    }

    /// `nil`: the name is not ours. `podNamespace` says in which namespace the pod with an address is.
    package func answer(
        _ name: DNSName, _ type: DNSType, asker: Asker = Asker(), podNamespace: (IPv4Address) -> String? = { _ in nil }
    ) -> Answer? {
        if let labels = name.labels(before: zone) { return forward(name, labels, type, asker, podNamespace) }
        guard let address = Self.reverse(name), ranges.contains(where: { $0.contains(address) }) else { return nil }
        guard let target = self.name(of: address, podNamespace) else { return .noSuchName }
        return type == .ptr || type == .any
            ? .records([DNSRecord(name, .ptr, target.bytes)], additional: []) : .noData
    }

    /// The record that says how long nothing is nothing.
    package var authority: DNSRecord {
        let hosts = ["ns.dns", "hostmaster"].flatMap {
            Self.below($0.split(separator: ".").map(String.init), zone).bytes
        }
        let numbers: [UInt32] = [1, 7200, 1800, 86400, DNSLimits.timeToLiveSeconds]
        return DNSRecord(zone, .soa, hosts + numbers.flatMap(\.bytes))
    }

    private static func below(_ labels: [String], _ zone: DNSName) -> DNSName {
        DNSName(labels: labels.map { Array($0.utf8) } + zone.labels)
    }

    private func forward(
        _ name: DNSName, _ labels: [String], _ type: DNSType, _ asker: Asker, _ podNamespace: (IPv4Address) -> String?
    ) -> Answer {
        guard let kind = labels.last else { return type == .soa ? .records([authority], additional: []) : .noData }
        guard labels.count >= 2 else { return kind == "svc" || kind == "pod" ? .noData : .noSuchName }
        let namespace = labels[labels.count - 2]
        if kind == "pod" {
            guard labels.count == 3 else { return labels.count == 2 ? .noData : .noSuchName }
            let address = IPv4Address(labels[0].split(separator: "-").joined(separator: "."))
            guard let address, podNamespace(address) == namespace else { return .noSuchName }
            return addresses(name, type, [address])
        }
        guard kind == "svc", let known = services[namespace], !known.isEmpty else { return .noSuchName }
        if labels.count == 2 { return .noData }
        guard let (title, service) = find(labels[labels.count - 3], namespace, known, asker) else { return .noSuchName }
        if let target = service.externalName { return labels.count == 3 ? .alias(target) : .noSuchName }
        let rest = Array(labels.dropLast(3))
        if rest.isEmpty { return whole(name, type, title, service, namespace) }
        if rest.last?.hasPrefix("_") == true { return ports(name, type, rest, title, service, namespace) }
        guard rest.count == 1, service.isHeadless else { return .noSuchName }
        let found = endpoints(title, service, namespace).filter { $0.names.contains(rest[0]) }
        return found.isEmpty ? .noSuchName : addresses(name, type, found.map(\.address))
    }

    /// A Service by its name, or by its component for pods of the same landscape.
    private func find(_ name: String, _ namespace: String, _ known: [String: Service], _ asker: Asker) -> (
        String, Service
    )? {
        if let service = known[name] { return (name, service) }
        guard !asker.partOf.isEmpty, asker.namespace == namespace else { return nil }
        let title = "\(asker.partOf)-\(name)"
        return known[title].flatMap { $0.partOf == asker.partOf && $0.component == name ? (title, $0) : nil }
    }

    private func whole(
        _ name: DNSName, _ type: DNSType, _ title: String, _ service: Service, _ namespace: String
    ) -> Answer {
        if type == .srv {
            return targets(name, title, service, namespace) { _ in true }
        }
        let found = service.isHeadless ? endpoints(title, service, namespace).map(\.address) : []
        return addresses(name, type, service.address.map { [$0] } ?? found)
    }

    /// `_http._tcp`, and `_tcp` alone, which is there and has nothing.
    private func ports(
        _ name: DNSName, _ type: DNSType, _ labels: [String], _ title: String, _ service: Service, _ namespace: String
    ) -> Answer {
        guard let transport = labels.last.flatMap({ Transport(rawValue: String($0.dropFirst())) }), labels.count <= 2
        else { return .noSuchName }
        if labels.count == 1 { return .noData }
        let wanted = String(labels[0].dropFirst())
        guard labels[0].hasPrefix("_"), !wanted.isEmpty,
            service.ports.contains(where: { $0.name == wanted && $0.transport == transport })
        else { return .noSuchName }
        guard type == .srv || type == .any else { return .noData }
        return targets(name, title, service, namespace) { $0.name == wanted && $0.transport == transport }
    }

    private func targets(
        _ name: DNSName, _ title: String, _ service: Service, _ namespace: String,
        where isWanted: ((name: String, transport: Transport, number: Int)) -> Bool
    ) -> Answer {
        var records: [DNSRecord] = []
        var additional: [DNSRecord] = []
        func add(_ target: DNSName, _ address: IPv4Address, _ port: Int) {
            let weights: [UInt16] = [0, 100, UInt16(clamping: port)]
            let record = DNSRecord(name, .srv, weights.flatMap(\.bytes) + target.bytes)
            if !records.contains(record) { records.append(record) }
            let help = DNSRecord(target, .a, address.number.bytes)
            if !additional.contains(help) { additional.append(help) }
        }
        let full = Self.below([title, namespace, "svc"], zone)
        if let address = service.address {
            for port in service.ports where isWanted(port) { add(full, address, port.number) }
        } else if service.isHeadless {
            for slice in slices(of: title, namespace) {
                for port in slice.ports where isWanted(port) {
                    for endpoint in slice.endpoints where endpoint.isReady || service.publishesAll {
                        add(Self.below([endpoint.names[0]], full), endpoint.address, port.number)
                    }
                }
            }
        }
        return records.isEmpty ? .noData : .records(records, additional: additional)
    }

    private func slices(of service: String, _ namespace: String) -> [Slice] {
        (slices[namespace] ?? [:]).filter { $0.value.service == service }.sorted { $0.key < $1.key }.map(\.value)
    }

    private func endpoints(_ title: String, _ service: Service, _ namespace: String) -> [Endpoint] {
        slices(of: title, namespace).flatMap(\.endpoints).filter {
            $0.isReady || service.publishesAll
        }
    }

    private func addresses(_ name: DNSName, _ type: DNSType, _ found: [IPv4Address]) -> Answer {
        guard type == .a || type == .any, !found.isEmpty else { return .noData }
        let distinct = Set(found).sorted()
        return .records(distinct.map { DNSRecord(name, .a, $0.number.bytes) }, additional: [])
    }

    // MARK: Addresses

    private static func reverse(_ name: DNSName) -> IPv4Address? {
        let zone = DNSName(labels: ["in-addr", "arpa"].map { Array($0.utf8) })
        guard let labels = name.labels(before: zone), labels.count == 4 else { return nil }
        return IPv4Address(labels.reversed().joined(separator: "."))
    }

    private func name(of address: IPv4Address, _ podNamespace: (IPv4Address) -> String?) -> DNSName? {
        for (namespace, known) in services.sorted(by: { $0.key < $1.key }) {
            for (name, service) in known.sorted(by: { $0.key < $1.key }) {
                let title = [name, namespace, "svc"]
                if service.address == address { return Self.below(title, zone) }
                guard service.isHeadless else { continue }
                let found = endpoints(name, service, namespace).first { $0.address == address }
                if let found { return Self.below([found.names[0]] + title, zone) }
            }
        }
        return podNamespace(address).map { Self.below([Self.dashed(address), $0, "pod"], zone) }
    }
}
