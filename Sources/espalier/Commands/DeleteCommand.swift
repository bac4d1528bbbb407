internal import ArgumentParser
internal import Client
internal import Documents

/// Deletes documents, and waits until they and what they own have gone.
struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Deletes documents and waits until they have gone.")

    @Argument(help: "TYPE NAME ... or TYPE/NAME ...") var what: [String] = []
    @Option(
        name: [.customShort("f"), .customLong("filename")], help: "File, folder, or -: deletes the documents in it.")
    var files: [String] = []
    @Flag(help: "Does not complain where a document does not exist.") var ignoreNotFound = false
    @Flag(inversion: .prefixedNo, help: "Waits until the documents have gone.") var wait = true
    @OptionGroup var connection: Connection

    func validate() throws {
        if what.isEmpty == files.isEmpty { throw ValidationError("expected either TYPE NAME or -f FILE") }
    }

    func run() async throws {
        let session = try connection.open()
        var targets: [(key: ObjectKey, information: ResourceInformation)] = []
        if files.isEmpty {
            for selection in try await Selection.parse(what, session) {
                if selection.names.isEmpty { throw ValidationError("expected the names of the documents to delete") }
                let information = selection.resource.information
                let namespace = session.namespace(for: information)
                targets += selection.names.map {
                    (ObjectKey(information.resource, namespace: namespace, name: $0), information)
                }
            }
        } else {
            for manifest in ApplyCommand.ordered(try Manifest.read(files)).reversed() {
                let information = try await session.client.resource(for: manifest.document.groupVersionKind)
                let namespace = session.namespace(for: information, own: manifest.document.namespace)
                targets.append(
                    (ObjectKey(information.resource, namespace: namespace, name: manifest.document.name), information))
            }
        }
        var failed = false
        for (key, information) in targets {
            do throws(APIError) {
                try await delete(key, session)
                Terminal.print("\(information.kindName) \"\(key.name)\" deleted")
            } catch {
                if error.reason == .notFound && (ignoreNotFound || !files.isEmpty) { continue }
                Terminal.complain("error: \(error.message)")
                failed = true
            }
        }
        if failed { throw Terminal.Exit(code: 1) }
    }

    private func delete(_ key: ObjectKey, _ session: Session) async throws(APIError) {
        let uid = try await session.client.get(key).uid
        var options = DeleteOptions(uid: uid)
        options.propagation = wait ? .foreground : .background
        try await session.client.delete(key, options: options)
        if wait { try await Deletion.wait(for: key, uid: uid, session.client) }
    }
}

/// Waiting for a document to go.
enum Deletion {
    /// Returns once no document with this key and UID exists.
    static func wait(for key: ObjectKey, uid: String, _ client: HTTPClient) async throws(APIError) {
        while true {
            let information = try await client.information(of: key.resource)
            let query = HTTPClient.query([
                ("watch", "true"), ("fieldSelector", "metadata.name=\(key.name)"), ("resourceVersion", "0"),
                ("timeoutSeconds", "60"),
            ])
            let stream = try await client.stream(client.path(information, namespace: key.namespace) + query)
            defer { stream.cancel() }
            do throws(APIError) {
                if try await client.get(key).uid != uid { return }
            } catch {
                if error.reason == .notFound { return }
                throw error
            }
            var text: [UInt8] = []
            while let bytes = try await stream.next() {
                text += bytes
                while let end = text.firstIndex(of: UInt8(ascii: "\n")) {
                    let event = try? JSONParser.parse(text[..<end], maximumBytes: ClientLimits.eventBytes)
                    text.removeSubrange(...end)
                    if event?["type"]?.stringValue == "DELETED" { return }
                }
            }
        }
    }
}
