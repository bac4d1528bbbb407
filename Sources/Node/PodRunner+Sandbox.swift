internal import Client
internal import Documents
internal import Glibc
internal import Seams

/// What a container's shim is asked: the sandbox, who the container is, its limits and what is mounted in it.
extension PodRunner {
    func request(
        _ container: ContainerSpecification, _ attempt: Int, _ materials: PodMaterials, _ image: Image?
    ) async throws -> ShimLauncher.Request {
        let name = container.name
        for old in directory.attempts(name) where old <= attempt - Limits.attemptsKept {
            StateFiles.remove(directory.attempt(name, old))
        }
        let folder = directory.attempt(name, attempt)
        var request = ShimLauncher.Request(
            directory: folder, log: directory.log(name, attempt), command: materials.command,
            environment: materials.environment)
        request.networkNamespace = context.podNetwork.namespacePath(of: specification.uid)
        request.hasInput = container.hasInput
        request.isInputOnce = container.isInputOnce
        request.isTerminal = container.isTerminal
        request.groups = try context.groups.prepare(group, container: name, limits: container.resources.groupLimits)
        let identity = try identity(of: container, imageUser: image?.user)
        if specification.runtime == .process {
            request.terminalOwner = context.configuration.user(of: specification.uid)
        } else {
            request.terminalOwner = specification.runAsUser(container)
        }
        guard case .bubblewrap(let path) = context.sandbox else {
            guard image == nil else {
                throw PodMaterials.Missing("images need bubblewrap on this node: install the package bubblewrap")
            }
            guard container.volumeMounts.isEmpty else {
                throw PodMaterials.Missing("volumes need bubblewrap on this node: install the package bubblewrap")
            }
            request.identity = identity
            request.workingDirectory = container.workingDirectory ?? "/"
            return request
        }
        let root: Sandbox.Root =
            if let image {
                .image(layers: image.layers, upper: "\(folder)/upper", work: "\(folder)/work")
            } else {
                .host(entries: context.root, hidden: [context.configuration.dataDirectory])
            }
        let ownFolder = image.flatMap { $0.workingDirectory.isEmpty ? nil : $0.workingDirectory }
        var sandbox = Sandbox(
            bubblewrap: path, root: root, mounts: try await mounts(of: container), hostName: specification.hostName,
            shim: context.configuration.shimPath, identity: identity,
            workingDirectory: container.workingDirectory ?? ownFolder)
        sandbox.isRootReadOnly =
            image != nil && container.securityContext["readOnlyRootFilesystem"]?.boolValue == true
        request.sandbox = sandbox
        return request
    }

    private var group: ControlGroups.Pod {
        let requests = specification.containers.compactMap(\.resources.requestedCPU)
        return ControlGroups.Pod(
            uid: specification.uid, cpuRequestMillicores: requests.isEmpty ? nil : requests.reduce(0, +))
    }

    /// A process pod has a user of its own, whatever it asks for; a container is who its image and its pod say.
    func identity(
        of container: ContainerSpecification, imageUser: String?
    ) throws(PodMaterials.Missing) -> ContainerIdentity {
        guard specification.runtime == .image else {
            return .ownUser(context.configuration.user(of: specification.uid))
        }
        let user = specification.runAsUser(container)
        let group = specification.security("runAsGroup", container)?.integerValue.map { UInt32(clamping: $0) }
        if specification.security("runAsNonRoot", container)?.boolValue == true {
            let name = user.map { String($0) } ?? String((imageUser ?? "").prefix { $0 != ":" })
            if name.isEmpty || UInt32(name) == 0 {
                throw PodMaterials.Missing("container has runAsNonRoot and image will run as root")
            }
            if UInt32(name) == nil {
                throw PodMaterials.Missing(
                    "container has runAsNonRoot and image has non-numeric user (\(name)), cannot verify user is non-root"
                )
            }
        }
        let supplemental = (specification.securityContext["supplementalGroups"]?.arrayValue ?? [])
            .compactMap { $0.integerValue.map { UInt32(clamping: $0) } }
        let isStrict = specification.securityContext["supplementalGroupsPolicy"]?.stringValue == "Strict"
        do {
            let changes = container.securityContext["capabilities"]
            let capabilities = try CapabilitySet(
                adding: (changes?["add"]?.arrayValue ?? []).compactMap(\.stringValue),
                dropping: (changes?["drop"]?.arrayValue ?? []).compactMap(\.stringValue))
            return .image(
                user: imageUser, runAsUser: user, runAsGroup: group,
                groups: supplemental + (specification.fsGroup.map { [$0] } ?? []),
                groupsPolicy: isStrict ? .strict : .merge, capabilities: capabilities)
        } catch {
            throw PodMaterials.Missing("securityContext.capabilities: \(error.message)")
        }
    }

