internal import Client
internal import Documents

/// Prints the tables the server lays out, and the changes of a watched one.
struct TablePrinter {
    let command: GetCommand
    let session: Session
    private static let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

    func run(_ selections: [Selection]) async throws {
        var printed = 0
        var revision = ""
        var widths: [Int] = []
        for selection in selections {
            let tables = try await tables(of: selection)
            let prefix = selections.count > 1 ? prefix(of: selection) : ""
            let isEmpty = tables.allSatisfy { ($0["rows"]?.arrayValue ?? []).isEmpty }
            revision = tables.last?["metadata"]?["resourceVersion"]?.stringValue ?? ""
            if isEmpty { continue }
            var table = layOut(tables[0], prefix)
            for other in tables.dropFirst() { table.rows += layOut(other, prefix).rows }
            if printed > 0 { Terminal.print("") }
            widths = table.widths()
            for line in table.lines() { Terminal.print(line) }
            printed += 1
        }
        if command.watch { return try await watch(selections, after: revision, printed > 0, widths) }
        if printed == 0 {
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

    private func watch(_ selections: [Selection], after revision: String, _ hasHeader: Bool, _ widths: [Int])
        async throws
    {
        guard selections.count == 1, selections[0].names.count < 2 else {
            throw APIError.badRequest("expected one type, and at most one name, with --watch")
        }
        let name = selections[0].names.first
        let query = HTTPClient.query([
            ("watch", "true"), ("resourceVersion", name == nil ? revision : "0"), ("labelSelector", command.selector),
            ("fieldSelector", name.map { "metadata.name=\($0)" } ?? command.fieldSelector),
        ])
        let stream = try await session.client.stream(collection(selections[0]) + query, accept: Self.accept)
        var rest: [UInt8] = []
        var needsHeader = !hasHeader
        var isFirst = name != nil
        while let bytes = try await stream.next() {
            rest += bytes
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let event = try JSONParser.parse(rest[..<end], maximumBytes: ClientLimits.eventBytes)
                rest.removeSubrange(...end)
                guard let object = event["object"] else { continue }
                if let error = APIError(status: object) { throw error }
                defer { isFirst = false }
                if event["type"]?.stringValue == "BOOKMARK" || isFirst { continue }
                for line in layOut(object, "").lines(withHeader: needsHeader, minimumWidths: widths) {
                    Terminal.print(line)
                }
                needsHeader = false
            }
        }
    }

    private func collection(_ selection: Selection) -> String {
        let information = selection.resource.information
        return session.client.path(
            information, namespace: command.allNamespaces ? "" : session.namespace(for: information))
    }

    private func prefix(of selection: Selection) -> String {
        let name = ApplyCommand.name(selection.resource.information, "")
        return name
    }

    private func layOut(_ table: JSON, _ prefix: String) -> TextTable {
        let definitions = table["columnDefinitions"]?.arrayValue ?? []
        let shown = definitions.indices.filter {
            command.output == .wide || (definitions[$0]["priority"]?.integerValue ?? 0) == 0
        }
        var header = shown.map { (definitions[$0]["name"]?.stringValue ?? "").uppercased() }
        if command.allNamespaces { header.insert("NAMESPACE", at: 0) }
        let rows = (table["rows"]?.arrayValue ?? []).map { row -> [String] in
            let cells = row["cells"]?.arrayValue ?? []
            var texts = shown.map { $0 < cells.count ? Self.text(cells[$0]) : "" }
            if !texts.isEmpty { texts[0] = prefix + texts[0] }
            if command.allNamespaces {
                texts.insert(row["object"]?["metadata"]?["namespace"]?.stringValue ?? "", at: 0)
            }
            return texts
        }
        return TextTable(header: header, rows: rows)
    }

    private static func text(_ cell: JSON) -> String {
        switch cell {
        case .null: "<none>"
        case .string(let text): text.replacing("\n", with: "\\n")
        default: cell.text()
        }
    }
}
