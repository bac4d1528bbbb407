internal import Documents
internal import NIOHTTP1
internal import Synchronization

/// What an image is built from.
package enum BuildContext: Sendable {
    /// A folder on this machine. It is sent whole; Podman heeds its `.dockerignore`.
    case folder(String)
    /// A tar archive: `next` answers its next bytes, and `nil` at its end; it must return where its task is cancelled.
    case tar(next: @Sendable () async throws(ImageError) -> [UInt8]?)
}

extension ImageEngine {
    /// Builds an image and names it `tag`. `containerfile` is a path within the context; where it is `nil`, a folder's
    /// `Containerfile` or `Dockerfile`. `onLine` is handed each line of the log, in order, on any thread.
    ///
    /// An error of code `build` repeats the engine's words and the last lines before them.
    package func build(
        context: BuildContext, containerfile: String? = nil, tag: ImageReference, arguments: [String: String] = [:],
        onLine: @escaping @Sendable (String) -> Void
    ) async throws(ImageError) -> Image {
        if tag.digest != nil { throw ImageError(.build, "expected a name without a digest to build, found \(tag)") }
        let file: String
        let body: EngineRequest.Body
        switch context {
        case .tar(let next):
            file = containerfile ?? "Dockerfile"
            body = .tar(next: next)
        case .folder(let folder):
            let archive = try await TarArchive(folder: folder)
            file = containerfile ?? (archive.contains("Containerfile") ? "Containerfile" : "Dockerfile")
            if !archive.contains(file) {
                throw ImageError(.build, "expected a file \(file) in \(folder), found none")
            }
            body = .tar(next: archive.next)
        }
        let named = arguments.sorted { $0.key.precedesBytes(of: $1.key) }.map { ($0.key, JSON.string($0.value)) }
        let query = [
            "t=\(tag.engineName.percentEncoded)", "dockerfile=\(file.percentEncoded)", "rm=true", "forcerm=true",
            "buildargs=\(JSON.object(JSONObject(named)).text().percentEncoded)",
        ]
        let request = EngineRequest(
            method: .POST, target: "/build?" + query.joined(separator: "&"), body: body, deadline: deadlines.build,
            silence: deadlines.buildSilence)
        let log = Mutex(BuildLog())
        do throws(ImageError) {
            try await follow(request, .build) { object in
                guard let text = object["stream"]?.stringValue ?? object["status"]?.stringValue else { return }
                for line in log.withLock({ $0.take(text) }) { onLine(line) }
            }
        } catch {
            guard error.code == .build else { throw error }
            let lines = log.withLock { $0.last }
            throw ImageError(.build, (lines + ["building \(tag) failed: \(error.message)"]).joined(separator: "\n"))
        }
        if let rest = log.withLock({ $0.finish() }) { onLine(rest) }
        guard let image = try await inspect(tag.engineName, as: tag) else {
            throw ImageError(.build, "the engine built \(tag) and has it not; somebody removed it")
        }
        return image
    }

    /// Takes images from an archive as `podman save` and `docker save` write it. Answers what the engine says of it, as
    /// `Loaded image: …`.
    package func load(
        tar next: @escaping @Sendable () async throws(ImageError) -> [UInt8]?
    ) async throws(ImageError) -> String {
        let said = Mutex("")
        let request = EngineRequest(
            method: .POST, target: "/images/load", body: .tar(next: next), deadline: deadlines.build,
            silence: deadlines.buildSilence)
        try await follow(request, .pull) { object in
            if let text = object["stream"]?.stringValue { said.withLock { $0 += text } }
        }
        return said.withLock { $0.trimmedLine }
    }
}

/// The log of a build: text that arrives in pieces, as lines, and the last of them.
private struct BuildLog {
    private(set) var last: [String] = []
    private var pending = ""

    mutating func take(_ text: String) -> [String] {
        pending += text
        var parts = pending.split(omittingEmptySubsequences: false) { $0.isNewline }.map { String($0).trimmedLine }
        pending = parts.popLast() ?? ""
        last = (last + parts).suffix(ImageLimits.buildLines)
        return parts
    }

    mutating func finish() -> String? {
        defer { pending = "" }
        return pending.isEmpty ? nil : pending
    }
}
