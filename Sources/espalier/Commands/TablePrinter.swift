internal import Client
internal import Documents

/// Prints the tables the server lays out, and the changes of a watched one.
struct TablePrinter {
    let command: GetCommand
    let session: Session
    private static let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

    func run(_ selections: [Selection]) async throws {
        var layout = TableLayout(isWide: command.output == .wide, showsNamespace: command.allNamespaces)
        var printed: TextTable?
        var revision = ""
        var missing = Missing()
        for selection in selections {
            let tables = try await tables(of: selection, &missing)
            let prefix = selections.count > 1 ? ApplyCommand.name(selection.resource.information, "") : ""
            revision = tables.last?["metadata"]?["resourceVersion"]?.stringValue ?? ""
            if tables.isEmpty { continue }
            var text = layout.text(of: tables[0], prefix: prefix)
            for other in tables.dropFirst() { text.rows += layout.text(of: other, prefix: prefix).rows }
            if text.rows.isEmpty { continue }
            if printed != nil { Terminal.print("") }
            for line in text.lines() { Terminal.print(line) }
            printed = text
        }
        try missing.end()
        if command.watch { return try await watch(selections[0], after: revision, &layout, printed) }
        if printed == nil {
            let isScoped = selections.contains { $0.resource.information.isNamespaced } && !command.allNamespaces
            Terminal.complain("No resources found\(isScoped ? " in \(session.namespace) namespace" : "").")
        }
    }

    private func tables(of selection: Selection, _ missing: inout Missing) async throws -> [JSON] {
        var tables: [JSON] = []
        let collection = command.collection(selection, session)
        if !selection.names.isEmpty {
            for name in selection.names {
                do throws(APIError) {
                    tables.append(try await fetch("\(collection)/\(HTTPClient.escape(name))"))
                } catch {
                    try missing.note(error)
                }
            }
            return tables
        }
        var resumption = ""
        repeat {
            let query = HTTPClient.query([
                ("limit", "500"), ("labelSelector", command.selector), ("fieldSelector", command.fieldSelector),
                ("continue", resumption),
            ])
            tables.append(try await fetch(collection + query))
            resumption = tables.last?["metadata"]?["continue"]?.stringValue ?? ""
        } while !resumption.isEmpty
        return tables
    }

    private func fetch(_ target: String) async throws(APIError) -> JSON {
        let answer = try await session.client.request("GET", target, accept: Self.accept)
        guard let json = try? JSONParser.parse(answer.body, maximumBytes: ClientLimits.responseBytes) else {
            throw APIError.badRequest("expected JSON from \(target), found something else")
        }
        if let error = APIError(status: json) { throw error }
        return json
    }

    /// Prints changes until the user has seen enough. `before` is the table above them.
    private func watch(
        _ selection: Selection, after revision: String, _ layout: inout TableLayout, _ before: TextTable?
    ) async throws {
        var widths = before?.widths() ?? []
        var needsHeader = before == nil
        // The revision of a single document may be older than the server's history: its watch begins with what is there.
        var skipsFirst = !selection.names.isEmpty
        var changes = command.changes(
            of: selection, session, accept: Self.accept, after: skipsFirst ? "0" : revision)
        try await changes.read { object in
            let text = layout.text(of: object)
            widths = text.widths(atLeast: widths)
            if !skipsFirst {
                for line in text.lines(withHeader: needsHeader, minimumWidths: widths) { Terminal.print(line) }
                needsHeader = false
            }
            skipsFirst = false
        }
    }
}
