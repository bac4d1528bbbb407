internal import Documents
package import Logging
internal import NIOCore
internal import NIOHTTP1
package import Seams
internal import Synchronization

/// The container engine of this machine, asked for images and nothing else: Podman or Docker, by the interface that both
/// have, on a unix socket. Every call has a connection and a deadline of its own; an engine that was started again is
/// simply used again.
package final class ImageEngine: Sendable {
    package let socket: String
    /// Whose holders these are: two servers on one machine may use one engine.
    let owner: String
    let deadlines: EngineDeadlines
    private let clock: any Clock
    private let logger: Logger
    private let version = Mutex<String?>(nil)
    private let pulls = SharedCalls<PullKey, Image>()

    /// Callers with other credentials are not served by somebody else's pull: what it may fetch, they may not.
    private struct PullKey: Hashable {
        let reference: ImageReference
        let logins: [RegistryLogin]
    }

    /// `owner` is of letters, digits and dashes: this server's name among those on the machine.
    package init(
        socket: String, owner: String, clock: any Clock, logger: Logger, deadlines: EngineDeadlines = EngineDeadlines()
    ) {
        self.socket = socket
        self.owner = owner
        self.clock = clock
        self.logger = logger
        self.deadlines = deadlines
    }

    /// The image of a container, pulled where the policy says so. `willPull` is called before a pull begins or one that is
    /// under way is joined. A caller that is cancelled returns at once; a pull that nobody waits for ends.
    ///
    /// Reasons: `ErrImageNeverPull`, `ErrImagePull` with the engine's text, `ImageInspectError`.
    package func image(
        _ reference: ImageReference, policy: PullPolicy, credentials: RegistryCredentials = RegistryCredentials(),
        willPull: @Sendable () -> Void = {}
    ) async throws(ImageError) -> Image {
        if policy != .always, let present = try await present(reference) { return present }
        if policy == .never {
            throw ImageError(
                .neverPull, "Container image \"\(reference)\" is not present with pull policy of Never")
        }
        willPull()
        let logins = credentials.logins(for: reference)
        return try await pulls.value(for: PullKey(reference: reference, logins: logins)) {
            [self] () async throws(ImageError) -> Image in
            let start = clock.monotonic()
            try await pull(reference, logins)
            guard var image = try await inspect(reference.engineName, as: reference) else {
                throw ImageError(.pull, "the engine pulled \"\(reference)\" and has it not; somebody removed it").inPull
            }
            let time = clock.monotonic() - start
            image.pullTime = time
            logger.info(
                "image pulled", metadata: ["image": "\(reference)", "id": "\(image.id)", "seconds": "\(time)"])
            return image
        }
    }

    /// The image of this id; `nil` where it is gone.
    package func image(id: String, reference: ImageReference) async throws(ImageError) -> Image? {
        try await inspect(id, as: reference)
    }

    /// All images on this machine, the largest first.
    package func list() async throws(ImageError) -> [StoredImage] {
        let answer = try await call(.GET, "/images/json").expect(200, ImageError.Code.inspect)
        let images = (answer.arrayValue ?? []).compactMap(StoredImage.init)
        return images.sorted { $0.size != $1.size ? $0.size > $1.size : $0.id.precedesBytes(of: $1.id) }
    }

    /// Removes an image and all its names; one that is gone already is fine. One that a container uses, a holder among them,
    /// stays: an error of code `inUse`.
    package func remove(imageID: String) async throws(ImageError) {
        let inspection = try await call(.GET, "/images/\(imageID.percentEncoded)/json")
        if inspection.status == 404 { return }
        let names = (try inspection.expect(200, .inspect)["RepoTags"]?.arrayValue ?? []).compactMap(\.stringValue)
        let filter: JSON = ["ancestor": [.string(imageID)]]
        let users = try await call(.GET, "/containers/json?all=true&filters=\(filter.text().percentEncoded)")
        if let user = (users.json.arrayValue ?? []).first(where: { $0["ImageID"]?.stringValue == imageID }) {
            let name = user["Names"]?.arrayValue?.first?.stringValue ?? "without a name"
            throw ImageError(.inUse, "image \(imageID) is in use by the container \(name)")
        }
        // By id alone, engines refuse an image with several names; and forced, they take it from under a container.
        for name in names + [imageID] {
            let answer = try await call(.DELETE, "/images/\(name.percentEncoded)")
            if answer.status == 409 { throw ImageError(.inUse, answer.message) }
            if answer.status != 404 { _ = try answer.expect(200, .inspect) }
        }
    }

    /// The image where it is on this machine. Podman keeps what it built without a registry under `localhost`.
    private func present(_ reference: ImageReference) async throws(ImageError) -> Image? {
        if let image = try await inspect(reference.engineName, as: reference) { return image }
        guard let local = reference.local else { return nil }
        return try await inspect(local.engineName, as: reference)
    }

    func inspect(_ name: String, as reference: ImageReference) async throws(ImageError) -> Image? {
        let answer = try await call(.GET, "/images/\(name.percentEncoded)/json")
        if answer.status == 404 { return nil }
        let inspection = try answer.expect(200, .inspect)
        return try Image(reference: reference, inspection: inspection, socket: socket)
    }

    /// Tries each login; without any, as nobody. Which error counts is the last one's, as with the kubelet.
    private func pull(_ reference: ImageReference, _ logins: [RegistryLogin]) async throws(ImageError) {
        guard let last = logins.last else { return try await pull(reference, login: nil) }
        for login in logins.dropLast() {
            do throws(ImageError) {
                return try await pull(reference, login: login)
            } catch {
                if error.code != .pull { throw error }
            }
        }
        try await pull(reference, login: last)
    }

    private func pull(_ reference: ImageReference, login: RegistryLogin?) async throws(ImageError) {
        let tag = reference.digest ?? reference.tag ?? "latest"
        var headers: [(String, String)] = []
        if let login { headers.append(("X-Registry-Auth", login.header(registry: reference.domain))) }
        do throws(ImageError) {
            let target = "/images/create?fromImage=\(reference.name.percentEncoded)&tag=\(tag.percentEncoded)"
            let request = EngineRequest(
                method: .POST, target: target, headers: headers, deadline: deadlines.pull,
                silence: deadlines.pullSilence)
            try await follow(request, .pull) { _ in }
        } catch {
            throw error.inPull
        }
    }
}

