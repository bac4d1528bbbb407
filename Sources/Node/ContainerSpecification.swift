package import Documents

/// What the node needs of one container of a Pod document, with the defaults of core/v1.
package struct ContainerSpecification: Sendable {
    /// When a container runs: before all others and to its end, beside the others and started before them, or as what
    /// the pod is for.
    package enum Role: Sendable, Hashable { case initial, sidecar, main }

    /// A port the container declares. On the host network the node moves it.
    package struct Port: Sendable, Hashable {
        package var name: String
        package var number: Int
    }

    package enum RestartPolicy: String, Sendable { case always = "Always", onFailure = "OnFailure", never = "Never" }

    package var name: String
    package var role: Role
    package var restartPolicy: RestartPolicy
    package var image: String
    /// `imagePullPolicy` as it stands; empty where the image's tag decides.
    package var pullPolicy: String
    /// `command` and `args` as they stand, before `$(NAME)` is filled in.
    package var command: [String]
    package var arguments: [String]
    package var workingDirectory: String?
    /// `stdin`, `stdinOnce` and `tty`.
    package var hasInput: Bool
    package var isInputOnce: Bool
    package var isTerminal: Bool
    package var environment: [JSON]
    package var environmentSources: [JSON]
    package var ports: [Port]
    package var probes: [ProbeSpecification.Kind: ProbeSpecification]
    package var hooks: [LifecycleHook.Kind: LifecycleHook]
    package var volumeMounts: [JSON]
    package var resources: ContainerResources
    package var securityContext: JSON

    init(_ container: JSON, role: Role, restartPolicy: RestartPolicy) {
        let name = container["name"]?.stringValue ?? ""
        self.name = PodSpecification.isLabel(name) ? name : "invalid"
        self.role = role
        self.restartPolicy = restartPolicy
        image = container["image"]?.stringValue ?? ""
        pullPolicy = container["imagePullPolicy"]?.stringValue ?? ""
        command = Self.strings(container["command"])
        arguments = Self.strings(container["args"])
        workingDirectory = container["workingDir"]?.stringValue
        hasInput = container["stdin"]?.boolValue == true
        isInputOnce = container["stdinOnce"]?.boolValue == true
        isTerminal = container["tty"]?.boolValue == true
        environment = container["env"]?.arrayValue ?? []
        environmentSources = container["envFrom"]?.arrayValue ?? []
        ports = (container["ports"]?.arrayValue ?? []).compactMap {
            guard let number = $0["containerPort"]?.integerValue else { return nil }
            return Port(name: $0["name"]?.stringValue ?? "", number: Int(clamping: number))
        }
        var probes: [ProbeSpecification.Kind: ProbeSpecification] = [:]
        probes[.startup] = ProbeSpecification(container["startupProbe"])
        probes[.readiness] = ProbeSpecification(container["readinessProbe"])
        probes[.liveness] = ProbeSpecification(container["livenessProbe"])
        self.probes = probes
        var hooks: [LifecycleHook.Kind: LifecycleHook] = [:]
        hooks[.postStart] = LifecycleHook(container["lifecycle"]?["postStart"])
        hooks[.preStop] = LifecycleHook(container["lifecycle"]?["preStop"])
        self.hooks = hooks
        volumeMounts = container["volumeMounts"]?.arrayValue ?? []
        resources = ContainerResources(container["resources"])
        securityContext = container["securityContext"] ?? [:]
    }

    private static func strings(_ json: JSON?) -> [String] { (json?.arrayValue ?? []).compactMap(\.stringValue) }
}

/// What is done when a container has started, or before it is told to stop.
package enum LifecycleHook: Sendable, Hashable {
    package enum Kind: Sendable, Hashable { case postStart, preStop }

    case action(ProbeSpecification.Check)
    case sleep(Duration)

    init?(_ json: JSON?) {
        guard let json else { return nil }
        if let seconds = json["sleep"]?["seconds"]?.integerValue {
            self = .sleep(.seconds(max(0, seconds)))
        } else if let check = ProbeSpecification.Check(json) {
            self = .action(check)
        } else {
            return nil
        }
    }
}
