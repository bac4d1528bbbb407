/// Reads a table's data from front to end in big pieces.
struct DataWindow {
    /// As many units, and bytes, as one piece holds.
    static let units: UInt32 = 64 * 1024
    static let bytes = Int(units) * TableFormat.unit

    private let table: Table
    private var start: UInt32 = 0
    private var bytes: [UInt8] = []

    init(_ table: Table) { self.table = table }

    /// Gives `body` the bytes of some units, at most a piece. Asks `goOn` before it reads another piece.
    mutating func withBytes(
        at unit: UInt32, units: UInt32, _ goOn: () -> Bool, _ body: (ArraySlice<UInt8>) throws(StoreError) -> Void
    ) throws(StoreError) {
        // As wide integers: an index may say anything.
        let end = Int(start) + bytes.count / TableFormat.unit
        if unit < start || Int(unit) + Int(units) > end {
            if !goOn() { throw .closed }
            let left = table.footer.dataEnd - table.fileOffset(unit)
            let count = max(Int(units), Int(Self.units)) * TableFormat.unit
            bytes = try table.read(at: table.fileOffset(unit), count: min(max(left, 0), count))
            start = unit
        }
        let low = Int(unit - start) * TableFormat.unit
        let high = low + Int(units) * TableFormat.unit
        guard high <= bytes.count else {
            throw .damagedFile(table.path, table.fileOffset(unit), "a value goes past the end of the data")
        }
        try body(bytes[low..<high])
    }
}