    private func mounts(of container: ContainerSpecification) async throws(PodMaterials.Missing) -> [Sandbox.Mount] {
        var mounts = [Sandbox.Mount(source: directory.hostsFile, path: "/etc/hosts", isReadOnly: true)]
        // Over a link of the host's that leads into /run nothing can be mounted.
        let isPlain = specification.runtime == .image || StateFiles.linkTarget("/etc/resolv.conf") == nil
        let own = StateFiles.exists(directory.resolverFile) ? directory.resolverFile : "/etc/resolv.conf"
        if isPlain, StateFiles.exists(own) {
            mounts.append(Sandbox.Mount(source: own, path: "/etc/resolv.conf", isReadOnly: true))
        }
        for mount in container.volumeMounts {
            let name = mount["name"]?.stringValue ?? ""
            guard let path = mount["mountPath"]?.stringValue, path.hasPrefix("/"),
                let volume = specification.volumes.first(where: { $0["name"]?.stringValue == name })
            else {
                throw PodMaterials.Missing("volume mount \(name): no such volume, or its path is not absolute")
            }
            let (source, isReadOnly, isOurs) = try await self.source(of: volume, name)
            var entry = Sandbox.Mount(
                source: source, path: path, isReadOnly: isReadOnly || mount["readOnly"]?.boolValue == true)
            if let part = mount["subPath"]?.stringValue, !part.isEmpty {
                guard !part.hasPrefix("/"), !part.split(separator: "/").contains("..") else {
                    throw PodMaterials.Missing("volume mount \(name): subPath \(part) leaves the volume")
                }
                // What a container wrote could be a link to anywhere: those are followed inside alone.
                if isOurs { entry.source += "/\(part)" } else { entry.part = part }
            }
            mounts.append(entry)
        }
        return mounts
    }

    /// Where a volume lies on this machine, whether it may be written, and whether nobody but the node ever wrote it.
    private func source(
        of volume: JSON, _ name: String
    ) async throws(PodMaterials.Missing) -> (path: String, isReadOnly: Bool, isOurs: Bool) {
        if let claim = volume["persistentVolumeClaim"] {
            let path = try await claimed(claim["claimName"]?.stringValue ?? "", name)
            return (path, claim["readOnly"]?.boolValue == true, false)
        }
        let isOurs = volume["emptyDir"] == nil
        let isMemory = isOurs || volume["emptyDir"]?["medium"]?.stringValue == "Memory"
        return (isMemory ? memoryVolume(name) ?? directory.volume(name) : directory.volume(name), isOurs, isOurs)
    }

    /// The folder of a claim's volume, made where this is its first use.
    private func claimed(_ claim: String, _ volume: String) async throws(PodMaterials.Missing) -> String {
        let key = ObjectKey(
            GroupResource(group: "", resource: "persistentvolumeclaims"), namespace: specification.key.namespace,
            name: claim)
        let document: Document
        do {
            document = try await context.client.get(key)
        } catch {
            throw PodMaterials.Missing("volume \(volume): persistentvolumeclaim \"\(claim)\": \(error.message)")
        }
        guard document.status["phase"]?.stringValue == "Bound", !document.isBeingDeleted,
            let name = document.spec["volumeName"]?.stringValue, PodSpecification.isSubdomain(name)
        else {
            throw PodMaterials.Missing("volume \(volume): persistentvolumeclaim \"\(claim)\" is not bound yet")
        }
        let path = context.configuration.volumeDirectory(name)
        do {
            let user = specification.runtime == .process ? context.configuration.user(of: specification.uid) : nil
            try makeEmpty(path, user, specification.runtime == .image ? specification.fsGroup : nil)
            // The next process pod that mounts it is another user.
            if let user { try FolderTree.give(path, to: user) }
        } catch {
            throw PodMaterials.Missing("volume \(volume): \(error)")
        }
        return path
    }
}
