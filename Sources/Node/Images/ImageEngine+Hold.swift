internal import Documents
internal import NIOHTTP1

/// Holders: containers that are made and never started, so that the engine keeps their images while pods use them. They
/// protect from `image prune` and `rmi`; `container prune` and `system prune` take the holders themselves.
extension ImageEngine {
    private static let label = "espalier.dev/hold"

    /// The name of the holder of an image.
    func holder(_ imageID: String) -> String {
        let digits = imageID.split(separator: ":").last ?? ""
        return "espalier-hold-\(owner)-\(digits.prefix(12))"
    }

    /// Keeps an image from being pruned or removed until `release`. Doing it twice does no harm. An error of code
    /// `notFound` says that the image is gone already.
    package func hold(imageID: String) async throws(ImageError) {
        let name = holder(imageID)
        let present = try await call(.GET, "/containers/\(name)/json")
        if present.status == 200, present.json["Image"]?.stringValue?.hasSuffix(imageID) ?? false { return }
        if present.status == 200 { try await removeHolder(name) }
        let answer = try await call(
            .POST, "/containers/create?name=\(name)",
            [
                "Image": .string(imageID), "Cmd": ["espalier-hold"], "Labels": [Self.label: .string(owner)],
                "HostConfig": ["NetworkMode": "none"],
            ])
        // Somebody made it meanwhile: Docker answers 409, Podman 500.
        if answer.status == 409 || answer.status == 500 && answer.message.contains("already in use") { return }
        _ = try answer.expect(201, .inspect)
    }

    /// Removes the holders of all images but these, and of this server's holders alone. An image that is to be kept must be
    /// among them when this begins, also one that is held meanwhile.
    package func release(keeping imageIDs: Set<String>) async throws(ImageError) {
        let filter: JSON = ["label": [.string("\(Self.label)=\(owner)")]]
        let answer = try await call(.GET, "/containers/json?all=true&filters=\(filter.text().percentEncoded)")
        let kept = Set(imageIDs.map(holder))
        for container in try answer.expect(200, .inspect).arrayValue ?? [] {
            guard let name = container["Names"]?.arrayValue?.first?.stringValue?.drop(while: { $0 == "/" }),
                !kept.contains(String(name))
            else { continue }
            try await removeHolder(String(name))
        }
    }

    /// With the volumes that the engine made for it because its image declares some.
    private func removeHolder(_ name: String) async throws(ImageError) {
        let answer = try await call(.DELETE, "/containers/\(name.percentEncoded)?force=true&v=true")
        if ![200, 204, 404].contains(answer.status) { throw ImageError(.inspect, answer.message) }
    }
}
