internal import Client
internal import Documents
internal import Glibc
internal import Logging
internal import Seams

/// What the node says of itself: its document, and whether a sandbox can be had.
extension NodeAgent {
    /// Tries bubblewrap with the very arguments that pods get.
    func findSandbox() async -> Sandbox.Kind {
        guard configuration.allowsSandbox else { return .none(reason: "sandboxes were switched off") }
        guard let path = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"].first(where: StateFiles.exists) else {
            return .none(reason: "bubblewrap is not installed (package bubblewrap)")
        }
        var sandbox = Sandbox(
            bubblewrap: path, root: .host(entries: Self.rootEntries(), hidden: [configuration.dataDirectory]),
            mounts: [], hostName: "probe", shim: configuration.shimPath,
            identity: .ownUser(configuration.user(of: "probe")), workingDirectory: nil)
        sandbox.isFiltered = false
        let launch = ProcessLaunch(
            path: path, arguments: sandbox.arguments(["/usr/bin/true"]), environment: [],
            descriptors: [-1, -1, -1, -1, -1])
        do {
            let result = try await spawner.run(launch, input: [], timeout: Limits.commandTimeout)
            if result.code == 0 { return .bubblewrap(path: path) }
            return .none(reason: "bubblewrap does not work here: \(result.text.prefix(200))")
        } catch {
            return .none(reason: "bubblewrap does not start: \(error)")
        }
    }

    func register(_ context: NodeContext) async {
        if case .none(let reason) = context.sandbox {
            logger.warning("Pods run without a sandbox", metadata: ["reason": "\(reason)"])
        }
        if case .host(let reason) = podNetwork.network.mode {
            logger.warning("Pods share the host's network", metadata: ["reason": "\(reason)"])
        }
        while !Task.isCancelled {
            do {
                let key = ObjectKey(Self.nodes, name: configuration.nodeName)
                let before: Document?
                do { before = try await context.client.get(key) } catch { before = nil }
                let document = Document([
                    "apiVersion": "v1", "kind": "Node",
                    "metadata": ["name": .string(configuration.nodeName), "labels": .object(labels)],
                ])
                if before == nil {
                    _ = try await context.client.apply(document, subresource: nil, options: context.write)
                }
                var report = document
                report.json["metadata"] = ["name": .string(configuration.nodeName)]
                report["status"] = status(context, before: before?.status ?? .null)
                _ = try await context.client.apply(report, subresource: .status, options: context.write)
                break
            } catch {
                logger.warning("Node document not written", metadata: ["error": "\(error)"])
            }
            try? await clock.sleep(for: Limits.statusRetry)  // Cancelled: the loop's condition sees it.
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.renewLeases(context) }
            group.addTask { await self.reportEngine(context) }
        }
    }

    private func renewLeases(_ context: NodeContext) async {
        while !Task.isCancelled {
            await renewLease(context)
            try? await clock.sleep(for: Limits.leaseRenewal)  // Cancelled: the loop's condition sees it.
        }
    }

    /// Says of the container engine who it is, or what is in the way, when that changes.
    private func reportEngine(_ context: NodeContext) async {
        var said: EngineReport?
        while !Task.isCancelled {
            let report = await images.report()
            if report != said {
                do {
                    let before = try await context.client.get(ObjectKey(Self.nodes, name: configuration.nodeName))
                    let document = Document([
                        "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(configuration.nodeName)],
                        "status": status(context, before: before.status, engine: report),
                    ])
                    _ = try await context.client.apply(document, subresource: .status, options: context.write)
                    said = report
                } catch {
                    logger.warning("Node document not written", metadata: ["error": "\(error)"])
                }
            }
            try? await clock.sleep(for: Limits.engineCheck)  // Cancelled: the loop's condition sees it.
        }
    }

    /// The lease of kube-node-lease that `kubectl describe node` shows. Nothing here decides by it.
    private func renewLease(_ context: NodeContext) async {
        let namespace = "kube-node-lease"
        let seconds = Limits.leaseRenewal.components.seconds * 2
        let lease = Document([
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": ["name": .string(configuration.nodeName), "namespace": .string(namespace)],
            "spec": [
                "holderIdentity": .string(configuration.nodeName), "leaseDurationSeconds": .integer(seconds),
                "renewTime": .string(clock.now().rfc3339Micro),
            ],
        ])
        do {
            do {
                _ = try await context.client.get(
                    ObjectKey(GroupResource(group: "", resource: "namespaces"), name: namespace))
            } catch  where error.reason == .notFound {
                let document = Document([
                    "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(namespace)],
                ])
                _ = try await context.client.create(document, options: context.write)
            }
            _ = try await context.client.apply(lease, subresource: nil, options: context.write)
        } catch {
            logger.warning("Node lease not written", metadata: ["error": "\(error)"])
        }
    }

    private var labels: JSONObject {
        [
            "kubernetes.io/hostname": .string(configuration.nodeName), "kubernetes.io/os": "linux",
            "kubernetes.io/arch": .string(Self.architecture),
        ]
    }

    private static let architecture: String = {
        #if arch(x86_64)
            "amd64"
        #else
            "arm64"
        #endif
    }()

    private func status(_ context: NodeContext, before: JSON, engine: EngineReport? = nil) -> JSON {
        var name = utsname()
        uname(&name)
        let kernel = withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let sizes: JSON = [
            "cpu": .string(String(MachineSize.cpu / 1000)), "memory": .string("\(MachineSize.memory / 1024)Ki"),
            "pods": "1000",
        ]
        var conditions = [condition("Ready", true, "NodeReady", "the node agent runs", before)]
        switch context.sandbox {
        case .bubblewrap:
            conditions.append(
                condition("espalier.dev/Sandboxed", true, "Bubblewrap", "pods run under bubblewrap", before))
        case .none(let reason):
            conditions.append(condition("espalier.dev/Sandboxed", false, "PlainProcesses", reason, before))
        }
        conditions.append(
            condition(
                "espalier.dev/ResourceLimits", groups.reason == nil,
                groups.reason == nil ? "ControlGroups" : "NotEnforced",
                groups.reason ?? "limits on memory, processor and processes hold", before))
        switch engine {
        case .found(let version, let socket):
            conditions.append(
                condition("espalier.dev/Images", true, "Engine", "\(version) at \(socket) has the images", before))
        case .missing(let reason):
            conditions.append(condition("espalier.dev/Images", false, "NoEngine", reason, before))
        case nil: break
        }
        if case .bridge = podNetwork.network.mode {
            let hasWalls = podNetwork.walls != nil
            conditions.append(
                condition(
                    "espalier.dev/Walls", hasWalls, hasWalls ? "NFTables" : "NoWalls",
                    hasWalls
                        ? "namespaces, the machine and link-local addresses are closed to pods"
                        : "pods reach each other across namespaces: install the package nftables", before))
        }
        switch podNetwork.network.mode {
        case .bridge(let bridge):
            conditions.append(
                condition(
                    "espalier.dev/PodNetwork", true, "Bridge",
                    "pods have addresses of \(bridge.pods) on \(bridge.name)", before))
        case .host(let reason):
            conditions.append(condition("espalier.dev/PodNetwork", false, "HostNetwork", reason, before))
        }
        return [
            "capacity": sizes, "allocatable": sizes, "conditions": .array(conditions),
            "addresses": [
                ["type": "InternalIP", "address": .string(podNetwork.network.hostAddress)],
                ["type": "Hostname", "address": .string(configuration.nodeName)],
            ],
            "nodeInfo": [
                "architecture": .string(Self.architecture), "bootID": .string(PodDirectory.bootIdentifier()),
                "containerRuntimeVersion": .string(engine?.version ?? "espalier-process://1"),
                "kernelVersion": .string(kernel),
                "kubeProxyVersion": "",
                "kubeletVersion": .string(configuration.version.isEmpty ? "v1.32.0" : configuration.version),
                "machineID": .string(StateFiles.text("/etc/machine-id")?.filter { $0 != "\n" } ?? ""),
                "operatingSystem": "linux", "osImage": .string(Self.systemName()), "systemUUID": "",
            ],
        ]
    }

    private static func systemName() -> String {
        let lines = (StateFiles.text("/etc/os-release") ?? "").split(separator: "\n")
        let line = lines.first { $0.hasPrefix("PRETTY_NAME=") }
        return line.map { $0.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" } }.map { String($0) } ?? "Linux"
    }

    private func condition(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String, _ before: JSON) -> JSON
    {
        let status = isTrue ? "True" : "False"
        let known = before["conditions"]?.arrayValue?.first {
            $0["type"]?.stringValue == type && $0["status"]?.stringValue == status
        }
        let since = known?["lastTransitionTime"]?.stringValue ?? clock.now().rfc3339
        return [
            "type": .string(type), "status": .string(status), "reason": .string(reason), "message": .string(message),
            "lastHeartbeatTime": .string(clock.now().rfc3339), "lastTransitionTime": .string(since),
        ]
    }
}
