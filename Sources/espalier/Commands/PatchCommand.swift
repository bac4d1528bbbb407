internal import ArgumentParser
internal import Client
internal import Documents

/// Changes parts of documents.
struct PatchCommand: AsyncParsableCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable { case strategic, merge, json }

    static let configuration = CommandConfiguration(
        commandName: "patch", abstract: "Changes parts of documents.",
        discussion: "Example: `patch rollout shop-2 --type merge -p '{\"spec\":{\"decision\":\"Promote\"}}'`.")

    @Argument(help: "TYPE NAME ... or TYPE/NAME ...") var what: [String]
    @Option(help: "strategic (built-in kinds only), merge or json.") var type = Kind.strategic
    @Option(name: .shortAndLong, help: "The patch, in JSON or YAML.") var patch: String
    @Option(help: "The part to patch: status or scale.", transform: PatchCommand.subresource) var subresource:
        Subresource?
    @OptionGroup var connection: Connection

    func run() async throws {
        let json = try YAMLReader.document(in: Array(patch.utf8), file: "--patch").json
        let change: Patch =
            switch type {
            case .strategic: .strategic(json)
            case .merge: .merge(json)
            case .json: .json(json)
            }
        let session = try connection.open()
        for selection in try await Selection.parse(what, session) {
            if selection.names.isEmpty { throw ValidationError("expected the names of the documents to patch") }
            let information = selection.resource.information
            for name in selection.names {
                let key = ObjectKey(information.resource, namespace: session.namespace(for: information), name: name)
                let before = try await session.client.get(key)
                let after = try await session.client.patch(
                    key, change, subresource: subresource, options: WriteOptions(fieldManager: "espalier"))
                let isSame = before.resourceVersion == after.resourceVersion
                Terminal.print("\(ApplyCommand.name(information, name)) patched\(isSame ? " (no change)" : "")")
            }
        }
    }

    static func subresource(_ text: String) throws -> Subresource {
        guard let subresource = Subresource(rawValue: text) else {
            throw ValidationError("expected status or scale, found \"\(text)\"")
        }
        return subresource
    }
}
