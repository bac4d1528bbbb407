package import Documents
internal import Synchronization

/// The Services of the cluster as pods are told of them: in their hosts file and in their environment. Kept by the
/// agent from its watch, read by the runners; the lock guards the table.
package final class ServiceTable: Sendable {
    /// A Service a pod can reach.
    package struct Entry: Sendable, Hashable {
        package var key: ObjectKey
        package var address: String
        package var ports: [ContainerSpecification.Port]
        /// Its landscape and component, where it stands for one service of a landscape whatever the revision.
        package var partOf: String
        package var component: String
    }

    private let entries = Mutex<[ObjectKey: Entry]>([:])

    package init() {}

    package func replaceAll() { entries.withLock { $0 = [:] } }

    package func set(_ service: Document) {
        let key = ObjectKey(
            GroupResource(group: "", resource: "services"), namespace: service.namespace, name: service.name)
        let entry = Self.entry(key, service)
        entries.withLock { $0[key] = entry }
    }

    package func remove(_ service: Document) {
        let key = ObjectKey(
            GroupResource(group: "", resource: "services"), namespace: service.namespace, name: service.name)
        entries.withLock { $0[key] = nil }
    }

    private static func entry(_ key: ObjectKey, _ service: Document) -> Entry? {
        guard let address = service.spec["clusterIP"]?.stringValue, IPv4Address(address) != nil else { return nil }
        let labels = service.labels
        let partOf = labels["app.kubernetes.io/part-of"] ?? ""
        let component = labels["app.kubernetes.io/component"] ?? ""
        let isStable = !component.isEmpty && service.name == "\(partOf)-\(component)"
        // One revision's own Service is for routes; a pod that named it would be bound to that revision.
        if !component.isEmpty, !isStable { return nil }
        let ports = (service.spec["ports"]?.arrayValue ?? []).compactMap { port -> ContainerSpecification.Port? in
            port["port"]?.integerValue.map {
                ContainerSpecification.Port(name: port["name"]?.stringValue ?? "", number: Int(clamping: $0))
            }
        }
        return Entry(
            key: key, address: address, ports: ports, partOf: isStable ? partOf : "",
            component: isStable ? component : "")
    }

    private func services(_ namespace: String) -> [Entry] {
        entries.withLock { $0.values.filter { $0.key.namespace == namespace } }.sorted { $0.key < $1.key }
    }

    /// `NAME_SERVICE_HOST` and `NAME_SERVICE_PORT`, for every Service of the namespace by its name, and for those
    /// of the pod's own landscape by component.
    package func environment(for pod: PodSpecification) -> [(String, String)] {
        let partOf = pod.labels["app.kubernetes.io/part-of"] ?? ""
        var result: [(String, String)] = []
        for service in services(pod.key.namespace) {
            var names = [service.key.name]
            if !partOf.isEmpty, service.partOf == partOf { names.append(service.component) }
            for name in names {
                let prefix = Self.variable(name)
                result.append(("\(prefix)_SERVICE_HOST", service.address))
                if let first = service.ports.first { result.append(("\(prefix)_SERVICE_PORT", String(first.number))) }
                for port in service.ports where !port.name.isEmpty {
                    result.append(("\(prefix)_SERVICE_PORT_\(Self.variable(port.name))", String(port.number)))
                }
            }
        }
        return result
    }

    static func variable(_ name: String) -> String {
        String(
            decoding: name.utf8.map { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") ? UInt8(ascii: "_") : $0 },
            as: UTF8.self
        )
        .uppercased()
    }

    package func hosts(for pod: PodSpecification, address: String) -> String {
        var lines = [
            "# Written by espalier for this pod.", "127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback",
        ]
        lines.append("\(address) \(pod.hostName)")
        let partOf = pod.labels["app.kubernetes.io/part-of"] ?? ""
        for service in services(pod.key.namespace) {
            let name = service.key.name
            let domain = "\(name).\(pod.key.namespace)"
            var names = [name, domain, "\(domain).svc", "\(domain).svc.cluster.local"]
            if !partOf.isEmpty, service.partOf == partOf { names.append(service.component) }
            lines.append("\(service.address) \(names.joined(separator: " "))")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
