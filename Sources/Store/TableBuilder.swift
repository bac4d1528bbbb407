internal import Journal
internal import Seams

/// Writes one table: first every item of its index, in order, then the data of the same items, in the same order. The
/// file has a temporary name until it is durable, so a table is there whole or not at all.
struct TableBuilder {
    private let directory: String
    private let fileSystem: any FileSystem
    private let temporary: String
    private let file: any File
    private var footer: TableFooter
    private var output: [UInt8]
    /// Where in the file `output` goes.
    private var offset = 0
    private var block: [UInt8] = []
    private var blockCount: UInt32 = 0
    /// Where the next item's data goes, in units.
    private var unit = 0

    private static let outputBytes = 1024 * 1024
    private static let blockBytes = 64 * 1024

    init(
        _ range: RevisionRange, hash: ChainHash, directory: String, fileSystem: any FileSystem
    ) throws(StoreError) {
        self.directory = directory
        self.fileSystem = fileSystem
        let temporary = "\(directory)/\(TableFormat.name(range)).tmp"
        self.temporary = temporary
        footer = TableFooter(range: range, hash: hash)
        output = TableFormat.header(range)
        file = try disk { () throws(FileError) in
            if try fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
            return try fileSystem.open(temporary, .create(permissions: 0o600))
        }
    }

    // MARK: Index

    /// Adds an item and returns where its data will be. Its own `offset` is not looked at.
    mutating func append(_ item: TableItem, key: UnsafeRawBufferPointer) throws(StoreError) -> UInt32 {
        var item = item
        guard let place = UInt32(exactly: unit) else { throw .invalid(reason: "a table of more than 32 GiB") }
        item.offset = place
        if item.isTombstone {
            footer.tombstones += 1
        } else {
            footer.entries += 1
            unit += TableFormat.units(Int(item.payload))
        }
        TableFormat.append(item, key: key, to: &block)
        blockCount += 1
        if block.count >= Self.blockBytes { try finishBlock() }
        return place
    }

    private mutating func finishBlock() throws(StoreError) {
        if blockCount == 0 { return }
        let seed = TableFormat.blockSeed(offset: offset + output.count, count: blockCount)
        output.appendInteger(UInt32(block.count))
        output.appendInteger(blockCount)
        output.appendInteger(block.withUnsafeBytes { Checksum.of($0, seed: seed) })
        output.append(contentsOf: block)
        block.removeAll(keepingCapacity: true)
        blockCount = 0
        try flush(atLeast: Self.outputBytes)
    }

    // MARK: Data

    mutating func beginData() throws(StoreError) {
        try finishBlock()
        footer.indexEnd = offset + output.count
        pad()
        footer.dataStart = offset + output.count
        footer.dataEnd = footer.dataStart + unit * TableFormat.unit
    }

    /// A value as it is to be on disk.
    mutating func append(payload: [UInt8], revision: Revision) throws(StoreError) {
        output.append(contentsOf: payload)
        output.appendInteger(payload.withUnsafeBytes { Checksum.of($0, seed: revision.rawValue) })
        pad()
        try flush(atLeast: Self.outputBytes)
    }

    /// Values with their checksums, as they are in another table.
    mutating func append(copied bytes: some Collection<UInt8>) throws(StoreError) {
        output.append(contentsOf: bytes)
        try flush(atLeast: Self.outputBytes)
    }

    private mutating func pad() {
        while (offset + output.count) % TableFormat.unit != 0 { output.append(0) }
    }

    private mutating func flush(atLeast count: Int) throws(StoreError) {
        if output.count < count { return }
        try disk { () throws(FileError) in
            try file.write(output, at: offset)
            // Piece by piece, so that the log's own syncs never wait for a whole table.
            try file.sync()
        }
        offset += output.count
        output.removeAll(keepingCapacity: true)
    }

    // MARK: End

    /// Makes the table, all of which is on the device, durable under its name, and opens it.
    mutating func finish(keys: KeyRing) throws(StoreError) -> Table {
        precondition(
            offset + output.count == footer.dataEnd,
            "the data of \(temporary) ends at \(offset + output.count), its index says \(footer.dataEnd)")
        output.append(contentsOf: TableFormat.footer(footer))
        try flush(atLeast: 0)
        let path = "\(directory)/\(TableFormat.name(footer.range))"
        try disk { () throws(FileError) in
            try fileSystem.rename(temporary, to: path)
            try fileSystem.syncDirectory(directory)
        }
        return Table(path: path, footer: footer, file: file, keys: keys)
    }

    /// Lets go of what is not finished. What cannot be removed now is removed at the next start.
    func abandon() {
        file.close()
        try? fileSystem.remove(temporary)
    }
}
