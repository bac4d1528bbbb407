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
            logger.warning("Pod adopted without its address", metadata: ["error": "\(error)"])
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

    private func documents() -> PodDocuments {
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

    /// The environment and command of a container that is about to start.
    func materials(of container: ContainerSpecification) async throws(PodMaterials.Missing) -> PodMaterials {
        var defaults = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/tmp"),
            ("HOSTNAME", specification.hostName), ("LANG", "C.UTF-8"),
        ]
        defaults += context.services.environment(for: specification)
        for (index, port) in container.ports.enumerated() {
            let number = String(listeningPort(port))
            if index == 0 { defaults.append(("PORT", number)) }
            if !port.name.isEmpty { defaults.append(("PORT_\(ServiceTable.variable(port.name))", number)) }
        }
        var documents = documents()
        return try await PodMaterials.resolve(container, from: &documents, defaults: defaults)
    }

    /// Where a declared port is really listened on: itself, unless the pod shares the host's network.
    func listeningPort(_ port: ContainerSpecification.Port) -> Int {
        guard case .host = context.podNetwork.network.mode else { return port.number }
        let ports = PodPorts.read(specification.annotations)
        return ports[port.name.isEmpty ? String(port.number) : port.name] ?? port.number
    }

    private func memoryVolume(_ name: String) -> String? {
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
        let user = context.configuration.user(of: specification.uid)
        var documents = documents()
        let content = try await VolumeFiles.resolve(&documents)
        for (name, files) in content.files.sorted(by: { $0.key < $1.key }) {
            let root = try place(name, isSecret: content.isSecret.contains(name))
            try VolumeWriter(root: root, owner: user).write(files)
        }
        for volume in specification.volumes where volume["emptyDir"] != nil {
            guard let name = volume["name"]?.stringValue else { continue }
            let isMemory = volume["emptyDir"]?["medium"]?.stringValue == "Memory"
            let root = isMemory ? memoryVolume(name) ?? directory.volume(name) : directory.volume(name)
            try StateFiles.makeDirectories(root)
            try StateFiles.give(root, to: user)
        }
    }

    func writeHosts(address: String) throws {
        let text = Array(context.services.hosts(for: specification, address: address).utf8)
        if StateFiles.read(directory.hostsFile) != text { try StateFiles.write(directory.hostsFile, text, mode: 0o644) }
    }

    func request(
        _ container: ContainerSpecification, _ attempt: Int, _ materials: PodMaterials
    ) throws -> ShimLauncher.Request {
        let name = container.name
        for old in directory.attempts(name) where old <= attempt - Limits.attemptsKept {
            StateFiles.remove(directory.attempt(name, old))
        }
        let user = context.configuration.user(of: specification.uid)
        var request = ShimLauncher.Request(
            directory: directory.attempt(name, attempt), log: directory.log(name, attempt),
            command: materials.command, environment: materials.environment,
            networkNamespace: context.podNetwork.namespacePath(of: specification.uid), isSandboxed: false, user: nil,
            workingDirectory: nil)
        request.hasInput = container.hasInput
        request.isInputOnce = container.isInputOnce
        request.isTerminal = container.isTerminal
        request.terminalOwner = user
        guard case .bubblewrap(let path) = context.sandbox else {
            guard container.volumeMounts.isEmpty else {
                throw PodMaterials.Missing("volumes need bubblewrap on this node: install the package bubblewrap")
            }
            request.user = user
            request.workingDirectory = container.workingDirectory ?? "/"
            return request
        }
        let sandbox = Sandbox(
            bubblewrap: path, root: context.root, hidden: [context.configuration.dataDirectory],
            mounts: try mounts(of: container),
            hostName: specification.hostName, shim: context.configuration.shimPath, user: user,
            workingDirectory: container.workingDirectory)
        request.isSandboxed = true
        request.command = sandbox.arguments(materials.command)
        return request
    }

    private func mounts(of container: ContainerSpecification) throws(PodMaterials.Missing) -> [Sandbox.Mount] {
        var mounts = [Sandbox.Mount(source: directory.hostsFile, path: "/etc/hosts", isReadOnly: true)]
        for mount in container.volumeMounts {
            let name = mount["name"]?.stringValue ?? ""
            guard let path = mount["mountPath"]?.stringValue, path.hasPrefix("/"),
                let volume = specification.volumes.first(where: { $0["name"]?.stringValue == name })
            else {
                throw PodMaterials.Missing("volume mount \(name): no such volume, or its path is not absolute")
            }
            let isEmptyDirectory = volume["emptyDir"] != nil
            let isMemory = !isEmptyDirectory || volume["emptyDir"]?["medium"]?.stringValue == "Memory"
            var source = isMemory ? memoryVolume(name) ?? directory.volume(name) : directory.volume(name)
            if let part = mount["subPath"]?.stringValue, !part.isEmpty {
                guard !part.hasPrefix("/"), !part.split(separator: "/").contains("..") else {
                    throw PodMaterials.Missing("volume mount \(name): subPath \(part) leaves the volume")
                }
                source += "/\(part)"
            }
            let isReadOnly = !isEmptyDirectory || mount["readOnly"]?.boolValue == true
            mounts.append(Sandbox.Mount(source: source, path: path, isReadOnly: isReadOnly))
        }
        return mounts
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