// MARK: - Calls

extension ImageEngine {
    /// A whole answer: JSON, or null where the body is none.
    struct Answer {
        var status: Int
        var json: JSON

        /// What an engine says about an unsuccessful call.
        var message: String {
            (json["message"]?.stringValue ?? json.engineError)?.trimmedLine
                ?? "the engine answered with status \(status)"
        }

        func expect(_ expected: Int, _ code: ImageError.Code) throws(ImageError) -> JSON {
            if status == expected { return json }
            throw ImageError(status == 404 ? .notFound : code, message)
        }
    }

    /// A call that is answered whole and soon. `path` is below the version.
    func call(
        _ method: HTTPMethod, _ path: String, _ body: JSON? = nil
    ) async throws(ImageError) -> Answer {
        let body = body.map { EngineRequest.Body.json(Array($0.text().utf8)) } ?? .empty
        return try await whole(
            EngineRequest(
                method: method, target: try await versioned(path), body: body, deadline: deadlines.call))
    }

    /// A call whose answer is a stream of JSON objects, read to its end: an error in it counts although its status says
    /// that all is well.
    func follow(
        _ request: EngineRequest, _ code: ImageError.Code, onObject: @escaping @Sendable (JSON) -> Void
    ) async throws(ImageError) {
        let lines = Mutex(JSONLines())
        let failure = Mutex<String?>(nil)
        let take = { @Sendable (object: JSON) in
            if let error = object.engineError ?? object["message"]?.stringValue {
                failure.withLock { $0 = error.trimmedLine }
            } else {
                onObject(object)
            }
        }
        var request = request
        request.target = try await versioned(request.target)
        let status = try await perform(request) { (_, buffer) throws(ImageError) in
            for object in try lines.withLock({ (lines) throws(ImageError) in try lines.take(buffer) }) { take(object) }
        }
        if let rest = lines.withLock({ $0.finish() }) { take(rest) }
        if let error = failure.withLock({ $0 }) { throw ImageError(code, error) }
        if status != 200 { throw ImageError(code, "the engine answered with status \(status)") }
    }

    func whole(_ request: EngineRequest) async throws(ImageError) -> Answer {
        let bytes = Mutex<[UInt8]>([])
        let status = try await perform(request) { [socket] (_, buffer) throws(ImageError) in
            let count = bytes.withLock { bytes in
                bytes.append(contentsOf: buffer.readableBytesView)
                return bytes.count
            }
            if count > ImageLimits.answerBytes {
                throw ImageError(
                    .inspect,
                    "the container engine at \(socket) answered with more than \(ImageLimits.answerBytes) bytes")
            }
        }
        let body = bytes.withLock { $0 }
        if body.isEmpty { return Answer(status: status, json: .null) }
        do throws(JSONParseError) {
            return Answer(status: status, json: try JSONParser.parse(body, maximumBytes: ImageLimits.answerBytes))
        } catch {
            let text = String(decoding: body.prefix(200), as: UTF8.self).trimmedLine
            if status != 200 { return Answer(status: status, json: ["message": .string(text)]) }
            throw ImageError(.inspect, "the container engine at \(socket) answered with what is no JSON: \(error)")
        }
    }

    private func perform(
        _ request: EngineRequest, _ receive: @escaping @Sendable (Int, ByteBuffer) throws(ImageError) -> Void
    ) async throws(ImageError) -> Int {
        do throws(ImageError) {
            return try await EngineConnection(socket: socket).perform(request, receive: receive)
        } catch {
            // Who answers there next may be another engine.
            if error.code == .unreachable { version.withLock { $0 = nil } }
            throw error
        }
    }

    /// The path with the version to speak: 1.41, or the nearest one the engine has.
    private func versioned(_ path: String) async throws(ImageError) -> String {
        if let known = version.withLock({ $0 }) { return "/v\(known)\(path)" }
        let spoken = try await facts(deadline: deadlines.call).spokenVersion
        version.withLock { $0 = spoken }
        return "/v\(spoken)\(path)"
    }
}

extension String {
    /// Percent-encoded as one segment of a path or one value of a query; `/` and `:` stay, both may stand there.
    var percentEncoded: String {
        var text = ""
        for byte in utf8 {
            let scalar = Unicode.Scalar(byte)
            if scalar.isASCII, scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
                text.unicodeScalars.append(scalar)
            } else if "-._~/:@".unicodeScalars.contains(scalar) {
                text.unicodeScalars.append(scalar)
            } else {
                text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return text
    }
}
