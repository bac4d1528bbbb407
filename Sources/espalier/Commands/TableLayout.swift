internal import Documents

/// Turns the tables a server sends into columns of text. Remembers the columns: in a watch only the first table has them.
struct TableLayout {
    let isWide: Bool
    /// Whether a column in front names the namespace.
    let showsNamespace: Bool
    private var columns: [JSON] = []

    init(isWide: Bool, showsNamespace: Bool) {
        self.isWide = isWide
        self.showsNamespace = showsNamespace
    }

    /// `prefix` goes in front of every name: `pod/` where several kinds are printed.
    mutating func text(of table: JSON, prefix: String = "") -> TextTable {
        if let columns = table["columnDefinitions"]?.arrayValue, !columns.isEmpty { self.columns = columns }
        let shown = columns.indices.filter { isWide || (columns[$0]["priority"]?.integerValue ?? 0) == 0 }
        var header = shown.map { (columns[$0]["name"]?.stringValue ?? "").uppercased() }
        if showsNamespace { header.insert("NAMESPACE", at: 0) }
        let rows = (table["rows"]?.arrayValue ?? []).map { row -> [String] in
            let cells = row["cells"]?.arrayValue ?? []
            var texts = shown.map { $0 < cells.count ? Self.text(cells[$0]) : "" }
            if !texts.isEmpty { texts[0] = prefix + texts[0] }
            if showsNamespace { texts.insert(row["object"]?["metadata"]?["namespace"]?.stringValue ?? "", at: 0) }
            return texts
        }
        return TextTable(header: header, rows: rows)
    }

    private static func text(_ cell: JSON) -> String {
        switch cell {
        case .null: ""
        case .string(let text): text.replacing("\n", with: "\\n")
        default: cell.text()
        }
    }
}
