package import Documents

/// Everything the walls follow from: where this server's network is, and what the documents say of who is on it. A plain
/// value, kept by `Walls`.
package struct ClusterNetwork: Sendable, Equatable {
    package struct Pod: Sendable, Equatable {
        package var namespace: String
        package var labels: [String: String]
        /// Egress as the pod's own annotations narrow it.
        package var egress: EgressRule
        package var ports: [ContainerPort]
        /// Where it is on the network; `nil` until it is there. A pod that is nowhere has no rules.
        package var place: Place?

        package init(_ document: Document) {
            namespace = document.namespace
            labels = document.labels
            egress = EgressRule(labels: labels, annotations: document.annotations)
            let containers =
                (document.spec["initContainers"]?.arrayValue ?? []) + (document.spec["containers"]?.arrayValue ?? [])
            ports = containers.flatMap { $0["ports"]?.arrayValue ?? [] }.compactMap(ContainerPort.init)
        }

        func port(named name: String, _ transport: Transport) -> Int? {
            ports.first { $0.name == name && $0.transport == transport }?.number
        }
    }

    /// A pod's address, and the host's end of its link: what comes from the link must bear the address.
    package struct Place: Sendable, Equatable {
        package var address: IPv4Address
        package var link: String

        package init(address: IPv4Address, link: String) {
            self.address = address
            self.link = link
        }
    }

    package struct ContainerPort: Sendable, Equatable {
        package var name: String
        package var transport: Transport
        package var number: Int

        init?(_ json: JSON) {
            guard let number = json["containerPort"]?.integerValue, (1...65535).contains(number),
                let transport = Transport(json["protocol"])
            else { return nil }
            name = json["name"]?.stringValue ?? ""
            self.transport = transport
            self.number = Int(number)
        }
    }

    package struct Service: Sendable, Equatable {
        package struct Port: Sendable, Equatable {
            package enum Target: Sendable, Equatable {
                case number(Int)
                case named(String)
            }
            package var transport: Transport
            package var number: Int
            package var target: Target

            init?(_ json: JSON) {
                guard let number = json["port"]?.integerValue, (1...65535).contains(number),
                    let transport = Transport(json["protocol"])
                else { return nil }
                self.transport = transport
                self.number = Int(number)
                if let name = json["targetPort"]?.stringValue {
                    target = .named(name)
                } else {
                    target = .number(json["targetPort"]?.integerValue.map { Int(clamping: $0) } ?? Int(number))
                }
            }

            /// The port of this pod that the Service's port leads to.
            func number(on pod: Pod) -> Int? {
                switch target {
                case .number(let number): number
                case .named(let name): pod.port(named: name, transport)
                }
            }
        }

        package var namespace: String
        /// `nil` where it has none of its own: headless, or a name for somewhere else.
        package var address: IPv4Address?
        package var ports: [Port]
        /// `nil`: its endpoints are somebody else's to say.
        package var selector: [String: String]?

        package init(_ document: Document) {
            namespace = document.namespace
            address = document.spec["clusterIP"]?.stringValue.flatMap(IPv4Address.init)
            ports = (document.spec["ports"]?.arrayValue ?? []).compactMap(Port.init)
            let members = document.spec["selector"]?.objectValue?.members ?? []
            selector =
                members.isEmpty
                ? nil : Dictionary(members.map { ($0.key, $0.value.stringValue ?? "") }) { first, _ in first }
        }
    }

    package struct Namespace: Sendable, Equatable {
        package static let allowFrom = "espalier.dev/allow-from"

        package var labels: [String: String]
        /// Namespaces whose pods may come in; `*` is all of them.
        package var allowsFrom: Set<String>
        package var egress: EgressRule

        package init(_ document: Document) {
            labels = document.labels
            labels["kubernetes.io/metadata.name"] = document.name
            // A label holds one name, an annotation several.
            let names = [document.labels[Self.allowFrom], document.annotations[Self.allowFrom]].compactMap { $0 }
            allowsFrom = Set(names.flatMap { $0.split { $0 == "," || $0 == " " } }.map(String.init))
            egress = EgressRule(labels: document.labels, annotations: document.annotations)
        }
    }

    /// The name of the table, `espalier-<instance>`.
    package var table: String
    /// What the host's end of every pod's link begins with.
    package var linkPrefix: String
    package var podRange: IPv4Range
    package var serviceRange: IPv4Range
    /// The host as its pods see it; names are asked for here.
    package var gateway: IPv4Address
    /// TCP ports of the server's own, which no pod reaches at any address of the host.
    package var serverPorts: Set<Int> = []
    /// TCP ports on which the gateway serves what routes publish; pods reach them at every address of the host.
    package var publishedPorts: Set<Int> = []
    /// Devices that this software has made forward; they go on forwarding nothing of anybody else's.
    package var openedUplinks: Set<String> = []

    /// By UID.
    package var pods: [String: Pod] = [:]
    package var services: [ObjectKey: Service] = [:]
    package var namespaces: [String: Namespace] = [:]
    package var policies: [ObjectKey: NetworkPolicy] = [:]

    package init(
        table: String, linkPrefix: String, podRange: IPv4Range, serviceRange: IPv4Range, gateway: IPv4Address
    ) {
        self.table = table
        self.linkPrefix = linkPrefix
        self.podRange = podRange
        self.serviceRange = serviceRange
        self.gateway = gateway
    }
}
