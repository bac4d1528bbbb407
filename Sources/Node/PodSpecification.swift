package import Documents

/// What the node needs of a Pod document, with the defaults of core/v1. Made once a pod: a pod's spec does not change.
package struct PodSpecification: Sendable {
    package enum RestartPolicy: String, Sendable { case always = "Always", onFailure = "OnFailure", never = "Never" }

    /// A port the container declares. On the host network the node moves it.
    package struct Port: Sendable, Hashable {
        package var name: String
        package var number: Int
    }

    package var key: ObjectKey
    package var uid: String
    package var labels: [String: String]
    package var annotations: [String: String]
    package var restartPolicy: RestartPolicy
    package var gracePeriod: Duration
    package var containerName: String
    package var image: String
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
    package var volumes: [JSON]
    package var volumeMounts: [JSON]
    /// Seconds that `lifecycle.preStop.sleep` asks for before the container is told to stop.
    package var stopDelay: Duration
    /// Why the node cannot run this pod at all; `nil` where it can.
    package var obstacle: String?

    package static let resource = GroupResource(group: "", resource: "pods")

    package init(_ pod: Document) {
        let spec = pod.spec
        let containers = spec["containers"]?.arrayValue ?? []
        let container = containers.first ?? .null
        key = ObjectKey(Self.resource, namespace: pod.namespace, name: pod.name)
        uid = pod.uid
        labels = pod.labels
        annotations = pod.annotations
        restartPolicy = spec["restartPolicy"]?.stringValue.flatMap(RestartPolicy.init) ?? .always
        gracePeriod = .seconds(max(0, spec["terminationGracePeriodSeconds"]?.integerValue ?? 30))
        let name = container["name"]?.stringValue ?? ""
        containerName = Self.isLabel(name) ? name : "invalid"
        image = container["image"]?.stringValue ?? ""
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
        volumes = spec["volumes"]?.arrayValue ?? []
        volumeMounts = container["volumeMounts"]?.arrayValue ?? []
        stopDelay = .seconds(max(0, container["lifecycle"]?["preStop"]?["sleep"]?["seconds"]?.integerValue ?? 0))
        obstacle = Self.obstacle(spec, containers: containers.count) ?? Self.danger(spec, container)
        if obstacle == nil, command.isEmpty, arguments.isEmpty { obstacle = "the container has no command" }
    }

    /// The RuntimeClass of pods that are processes of the host, in a sandbox, without an image.
    package static let processRuntimeClass = "espalier-process"

    private static func obstacle(_ spec: JSON, containers: Int) -> String? {
        if spec["runtimeClassName"]?.stringValue != processRuntimeClass {
            return "the pod asks for a container image: this node runs processes (runtimeClassName: "
                + "\(processRuntimeClass)), not images yet"
        }
        if containers != 1 { return "the pod has \(containers) containers: this node runs one a pod" }
        if spec["initContainers"]?.arrayValue?.isEmpty == false {
            return "the pod has initContainers: this node does not run them yet"
        }
        return nil
    }

    /// Names and paths that would lead out of the pod's own folders, or in front of the program that starts it. Names
    /// become folders, and no schema stands between a pod and this node.
    private static func danger(_ spec: JSON, _ container: JSON) -> String? {
        let volumes = spec["volumes"]?.arrayValue ?? []
        for name in ([container] + volumes).map({ $0["name"]?.stringValue ?? "" }) where !isLabel(name) {
            return "the name \"\(name)\" of a container or volume is no lower case letters, digits and dashes"
        }
        let inMemory = Set(volumes.filter { $0["emptyDir"] == nil }.compactMap { $0["name"]?.stringValue })
        for mount in container["volumeMounts"]?.arrayValue ?? [] {
            let path = mount["mountPath"]?.stringValue ?? ""
            guard Sandbox.allowsMount(at: path) else {
                return "nothing can be mounted at \"\(path)\": expected an absolute path without . and .., none of "
                    + "/, /etc, /usr, /.espalier or where libraries are"
            }
            // What a container has put there itself could be a link to anywhere.
            let part = mount["subPath"]?.stringValue ?? ""
            if !part.isEmpty, !inMemory.contains(mount["name"]?.stringValue ?? "") {
                return "subPath \(part): only a part of a configMap or secret volume can be mounted"
            }
        }
        return nil
    }

    private static func isLabel(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: "-")
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
            }
    }

    private static func strings(_ json: JSON?) -> [String] { (json?.arrayValue ?? []).compactMap(\.stringValue) }
}
