internal import ArgumentParser
internal import Client
internal import Documents
internal import Glibc

/// Prints what pods wrote.
struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Prints what a pod, or every pod of a landscape's service, wrote.",
        discussion: "Examples: `logs shop/web -f`, `logs shop`, `logs pod/shop-web-3f2a91c0-0 --previous`.")

    @Argument(help: "POD, LANDSCAPE, LANDSCAPE/SERVICE, or pod/POD and landscape/LANDSCAPE") var what: String
    @Flag(name: .shortAndLong, help: "Goes on printing what is written.") var follow = false
    @Flag(name: .shortAndLong, help: "What the container wrote before its last restart.") var previous = false
    @Option(help: "How many of the last lines.") var tail: Int?
    @Flag(help: "Puts the time in front of each line.") var timestamps = false
    @OptionGroup var connection: Connection

    func run() async throws {
        let session = try connection.open()
        let pods = try await pods(session)
        let query = HTTPClient.query([
            ("follow", follow ? "true" : ""), ("previous", previous ? "true" : ""),
            ("tailLines", tail.map(String.init) ?? ""),
            ("timestamps", timestamps ? "true" : ""),
        ])
        let client = session.client
        try await withThrowingTaskGroup(of: Void.self) { group in
            for pod in pods {
                let path =
                    "/api/v1/namespaces/\(HTTPClient.escape(session.namespace))"
                    + "/pods/\(HTTPClient.escape(pod))/log\(query)"
                let prefix = pods.count > 1 ? Terminal.paint("[\(pod)] ", .grey) : ""
                group.addTask { try await Self.copy(try await client.stream(path, accept: "*/*"), prefix) }
            }
            try await group.waitForAll()
        }
    }

    /// The pods the argument names: a pod of that name, or those of a landscape and perhaps one service of it.
    private func pods(_ session: Session) async throws -> [String] {
        let resource = GroupResource(group: "", resource: "pods")
        // What `get -o name` prints is understood too, unless a landscape has such a name.
        var parts = what.split(separator: "/").map(String.init)
        let kinds = ["pod", "pods", "po", "landscape", "landscapes", "ls", "landscape.espalier.dev"]
        if parts.count > 1, kinds.contains(parts[0]) { parts.removeFirst() }
        if parts.count == 1 {
            do throws(APIError) {
                return [
                    try await session.client.get(ObjectKey(resource, namespace: session.namespace, name: parts[0])).name
                ]
            } catch {
                if error.reason != .notFound { throw error }
            }
        }
        var options = ListOptions()
        options.labelSelector = "app.kubernetes.io/part-of=\(parts[0])"
        if parts.count == 2 { options.labelSelector += ",app.kubernetes.io/component=\(parts[1])" }
        let found = try await session.client.list(resource, namespace: session.namespace, options: options).items.map(
            \.name)
        if found.isEmpty {
            throw APIError.badRequest(
                "no pod \"\(what)\" and no pods of a landscape \"\(what)\" in namespace \(session.namespace)")
        }
        return found
    }

    /// Copies a stream to standard output, whole lines at a time where they carry a prefix.
    private static func copy(_ stream: ByteStream, _ prefix: String) async throws {
        var rest: [UInt8] = []
        while let bytes = try await stream.next() {
            if prefix.isEmpty {
                Terminal.write(bytes, to: STDOUT_FILENO)
                continue
            }
            rest += bytes
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                Terminal.write(Array(prefix.utf8) + rest[...end], to: STDOUT_FILENO)
                rest.removeSubrange(...end)
            }
        }
        if !rest.isEmpty { Terminal.write(Array(prefix.utf8) + rest + [UInt8(ascii: "\n")], to: STDOUT_FILENO) }
    }
}
