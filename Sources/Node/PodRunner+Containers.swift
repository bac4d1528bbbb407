internal import Client
internal import Documents
internal import Logging
internal import Seams
internal import Synchronization

/// The attempts of a pod's containers: started, followed to their end, signalled.
extension PodRunner {
    func start(_ container: ContainerSpecification, _ attempt: Int) async {
        do {
            let image = specification.runtime == .image ? try await image(of: container) : nil
            let materials = try await materials(of: container, image)
            let request = try await request(container, attempt, materials, image)
            if isEnding.withLock({ $0 }) {
                return send(.notStarted(reason: "ContainerCreating", message: "the pod is ending"), of: container.name)
            }
            if let image { try remember(image, of: container.name, attempt) }
            let launcher = context.launcher(specification.uid, container.name)
            // Not cancelled with us: a stop that comes now would pass by a shim that has not taken its folder yet.
            let launching = Task { try await launcher.launch(request) }
            switch try await launching.value {
            case .started, .refused: await watch(container.name, attempt, isNew: true, image: image?.statusID ?? "")
            case .failed(let message): failed(container, message)
            }
        } catch let missing as PodMaterials.Missing {
            send(.notStarted(reason: missing.reason, message: missing.message), of: container.name)
        } catch let error as ImageError {
            send(.notStarted(reason: error.reason, message: error.message), of: container.name)
        } catch {
            logger.warning("Container did not start", metadata: ["error": "\(error)"])
            // A shim that answers too late must not run beside the next one.
            context.killMarked(specification.uid, container.name)
            failed(container, "\(error)")
        }
    }

    private func image(of container: ContainerSpecification) async throws -> Image {
        var credentials = RegistryCredentials()
        for name in specification.imagePullSecrets {
            let key = ObjectKey(
                GroupResource(group: "", resource: "secrets"), namespace: specification.key.namespace, name: name)
            // As upstream: one that is not there is passed over, and the pull fails where it was needed.
            guard let secret = try? await context.client.get(key), let type = secret["type"]?.stringValue,
                let member = RegistryCredentials.dataKey(secretType: type),
                let data = PodDocuments.bytes(secret, member)
            else { continue }
            try credentials.add(secret: name, type: type, data: data)
        }
        let image = try await context.images.image(container, credentials)
        let message =
            image.pullTime.map { "Successfully pulled image \"\(container.image)\" in \($0)" }
            ?? "Container image \"\(container.image)\" already present on machine"
        await record(type: "Normal", reason: "Pulled", message: message, container: container)
        return image
    }

    /// Writes down what a command beside the container needs to know of its image.
    private func remember(_ image: Image, of container: String, _ attempt: Int) throws {
        let folder = directory.attempt(container, attempt)
        try StateFiles.makeDirectories(folder)
        let text = "id \(image.id)\nuser \(image.user)\nfolder \(image.workingDirectory)\n"
        try StateFiles.write("\(folder)/image", Array(text.utf8))
    }

    private func remembered(_ container: ContainerSpecification, _ attempt: Int) -> [String: String] {
        PodDirectory.fields(StateFiles.text("\(directory.attempt(container.name, attempt))/image") ?? "")
    }

    /// The folder a container's image names; `nil` where it names none.
    func imageFolder(_ container: ContainerSpecification, _ attempt: Int) -> String? {
        remembered(container, attempt)["folder"].flatMap { $0.isEmpty ? nil : $0 }
    }

    func imageUser(_ container: ContainerSpecification, _ attempt: Int) -> String? {
        remembered(container, attempt)["user"]
    }

    private func failed(_ container: ContainerSpecification, _ message: String) {
        let now = context.clock.now()
        let exit = ContainerExit(
            code: 128, signal: 0, started: now, finished: now, lastLine: message, reason: "StartError")
        send(.exited(exit), of: container.name)
    }

    /// Follows a held attempt to its end.
    func watch(_ container: String, _ attempt: Int, isNew: Bool = false, image: String = "") async {
        guard case .running(let shim) = directory.state(container, attempt) else { return sayEnd(container, attempt) }
        if isNew { send(.started(at: shim.started, image: image), of: container) }
        await context.spawner.waitForExit(shim.process)
        if Task.isCancelled { return }
        sayEnd(container, attempt)
    }

    private func sayEnd(_ container: String, _ attempt: Int) {
        let now = context.clock.now()
        let lost = ContainerExit(
            code: 137, signal: 9, started: now, finished: now, lastLine: "", reason: ContainerExit.lostReason)
        var exit = exit(container, attempt) ?? lost
        if exit.reason == ContainerExit.lostReason {
            exit.finished = now
            context.killMarked(specification.uid, container)
        }
        send(.exited(exit), of: container)
    }

    func signal(_ container: String, _ attempt: Int, _ signal: Int32) {
        guard case .running(let shim) = directory.state(container, attempt) else { return }
        context.spawner.signal(shim.process, signal)
    }

    /// Carries out a hook. A hook of exec or HTTP has as long as the pod's grace lets it.
    func runHook(_ kind: LifecycleHook.Kind, _ container: ContainerSpecification, _ attempt: Int) async {
        do {
            switch container.hooks[kind] {
            case .sleep(let duration): try? await context.clock.sleep(for: duration)  // Cancelled: nobody listens.
            case .action(let check): try await carryOut(check, timeout: Limits.hookTimeout, container, attempt)
            case nil: break
            }
            send(.hooked(kind, attempt: attempt, failure: nil), of: container.name)
        } catch {
            send(.hooked(kind, attempt: attempt, failure: "\(error)"), of: container.name)
        }
    }
}
