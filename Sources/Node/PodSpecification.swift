package import Documents

/// What the node needs of a Pod document, with the defaults of core/v1. Made once a pod: a pod's spec does not change.
package struct PodSpecification: Sendable {
    /// What a pod's containers are made of.
    package enum Runtime: Sendable, Hashable {
        /// Programs of the host, in a sandbox, without an image.
        case process
        /// Programs of an image.
        case image

        /// What container identifiers begin with.
        var scheme: String {
            switch self {
            case .process: "process"
            case .image: "espalier"
            }
        }
    }

    package var key: ObjectKey
    package var uid: String
    package var labels: [String: String]
    package var annotations: [String: String]
    package var runtime: Runtime
    package var gracePeriod: Duration
    /// `activeDeadlineSeconds`.
    package var activeDeadline: Duration?
    /// In the order in which they start: init containers and sidecars as they stand, then all others.
    package var containers: [ContainerSpecification]
    package var volumes: [JSON]
    package var imagePullSecrets: [String]
    package var serviceAccount: String
    package var hostName: String
    package var securityContext: JSON
    /// `dnsPolicy` and `dnsConfig`.
    package var names: JSON
    /// Why the node cannot run this pod at all; `nil` where it can.
    package var obstacle: String?

    package static let resource = GroupResource(group: "", resource: "pods")

    package init(_ pod: Document) {
        let spec = pod.spec
        key = ObjectKey(Self.resource, namespace: pod.namespace, name: pod.name)
        uid = pod.uid
        labels = pod.labels
        annotations = pod.annotations
        let runtimeClass = spec["runtimeClassName"]?.stringValue ?? ""
        runtime = Self.processRuntimeClasses.contains(runtimeClass) ? .process : .image
        gracePeriod = .seconds(max(0, spec["terminationGracePeriodSeconds"]?.integerValue ?? 30))
        activeDeadline = spec["activeDeadlineSeconds"]?.integerValue.map { .seconds(max(1, $0)) }
        let policy =
            spec["restartPolicy"]?.stringValue.flatMap(ContainerSpecification.RestartPolicy.init) ?? .always
        let initial = (spec["initContainers"]?.arrayValue ?? []).map { container in
            let isSidecar = container["restartPolicy"]?.stringValue == "Always"
            // An init container that has done its work is not done again.
            return ContainerSpecification(
                container, role: isSidecar ? .sidecar : .initial,
                restartPolicy: isSidecar ? .always : policy == .never ? .never : .onFailure)
        }
        containers =
            initial
            + (spec["containers"]?.arrayValue ?? []).map {
                ContainerSpecification($0, role: .main, restartPolicy: policy)
            }
        volumes = spec["volumes"]?.arrayValue ?? []
        imagePullSecrets = (spec["imagePullSecrets"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        serviceAccount = spec["serviceAccountName"]?.stringValue ?? "default"
        hostName = String((spec["hostname"]?.stringValue ?? pod.name).prefix(63))
        securityContext = spec["securityContext"] ?? [:]
        var names = JSONObject()
        for member in ["dnsPolicy", "dnsConfig"] { names[member] = spec[member] }
        self.names = .object(names)
        let known = Self.processRuntimeClasses + Self.imageRuntimeClasses
        if !runtimeClass.isEmpty, !known.contains(runtimeClass) {
            obstacle = "runtimeClassName \(runtimeClass): expected one of \(known.joined(separator: ", "))"
        } else {
            obstacle = danger(spec)
        }
    }

    /// The RuntimeClasses of pods that are processes of the host, and of those that are containers; none is a container.
    package static let processRuntimeClass = "espalier-process"
    package static let processRuntimeClasses = [processRuntimeClass, "process"]
    package static let imageRuntimeClasses = ["espalier-container", "container"]

    /// The ConfigMaps and Secrets that its volumes show.
    package var volumeDocuments: Set<ObjectKey> {
        var keys: Set<ObjectKey> = []
        for source in volumes + volumes.flatMap({ $0["projected"]?["sources"]?.arrayValue ?? [] }) {
            for (kind, resource) in [("configMap", "configmaps"), ("secret", "secrets")] {
                guard let name = source[kind]?["name"]?.stringValue ?? source[kind]?["secretName"]?.stringValue else {
                    continue
                }
                keys.insert(
                    ObjectKey(GroupResource(group: "", resource: resource), namespace: key.namespace, name: name))
            }
        }
        return keys
    }

    /// Ports of all containers.
    package var ports: [ContainerSpecification.Port] { containers.flatMap(\.ports) }

    /// The container a client means that names none: the annotation's, or the first that is no init container.
    package var defaultContainer: String {
        if let named = annotations["kubectl.kubernetes.io/default-container"], container(named) != nil { return named }
        return containers.first { $0.role == .main }?.name ?? ""
    }

    package func container(_ name: String) -> ContainerSpecification? { containers.first { $0.name == name } }

    /// A member of the container's security context, or of the pod's where the container has none.
    func security(_ name: String, _ container: ContainerSpecification) -> JSON? {
        container.securityContext[name] ?? securityContext[name]
    }

    func runAsUser(_ container: ContainerSpecification) -> UInt32? {
        security("runAsUser", container)?.integerValue.map { UInt32(clamping: $0) }
    }

    /// The group that owns the volumes of a pod of images.
    var fsGroup: UInt32? { securityContext["fsGroup"]?.integerValue.map { UInt32(clamping: $0) } }

    /// What would take down the walls around a pod.
    private func breach(_ spec: JSON) -> String? {
        for member in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"]
        where spec[member]?.boolValue == true {
            return "\(member): not allowed: the pods of this node share nothing with the machine or each other"
        }
        for volume in volumes {
            let members = (volume.objectValue?.keys).map { Array($0).filter { $0 != "name" } } ?? []
            // As upstream, a volume that says nothing is empty.
            guard let kind = members.first else { continue }
            guard members.count == 1 else {
                return
                    "volume \(volume["name"]?.stringValue ?? ""): more than one kind: \(members.joined(separator: ", "))"
            }
            guard Self.volumeKinds.contains(kind) else {
                return
                    "volume \(volume["name"]?.stringValue ?? ""): \(kind): not allowed on this node; expected one of "
                    + Self.volumeKinds.joined(separator: ", ")
            }
        }
        for (context, whose) in [(securityContext, "the pod")] + containers.map({ ($0.securityContext, $0.name) }) {
            if context["privileged"]?.boolValue == true {
                return "securityContext.privileged of \(whose): not allowed on this node"
            }
            if context["procMount"]?.stringValue ?? "Default" != "Default" {
                return "securityContext.procMount of \(whose): not allowed on this node"
            }
            if let type = context["seccompProfile"]?["type"]?.stringValue, type != "RuntimeDefault" {
                return "securityContext.seccompProfile of \(whose): \(type): not allowed on this node; every container "
                    + "has RuntimeDefault"
            }
        }
        return nil
    }

    private static let volumeKinds = ["emptyDir", "persistentVolumeClaim"] + VolumeFiles.kinds

    /// Names and paths that would lead out of the pod's own folders, or in front of the program that starts it. Names
    /// become folders, and no schema stands between a pod and this node.
    private func danger(_ spec: JSON) -> String? {
        let written = (spec["initContainers"]?.arrayValue ?? []) + (spec["containers"]?.arrayValue ?? [])
        for name in (written + volumes).map({ $0["name"]?.stringValue ?? "" }) where !Self.isLabel(name) {
            return "the name \"\(name)\" of a container or volume is no lower case letters, digits and dashes"
        }
        if let breach = breach(spec) { return breach }
        let names = volumes.map { $0["name"]?.stringValue ?? "" }
        if Set(names).count != names.count { return "two volumes have the same name" }
        if Set(containers.map(\.name)).count != containers.count { return "two containers have the same name" }
        for container in containers {
            if runtime == .process, container.command.isEmpty, container.arguments.isEmpty {
                return "the container \(container.name) has no command, and a process has no image to take it from"
            }
            if runtime == .image, container.image.isEmpty { return "the container \(container.name) has no image" }
            for mount in container.volumeMounts {
                if let obstacle = obstacle(of: mount) { return obstacle }
            }
        }
        return nil
    }

    private func obstacle(of mount: JSON) -> String? {
        if let expression = mount["subPathExpr"]?.stringValue, !expression.isEmpty {
            return "subPathExpr \(expression): not supported on this node; expected subPath"
        }
        let path = mount["mountPath"]?.stringValue ?? ""
        guard runtime == .image ? Sandbox.allowsMountInImage(at: path) : Sandbox.allowsMount(at: path) else {
            return "nothing can be mounted at \"\(path)\": expected an absolute path without . and .., none of "
                + "/, /etc, /usr, /.espalier or where libraries are"
        }
        // What a process has put there itself could be a link to anywhere.
        let isWritable = { (volume: JSON) in volume["emptyDir"] != nil || volume["persistentVolumeClaim"] != nil }
        let writable = Set(volumes.filter(isWritable).compactMap { $0["name"]?.stringValue })
        let part = mount["subPath"]?.stringValue ?? ""
        if runtime == .process, !part.isEmpty, writable.contains(mount["name"]?.stringValue ?? "") {
            return "subPath \(part): only a part of a configMap or secret volume can be mounted"
        }
        return nil
    }

    /// Labels joined by dots.
    static func isSubdomain(_ name: String) -> Bool {
        name.utf8.count <= 253
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isLabel(String($0)) }
    }

    static func isLabel(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: "-")
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
            }
    }
}
