internal import Documents
internal import Glibc
internal import Logging
internal import Seams
internal import Synchronization

/// What containers find when they start: the pod's address and volumes, their own environment and sandbox.
extension PodRunner {
    func prepare() async {
        do {
            let address = try await prepareNetwork()
            try await writeVolumes()
            try writeHosts(address: address)
            try writeResolver()
            send(.prepared(address: address))
        } catch let missing as PodMaterials.Missing {
            send(.preparationFailed(reason: missing.reason, message: missing.message))
        } catch {
            send(.preparationFailed(reason: "CreateContainerError", message: "\(error)"))
        }
    }

    /// A pod that runs already keeps its address; its files are left alone, the hosts file is brought up to date.
    func adopt() async {
        do {
            let address = try await prepareNetwork()
            try writeHosts(address: address)
            send(.prepared(address: address))
        } catch {
            send(.preparationFailed(reason: "CreateContainerError", message: "\(error)"))
        }
    }

    private func prepareNetwork() async throws -> String {
        try StateFiles.makeDirectories(directory.path)
        let recorded = StateFiles.text(directory.addressFile)?.filter { $0 != "\n" }
        let result = try await context.podNetwork.prepare(uid: specification.uid, recorded: recorded)
        if recorded != result { try StateFiles.write(directory.addressFile, Array("\(result)\n".utf8)) }
        try StateFiles.write(
            "\(directory.path)/pod",
            Array(
                """
                namespace \(specification.key.namespace)
                name \(specification.key.name)
                grace \(specification.gracePeriod.components.seconds)

                """.utf8))
        address.withLock { $0 = result }
        return result
    }

    func documents() -> PodDocuments {
        let address = address.withLock { $0 }
        let facts = [
            "metadata.name": specification.key.name, "metadata.namespace": specification.key.namespace,
            "metadata.uid": specification.uid, "spec.nodeName": context.configuration.nodeName,
            "spec.serviceAccountName": specification.serviceAccount, "status.podIP": address,
            "status.podIPs": address, "status.hostIP": context.podNetwork.network.hostAddress,
            "status.hostIPs": context.podNetwork.network.hostAddress,
        ]
        return PodDocuments(specification, client: context.client, facts: facts)
    }

    /// The environment and command of a container that is about to start; `image` is its image, if it has one.
    func materials(
        of container: ContainerSpecification, _ image: Image?
    ) async throws(PodMaterials.Missing) -> PodMaterials {
        var defaults = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOSTNAME", specification.hostName),
        ]
        for entry in image?.environment ?? ["HOME=/tmp", "LANG=C.UTF-8"] {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { defaults.append((String(parts[0]), String(parts[1]))) }
        }
        defaults += context.services.environment(for: specification)
        for (index, port) in container.ports.enumerated() {
            let number = String(listeningPort(port))
            if index == 0 { defaults.append(("PORT", number)) }
            if !port.name.isEmpty { defaults.append(("PORT_\(ServiceTable.variable(port.name))", number)) }
        }
        var documents = documents()
        return try await PodMaterials.resolve(
            container, from: &documents, defaults: defaults, command: image?.entrypoint ?? [],
            arguments: image?.command ?? [])
    }

    /// Where a declared port is really listened on: itself, unless the pod shares the host's network.
    func listeningPort(_ port: ContainerSpecification.Port) -> Int {
        guard case .host = context.podNetwork.network.mode else { return port.number }
        let ports = PodPorts.read(specification.annotations)
        return ports[port.name.isEmpty ? String(port.number) : port.name] ?? port.number
    }

    func memoryVolume(_ name: String) -> String? {
        context.memoryDirectory.map { "\($0)/\(specification.uid)/volumes/\(name)" }
    }

    /// Where a volume of files lies. Secrets only ever in memory.
    private func place(_ name: String, isSecret: Bool) throws(PodMaterials.Missing) -> String {
        if let place = memoryVolume(name) { return place }
        guard !isSecret else {
            throw PodMaterials.Missing("volume \(name): this machine has no memory file system to keep a secret in")
        }
        return directory.volume(name)
    }

    /// Brings volumes up to date while the pod runs. What has gone meanwhile stays in them.
    func rewriteVolumes() async {
        do {
            try await writeVolumes()
        } catch {
            logger.warning("Volumes not written anew", metadata: ["error": "\(error)"])
        }
        mail.yield(.rewritten)
    }

    /// Writes the volumes that documents fill, and makes the empty ones.
    func writeVolumes() async throws {
        let user = specification.runtime == .process ? context.configuration.user(of: specification.uid) : nil
        let group = specification.runtime == .image ? specification.fsGroup : nil
        var documents = documents()
        let content = try await VolumeFiles.resolve(&documents)
        for (name, files) in content.files.sorted(by: { $0.key < $1.key }) {
            let root = try place(name, isSecret: content.isSecret.contains(name))
            try VolumeWriter(root: root, owner: user, group: group).write(files)
        }
        for volume in specification.volumes where volume["emptyDir"] != nil {
            guard let name = volume["name"]?.stringValue else { continue }
            let isMemory = volume["emptyDir"]?["medium"]?.stringValue == "Memory"
            let root = isMemory ? memoryVolume(name) ?? directory.volume(name) : directory.volume(name)
            try makeEmpty(root, user, group)
        }
    }

    /// A folder that the pod may write: its user's, or as Kubernetes makes them for any user and for a group.
    func makeEmpty(_ root: String, _ user: UInt32?, _ group: UInt32?) throws {
        if StateFiles.isDirectory(root) { return }
        try StateFiles.makeDirectories(root)
        try StateFiles.give(root, to: user)
        guard specification.runtime == .image else { return }
        guard lchown(root, .max, group ?? .max) == 0, chmod(root, group == nil ? 0o777 : 0o2777) == 0 else {
            throw StateFiles.Failure(path: root, number: errno)
        }
    }

    /// Who answers the pod's questions for names: the node's resolver, where pods have addresses of their own.
    private func writeResolver() throws {
        guard case .bridge(let bridge) = context.podNetwork.network.mode else { return }
        let text = PodResolverConfiguration.text(
            specification.names, namespace: specification.key.namespace, resolver: bridge.address,
            host: StateFiles.text("/etc/resolv.conf") ?? "")
        try StateFiles.write(directory.resolverFile, Array(text.utf8), mode: 0o644)
    }

    func writeHosts(address: String) throws {
        let text = Array(context.services.hosts(for: specification, address: address).utf8)
        if StateFiles.read(directory.hostsFile) != text { try StateFiles.write(directory.hostsFile, text, mode: 0o644) }
    }
}

/// The annotation that says where the ports of a pod on the host network are: `{"http":31234}`, by port name, or by
/// number where a port has no name.
enum PodPorts {
    static let annotation = "espalier.dev/ports"

    static func read(_ annotations: [String: String]) -> [String: Int] {
        guard let text = annotations[annotation], let json = try? JSONParser.parse(Array(text.utf8)) else { return [:] }
        var ports: [String: Int] = [:]
        for member in json.objectValue?.members ?? [] {
            if let number = member.value.integerValue { ports[member.key] = Int(clamping: number) }
        }
        return ports
    }

    static func text(_ ports: [String: Int]) -> String {
        JSON.object(JSONObject(ports.sorted { $0.key < $1.key }.map { ($0.key, .integer(Int64($0.value))) })).text()
    }
}
