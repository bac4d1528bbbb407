/// Columns of text, three spaces apart, as kubectl prints them.
struct TextTable {
    var header: [String]
    var rows: [[String]] = []

    /// The lines of the table, without trailing spaces. Widths are at least `minimumWidths`, so that rows printed later
    /// line up with those before.
    func lines(withHeader: Bool = true, minimumWidths: [Int] = []) -> [String] {
        let widths = widths(atLeast: minimumWidths)
        return ((withHeader ? [header] : []) + rows).map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 3) }
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    func widths(atLeast minimum: [Int] = []) -> [Int] {
        header.indices.map { column in
            let cells = ([header] + rows).map { column < $0.count ? $0[column].count : 0 }
            return max(cells.max() ?? 0, column < minimum.count ? minimum[column] : 0)
        }
    }
}
