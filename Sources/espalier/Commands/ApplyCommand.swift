internal import ArgumentParser
internal import Client
internal import Documents

/// Makes the server's documents what files say, by server-side apply.
struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Makes documents what files say; creates what is missing.")

    @Option(
        name: [.customShort("f"), .customLong("filename")],
        help: "File, folder, or - for standard input. Can be repeated.")
    var files: [String]

    @Flag(help: "Runs admission and says what would happen, and changes nothing.")
    var dryRun = false

    @Flag(
        help: "As kubectl has it, which then says serverside-applied of each; apply is always the server's work here.")
    var serverSide = false

    @Flag(help: "Takes fields over that other managers have set.")
    var forceConflicts = false

    @OptionGroup var connection: Connection

    func run() async throws {
        let manifests = try Manifest.read(files)
        let session = try connection.open()
        var failed = false
        for manifest in Self.ordered(manifests) {
            do throws(APIError) {
                Terminal.print(try await apply(manifest, session))
            } catch {
                manifest.complain(error)
                failed = true
                if error.reason == .serviceUnavailable { break }
            }
        }
        if failed { throw Terminal.Exit(code: 1) }
    }

    private func apply(_ manifest: Manifest, _ session: Session) async throws(APIError) -> String {
        var document = manifest.document
        let information = try await session.client.resource(for: document.groupVersionKind)
        let namespace = session.namespace(for: information, own: document.namespace)
        if information.isNamespaced { document.metadata["namespace"] = .string(namespace) }
        let key = ObjectKey(information.resource, namespace: namespace, name: document.name)
        var before: Document?
        do throws(APIError) {
            before = try await session.client.get(key)
        } catch {
            if error.reason != .notFound { throw error }
        }
        var options = WriteOptions(fieldManager: "espalier")
        options.dryRun = dryRun
        options.force = forceConflicts
        let after = try await Self.apply(document, session, options)
        let outcome =
            switch before {
            case _ where serverSide: "serverside-applied"
            case nil: "created"
            case let before? where Self.isSame(before, after): "unchanged"
            default: "configured"
            }
        return "\(Self.name(information, key.name)) \(outcome)\(dryRun ? " (dry run)" : "")"
    }

    /// Applies, also over what another command of ours has written: an undo goes back on what was applied, and the next
    /// apply says what shall be from then on. What others wrote is a conflict.
    private static func apply(
        _ document: Document, _ session: Session, _ options: WriteOptions
    ) async throws(APIError) -> Document {
        do throws(APIError) {
            return try await session.client.apply(document, subresource: nil, options: options)
        } catch {
            guard isOnlyOurs(error) else { throw error }
            var options = options
            options.force = true
            return try await session.client.apply(document, subresource: nil, options: options)
        }
    }

    /// Whether a conflict is with nobody but our own field manager.
    static func isOnlyOurs(_ error: APIError) -> Bool {
        error.reason == .conflict && !error.causes.isEmpty
            && error.causes.allSatisfy { $0.message.hasPrefix("conflict with \"espalier\" ") }
    }

    /// A dry run answers the old resourceVersion, so the documents themselves are compared, bookkeeping aside.
    private static func isSame(_ before: Document, _ after: Document) -> Bool {
        func bare(_ document: Document) -> JSON {
            var document = document
            for field in ["resourceVersion", "managedFields", "generation"] { document.metadata[field] = nil }
            return document.json
        }
        return before.resourceVersion == after.resourceVersion && bare(before) == bare(after)
    }

    /// `landscape.espalier.dev/shop`, as kubectl names documents.
    static func name(_ information: ResourceInformation, _ name: String) -> String {
        "\(information.kindName)/\(name)"
    }

    /// Namespaces and kinds first, since other documents need them; the rest as given.
    static func ordered(_ manifests: [Manifest]) -> [Manifest] {
        func isFirst(_ manifest: Manifest) -> Bool {
            ["Namespace", "CustomResourceDefinition"].contains(manifest.document.kind)
        }
        return manifests.filter(isFirst) + manifests.filter { !isFirst($0) }
    }
}

extension ResourceInformation {
    /// `landscape.espalier.dev`, `pod`: as kubectl names kinds.
    var kindName: String {
        let kind = kind.lowercased()
        return resource.group.isEmpty ? kind : "\(kind).\(resource.group)"
    }
}
