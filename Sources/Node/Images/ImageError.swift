/// Why there is no image. Texts of an engine are passed on as they are; credentials are never in them.
package struct ImageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure it is.
    package enum Code: Sendable {
        /// The text is no image reference.
        case invalidName
        /// A Secret that is to hold credentials does not.
        case credentials
        /// The image is not on this machine, and its policy is never to pull.
        case neverPull
        /// The registry or the engine refused the pull.
        case pull
        /// The engine does not say what the node needs of an image, its layers first of all.
        case inspect
        /// The image is not there (any more).
        case notFound
        /// A container uses the image.
        case inUse
        case build
        /// Nobody answers on the engine's socket, or the connection broke.
        case unreachable
        /// The engine took too long.
        case timeout
        /// Nobody waits for the answer any more.
        case cancelled
    }

    package var code: Code
    /// For people: what happened to which object, and what to do where something can be done.
    package var message: String
    /// What a container that waits for this image shows, in the kubelet's words.
    package var reason: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
        reason =
            switch code {
            case .invalidName: "InvalidImageName"
            case .neverPull: "ErrImageNeverPull"
            case .pull, .credentials: "ErrImagePull"
            default: "ImageInspectError"
            }
    }

    /// The same, as the outcome of a pull.
    var inPull: ImageError {
        var error = self
        error.reason = "ErrImagePull"
        return error
    }

    package var description: String { message }

    static let cancelled = ImageError(.cancelled, "nobody waits for the container engine's answer any more")

    static func unreachable(_ socket: String, _ why: String) -> ImageError {
        ImageError(
            .unreachable,
            """
            no container engine answers at \(socket): \(why); start it (`systemctl start podman.socket` or \
            `systemctl start docker`), or name another one's socket in CONTAINER_HOST
            """)
    }
}
