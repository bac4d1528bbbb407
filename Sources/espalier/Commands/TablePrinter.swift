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
        for selection in selections {
            let tables = try await tables(of: selection)
            let prefix = selections.count > 1 ? ApplyCommand.name(selection.resource.information, "") : ""
            revision = tables.last?["metadata"]?["resourceVersion"]?.stringValue ?? ""
            var text = layout.text(of: tables[0], prefix: prefix)
            for other in tables.dropFirst() { text.rows += layout.text(of: other, prefix: prefix).rows }
            if text.rows.isEmpty { continue }
            if printed != nil { Terminal.print("") }
            for line in text.lines() { Terminal.print(line) }
            printed = text
        }
        if command.watch { return try await watch(selections, after: revision, &layout, printed) }
        if printed == nil {
            let isScoped = selections.contains { $0.resource.information.isNamespaced } && !command.allNamespaces
            Terminal.complain("No resources found\(isScoped ? " in \(session.namespace) namespace" : "").")
        }
    }

    private func tables(of selection: Selection) async throws -> [JSON] {
        var tables: [JSON] = []
        if !selection.names.isEmpty {
            for name in selection.names {
                tables.append(try await fetch("\(collection(selection))/\(HTTPClient.escape(name))"))
            }
            return tables
        }
        var resumption = ""
        repeat {
            let query = HTTPClient.query([
                ("limit", "500"), ("labelSelector", command.selector), ("fieldSelector", command.fieldSelector),
                ("continue", resumption),
            ])
            tables.append(try await fetch(collection(selection) + query))
            resumption = tables.last?["metadata"]?["continue"]?.stringValue ?? ""
        } while !resumption.isEmpty
        return tables
    }

    private func fetch(_ target: String) async throws -> JSON {
        let answer = try await session.client.request("GET", target, accept: Self.accept)
        let json = try JSONParser.parse(answer.body, maximumBytes: ClientLimits.responseBytes)
        if let error = APIError(status: json) { throw error }
        return json
    }

    /// Prints changes until the user has seen enough. `before` is the table above them.
    private func watch(
        _ selections: [Selection], after revision: String, _ layout: inout TableLayout, _ before: TextTable?
    ) async throws {
        guard selections.count == 1, selections[0].names.count < 2 else {
            throw APIError.badRequest("expected one type, and at most one name, with --watch")
        }
        let name = selections[0].names.first
        var widths = before?.widths() ?? []
        var needsHeader = before == nil
        // The revision of a single document may be older than the server's history: its watch begins with what is there.
        var revision = name == nil ? revision : "0"
        var skipsFirst = name != nil
        while true {
            let query = HTTPClient.query([
                ("watch", "true"), ("resourceVersion", revision), ("labelSelector", command.selector),
                ("fieldSelector", name.map { "metadata.name=\($0)" } ?? command.fieldSelector),
            ])
            let stream = try await session.client.stream(collection(selections[0]) + query, accept: Self.accept)
            var rest: [UInt8] = []
            while let bytes = try await stream.next() {
                rest += bytes
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    let event = try JSONParser.parse(rest[..<end], maximumBytes: ClientLimits.eventBytes)
                    rest.removeSubrange(...end)
                    guard let object = event["object"] else { continue }
                    if let error = APIError(status: object) { throw error }
                    revision = Self.revision(of: object) ?? revision
                    if event["type"]?.stringValue == "BOOKMARK" { continue }
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
    }

    /// Where a watch that ends here goes on.
    private static func revision(of table: JSON) -> String? {
        table["rows"]?.arrayValue?.last?["object"]?["metadata"]?["resourceVersion"]?.stringValue
            ?? table["metadata"]?["resourceVersion"]?.stringValue
    }

    private func collection(_ selection: Selection) -> String {
        let information = selection.resource.information
        return session.client.path(
            information, namespace: command.allNamespaces ? "" : session.namespace(for: information))
    }
}
