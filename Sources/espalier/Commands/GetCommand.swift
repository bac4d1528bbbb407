internal import ArgumentParser
internal import Client
internal import Documents

/// Prints documents: as a table the server lays out, or as they are.
struct GetCommand: AsyncParsableCommand {
    enum Output: String, ExpressibleByArgument, CaseIterable { case table, wide, yaml, json, name }

    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Prints documents.",
        discussion: "Examples: `get ls`, `get landscape shop -o yaml`, `get pods,services -A`, `get espalier`.")

    @Argument(help: "TYPE [NAME ...], TYPE,TYPE or TYPE/NAME ...") var what: [String]
    @Option(name: .shortAndLong, help: "table, wide, yaml, json or name.") var output = Output.table
    @Flag(name: .shortAndLong, help: "Goes on printing changes.") var watch = false
    @Flag(name: [.customShort("A"), .long], help: "In all namespaces.") var allNamespaces = false
    @Option(name: [.customShort("l"), .long], help: "Label selector, such as a=b,c!=d.") var selector = ""
    @Option(help: "Field selector, such as metadata.name=x.") var fieldSelector = ""
    @Flag(help: "Shows metadata.managedFields with -o yaml and json.") var showManagedFields = false
    @OptionGroup var connection: Connection

    func run() async throws {
        let session = try connection.open()
        let selections = try await Selection.parse(what, session)
        switch output {
        case .table, .wide: try await TablePrinter(command: self, session: session).run(selections)
        case .yaml, .json, .name: try await printDocuments(selections, session)
        }
    }

    private func printDocuments(_ selections: [Selection], _ session: Session) async throws {
        var documents: [Document] = []
        for selection in selections { documents += try await fetch(selection, session) }
        if output == .name {
            let known = try await session.client.resources()
            for document in documents {
                let match = known.first {
                    $0.information.kind == document.kind
                        && $0.information.resource.group == document.groupVersionKind.group
                }
                if let match { Terminal.print(ApplyCommand.name(match.information, document.name)) }
            }
            return
        }
        if !showManagedFields {
            for position in documents.indices { documents[position].metadata["managedFields"] = nil }
        }
        let isSingle = documents.count == 1 && selections.count == 1 && selections[0].names.count == 1
        let json: JSON =
            isSingle
            ? documents[0].json
            : [
                "apiVersion": "v1", "items": .array(documents.map(\.json)), "kind": "List",
                "metadata": ["resourceVersion": ""],
            ]
        Terminal.print(output == .json ? json.text(indent: true) + "\n" : YAMLWriter.text(json), terminator: "")
    }

    private func fetch(_ selection: Selection, _ session: Session) async throws -> [Document] {
        let information = selection.resource.information
        let namespace = allNamespaces ? "" : session.namespace(for: information)
        if selection.names.isEmpty {
            var options = ListOptions()
            options.labelSelector = selector
            options.fieldSelector = fieldSelector
            return try await session.client.list(information.resource, namespace: namespace, options: options).items
        }
        var documents: [Document] = []
        for name in selection.names {
            documents.append(
                try await session.client.get(ObjectKey(information.resource, namespace: namespace, name: name)))
        }
        return documents
    }
}
