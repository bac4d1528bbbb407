internal import Documents
internal import Glibc

/// An image on this machine: what of it the node needs to run a container.
package struct Image: Sendable, Equatable {
    /// As it was asked for.
    package var reference: ImageReference
    /// `sha256:` and 64 hexadecimal digits: the digest of its configuration.
    package var id: String
    /// `docker.io/library/nginx@sha256:…`, in full, sorted; empty for an image that no registry has.
    package var repoDigests: [String]
    /// Folders on this machine, the topmost first: `lowerdir` of an overlay mount takes them in this order.
    package var layers: [String]
    package var entrypoint: [String]
    package var command: [String]
    /// `NAME=value`.
    package var environment: [String]
    /// Empty: `/`.
    package var workingDirectory: String
    /// `user`, `uid`, `user:group`, `uid:gid`, or empty for root.
    package var user: String
    /// `SIGINT`, `2`; empty: SIGTERM.
    package var stopSignal: String
    /// `8080/tcp`, sorted.
    package var exposedPorts: [String]
    /// Paths that want a volume of their own, sorted.
    package var volumes: [String]
    /// As Go names it: `amd64`, `arm64`.
    package var architecture: String
    /// Bytes of all layers.
    package var size: Int64
    /// How long it took to pull it; `nil` where it was there already.
    package var pullTime: Duration?

    /// What a container's status says as `imageID`: the digest of the repository it was asked for by, or the id.
    package var statusID: String {
        repoDigests.first { $0.hasPrefix(reference.name + "@") } ?? repoDigests.first ?? id
    }
}

extension Image {
    /// Reads the answer to an inspection. Layers must be there and be folders.
    init(reference: ImageReference, inspection: JSON, socket: String) throws(ImageError) {
        let refusal = { (why: String) in ImageError(.inspect, "Failed to inspect image \"\(reference)\": \(why)") }
        guard let id = inspection["Id"]?.stringValue, !id.isEmpty else {
            throw refusal("the engine at \(socket) names no id")
        }
        let config = inspection["Config"] ?? .null
        self.reference = reference
        self.id = id.hasPrefix("sha256:") ? id : "sha256:\(id)"
        let digests = Self.texts(inspection["RepoDigests"]).map(ImageReference.inFull)
        repoDigests = digests.sorted { $0.precedesBytes(of: $1) }
        entrypoint = Self.texts(config["Entrypoint"])
        command = Self.texts(config["Cmd"])
        environment = Self.texts(config["Env"])
        workingDirectory = config["WorkingDir"]?.stringValue ?? ""
        user = config["User"]?.stringValue ?? ""
        stopSignal = config["StopSignal"]?.stringValue ?? ""
        exposedPorts = Self.names(config["ExposedPorts"])
        volumes = Self.names(config["Volumes"])
        architecture = inspection["Architecture"]?.stringValue ?? ""
        size = inspection["Size"]?.integerValue ?? 0
        do throws(LayerError) {
            layers = try Self.layers(inspection, socket)
        } catch {
            throw refusal(error.text)
        }
    }

    private struct LayerError: Error {
        let text: String
    }

    private static func layers(_ inspection: JSON, _ socket: String) throws(LayerError) -> [String] {
        let driver = inspection["GraphDriver"] ?? .null
        guard let upper = driver["Data"]?["UpperDir"]?.stringValue, !upper.isEmpty else {
            let snapshotter = inspection[path: ["Storage", "RootFS", "Snapshot", "Name"]]
            let name = driver["Name"]?.stringValue ?? snapshotter?.stringValue
            throw LayerError(
                text: """
                    the engine at \(socket) keeps it in a store (\(name ?? "unnamed")) that does not show its layers' \
                    folders; use Podman with the storage driver "overlay", or Docker with "overlay2": \
                    {"features": {"containerd-snapshotter": false}} in /etc/docker/daemon.json
                    """)
        }
        let lower = driver["Data"]?["LowerDir"]?.stringValue ?? ""
        let folders = [upper] + lower.split(separator: ":").map(String.init)
        if folders.count > ImageLimits.layers {
            throw LayerError(text: "expected at most \(ImageLimits.layers) layers, found \(folders.count)")
        }
        var layers: [String] = []
        for folder in folders {
            // Engines shorten mount options by links, `l/ABC…`; a mount from elsewhere needs the folder itself.
            guard let resolved = realpath(folder, nil) else {
                let why = String(cString: strerror(errno))
                throw LayerError(
                    text: """
                        the layer \(folder) of the engine at \(socket) cannot be reached from here: \(why); the engine \
                        must run on this machine, not in a virtual machine or container, and its store be readable
                        """)
            }
            layers.append(String(cString: resolved))
            free(resolved)
        }
        return layers
    }

    private static func texts(_ value: JSON?) -> [String] { (value?.arrayValue ?? []).compactMap(\.stringValue) }

    private static func names(_ value: JSON?) -> [String] {
        (value?.objectValue?.sortedMembers ?? []).map(\.key)
    }
}

/// An image as a node's status lists it.
package struct StoredImage: Sendable, Equatable {
    package var id: String
    /// Names by digest, then names by tag; empty for an image without a name.
    package var names: [String]
    /// Bytes; layers that images share count in each.
    package var size: Int64

    init?(_ json: JSON) {
        guard let id = json["Id"]?.stringValue else { return nil }
        self.id = id
        size = json["Size"]?.integerValue ?? 0
        // Podman lists a name by digest among the tags where an image has no other.
        let names = ["RepoDigests", "RepoTags"].flatMap { key in
            (json[key]?.arrayValue ?? []).compactMap(\.stringValue).map(ImageReference.inFull)
        }
        self.names = names.enumerated().filter { index, name in
            !name.contains("<none>") && !names[..<index].contains { $0.isSameBytes(as: name) }
        }.map(\.element)
    }
}
