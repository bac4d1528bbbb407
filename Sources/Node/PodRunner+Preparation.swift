internal import Documents
internal import Glibc
internal import Logging
internal import Seams
internal import Synchronization

/// What a container finds when it starts: its address, files, environment and sandbox.
extension PodRunner {
    func prepare() async {
        do {
            let address = try await prepareNetwork()
            let materials = try await resolve(address: address)
            try write(materials)
            try writeHosts(address: address)
            self.materials.withLock { $0 = materials }
            send(.prepared(address: address))
        } catch let missing as PodMaterials.Missing {
            send(.preparationFailed(reason: "CreateContainerConfigError", message: missing.message))
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

    private func resolve(address: String) async throws(PodMaterials.Missing) -> PodMaterials {
        let facts = [
            "metadata.name": specification.key.name, "metadata.namespace": specification.key.namespace,
            "metadata.uid": specification.uid, "spec.nodeName": context.configuration.nodeName,
            "spec.serviceAccountName": "default", "status.podIP": address, "status.podIPs": address,
            "status.hostIP": context.podNetwork.network.hostAddress,
        ]
        var defaults = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/tmp"),
            ("HOSTNAME", specification.key.name), ("LANG", "C.UTF-8"),
        ]
        defaults += context.services.environment(for: specification)
        for (index, port) in specification.ports.enumerated() {
            let number = String(listeningPort(port))
            if index == 0 { defaults.append(("PORT", number)) }
            if !port.name.isEmpty { defaults.append(("PORT_\(ServiceTable.variable(port.name))", number)) }
        }
        var resolver = PodMaterialsResolver(specification, client: context.client, facts: facts)
        return try await resolver.resolve(defaults: defaults)
    }

    /// Where a declared port is really listened on: itself, unless the pod shares the host's network.
    func listeningPort(_ port: PodSpecification.Port) -> Int {
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
            throw PodMaterials.Missing(
                message: "volume \(name): this machine has no memory file system to keep a secret in")
        }
        return directory.volume(name)
    }

    private func write(_ materials: PodMaterials) throws {
        let user = context.configuration.user(of: specification.uid)
        for (name, files) in materials.files.sorted(by: { $0.key < $1.key }) {
            let root = try place(name, isSecret: materials.isSecret.contains(name))
            try StateFiles.makeDirectories(root)
            try allow(root)
            for file in files {
                let path = "\(root)/\(file.path)"
                var folder = root
                for part in file.path.split(separator: "/").dropLast() {
                    folder += "/\(part)"
                    try StateFiles.makeDirectories(folder)
                    try allow(folder)
                }
                try StateFiles.write(path, file.bytes, mode: mode_t(file.mode))
                try StateFiles.give(path, to: user)
            }
        }
        for volume in specification.volumes where volume["emptyDir"] != nil {
            guard let name = volume["name"]?.stringValue else { continue }
            let isMemory = volume["emptyDir"]?["medium"]?.stringValue == "Memory"
            let root = isMemory ? memoryVolume(name) ?? directory.volume(name) : directory.volume(name)
            try StateFiles.makeDirectories(root)
            try StateFiles.give(root, to: user)
        }
    }

    /// The folders above are closed to everybody; inside the sandbox the pod's user must get in.
    private func allow(_ folder: String) throws {
        guard chmod(folder, 0o755) == 0 else { throw StateFiles.Failure(path: folder, number: errno) }
    }

    func writeHosts(address: String) throws {
        let text = Array(context.services.hosts(for: specification, address: address).utf8)
        if StateFiles.read(directory.hostsFile) != text { try StateFiles.write(directory.hostsFile, text, mode: 0o644) }
    }

    func request(_ attempt: Int, _ materials: PodMaterials) throws -> ShimLauncher.Request {
        let container = specification.containerName
        for old in directory.attempts(container) where old <= attempt - Limits.attemptsKept {
            StateFiles.remove(directory.attempt(container, old))
        }
        let user = context.configuration.user(of: specification.uid)
        var request = ShimLauncher.Request(
            directory: directory.attempt(container, attempt), log: directory.log(container, attempt),
            command: materials.command, environment: materials.environment,
            networkNamespace: context.podNetwork.namespacePath(of: specification.uid), isSandboxed: false, user: nil,
            workingDirectory: nil)
        request.hasInput = specification.hasInput
        request.isInputOnce = specification.isInputOnce
        request.isTerminal = specification.isTerminal
        request.terminalOwner = user
        guard case .bubblewrap(let path) = context.sandbox else {
            guard specification.volumeMounts.isEmpty else {
                throw PodMaterials.Missing(
                    message: "volumes need bubblewrap on this node: install the package bubblewrap")
            }
            request.user = user
            request.workingDirectory = specification.workingDirectory ?? "/"
            return request
        }
        let sandbox = Sandbox(
            bubblewrap: path, root: context.root, hidden: [context.configuration.dataDirectory], mounts: try mounts(),
            hostName: String(specification.key.name.prefix(63)), shim: context.configuration.shimPath, user: user,
            workingDirectory: specification.workingDirectory)
        request.isSandboxed = true
        request.command = sandbox.arguments(materials.command)
        return request
    }

    private func mounts() throws(PodMaterials.Missing) -> [Sandbox.Mount] {
        var mounts = [Sandbox.Mount(source: directory.hostsFile, path: "/etc/hosts", isReadOnly: true)]
        for mount in specification.volumeMounts {
            let name = mount["name"]?.stringValue ?? ""
            guard let path = mount["mountPath"]?.stringValue, path.hasPrefix("/"),
                let volume = specification.volumes.first(where: { $0["name"]?.stringValue == name })
            else {
                throw PodMaterials.Missing(message: "volume mount \(name): no such volume, or its path is not absolute")
            }
            let isEmptyDirectory = volume["emptyDir"] != nil
            let isMemory = !isEmptyDirectory || volume["emptyDir"]?["medium"]?.stringValue == "Memory"
            var source = isMemory ? memoryVolume(name) ?? directory.volume(name) : directory.volume(name)
            if let part = mount["subPath"]?.stringValue, !part.isEmpty {
                guard !part.hasPrefix("/"), !part.split(separator: "/").contains("..") else {
                    throw PodMaterials.Missing(message: "volume mount \(name): subPath \(part) leaves the volume")
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
