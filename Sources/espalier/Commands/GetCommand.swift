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
        if watch, selections.count != 1 || selections[0].names.count > 1 {
            throw ValidationError("expected one type, and at most one name, with --watch")
        }
        switch output {
        case .table, .wide: try await TablePrinter(command: self, session: session).run(selections)
        case .yaml, .json, .name: try await printDocuments(selections, session)
        }
    }

    private func printDocuments(_ selections: [Selection], _ session: Session) async throws {
        if watch { return try await printChanges(selections[0], session) }
        var documents: [(Document, ResourceInformation)] = []
        var missing = Missing()
        for selection in selections {
            documents += try await fetch(selection, session, &missing).map { ($0, selection.resource.information) }
        }
        let isSingle = selections.count == 1 && selections[0].names.count == 1
        if output == .name {
            for (document, information) in documents { Terminal.print(ApplyCommand.name(information, document.name)) }
        } else if !isSingle {
            let list: JSON = [
                "apiVersion": "v1", "items": .array(documents.map { shown($0.0).json }), "kind": "List",
                "metadata": ["resourceVersion": ""],
            ]
            Terminal.print(text(list), terminator: "")
        } else if let only = documents.first {
            Terminal.print(text(shown(only.0).json), terminator: "")
        }
        try missing.end()
    }

    private func shown(_ document: Document) -> Document {
        var document = document
        if !showManagedFields { document.metadata["managedFields"] = nil }
        return document
    }

    private func text(_ json: JSON) -> String {
        output == .json ? json.text(indent: true) + "\n" : YAMLWriter.text(json)
    }

    /// Prints what is there, then each document as it is after each change: YAML documents behind `---`.
    private func printChanges(_ selection: Selection, _ session: Session) async throws {
        let information = selection.resource.information
        var changes = changes(of: selection, session, accept: "application/json", after: "0")
        try await changes.read { object in
            if output == .name { return Terminal.print(ApplyCommand.name(information, Document(object).name)) }
            Terminal.print((output == .yaml ? "---\n" : "") + text(shown(Document(object)).json), terminator: "")
        }
    }

    /// What happens to the documents that were asked for.
    func changes(of selection: Selection, _ session: Session, accept: String, after revision: String) -> ChangeReader {
        ChangeReader(
            client: session.client, collection: collection(selection, session),
            selectors: [
                ("labelSelector", selector),
                ("fieldSelector", selection.names.first.map { "metadata.name=\($0)" } ?? fieldSelector),
            ], accept: accept, revision: revision)
    }

    func collection(_ selection: Selection, _ session: Session) -> String {
        let information = selection.resource.information
        return session.client.path(information, namespace: allNamespaces ? "" : session.namespace(for: information))
    }

    private func fetch(
        _ selection: Selection, _ session: Session, _ missing: inout Missing
    ) async throws -> [Document] {
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
            do throws(APIError) {
                documents.append(
                    try await session.client.get(ObjectKey(information.resource, namespace: namespace, name: name)))
            } catch {
                try missing.note(error)
            }
        }
        return documents
    }
}

/// What was asked for by name and is not there: told beside what is, and an exit code of 1.
struct Missing {
    private var isAny = false

    /// Tells of a document that does not exist; throws any other error.
    mutating func note(_ error: APIError) throws(APIError) {
        guard error.reason == .notFound else { throw error }
        Terminal.complain("error: \(error.message)")
        isAny = true
    }

    func end() throws(Terminal.Exit) {
        if isAny { throw Terminal.Exit(code: 1) }
    }
}
