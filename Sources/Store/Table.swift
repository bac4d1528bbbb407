internal import Journal
internal import Seams

/// An immutable file of values, sorted by key: those written by the revisions of its range and live at its end. It
/// stays open, and readable even after its file is removed, until the last entry that points into it is gone.
final class Table: Sendable {
    let path: String
    let footer: TableFooter
    private let file: any File
    private let keys: KeyRing

    var range: RevisionRange { footer.range }
    /// Bytes of the file.
    var size: Int { footer.dataEnd + TableFormat.footerSize }

    init(path: String, footer: TableFooter, file: any File, keys: KeyRing) {
        self.path = path
        self.footer = footer
        self.file = file
        self.keys = keys
    }

    deinit { file.close() }

    /// Opens a table and checks its two ends. Values are not read.
    static func open(
        _ range: RevisionRange, directory: String, fileSystem: any FileSystem, keys: KeyRing
    ) throws(StoreError) -> Table {
        let path = "\(directory)/\(TableFormat.name(range))"
        let file = try disk { () throws(FileError) in try fileSystem.open(path, .read) }
        do throws(StoreError) {
            return Table(path: path, footer: try check(range, path, file), file: file, keys: keys)
        } catch {
            file.close()
            throw error
        }
    }

    private static func check(
        _ range: RevisionRange, _ path: String, _ file: any File
    ) throws(StoreError) -> TableFooter {
        let (size, header) = try disk { () throws(FileError) in
            (try file.size(), try file.read(at: 0, count: TableFormat.headerSize))
        }
        switch TableFormat.checkHeader(header, range) {
        case .damaged: throw .damagedFile(path, 0, "the header is not that of this table")
        case .newer(let version): throw .newer(file: path, version: version, supported: TableFormat.version)
        case nil: break
        }
        let end = size - TableFormat.footerSize
        let bytes = try disk { () throws(FileError) in
            try file.read(at: max(0, end), count: TableFormat.footerSize)
        }
        guard let footer = TableFormat.footer(bytes), footer.range == range, footer.dataEnd == end,
            footer.indexEnd >= TableFormat.headerSize, footer.indexEnd <= footer.dataStart,
            footer.dataStart <= footer.dataEnd
        else { throw .damagedFile(path, max(0, end), "the footer is not that of this table") }
        return footer
    }

    // MARK: Reading

    /// Reads bytes of the file, all of them or none.
    func read(at offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        let bytes = try disk { () throws(FileError) in try file.read(at: offset, count: count) }
        if bytes.count != count { throw .damagedFile(path, offset, "the file ends within the \(count) bytes here") }
        return bytes
    }

    func fileOffset(_ unit: UInt32) -> Int { footer.dataStart + Int(unit) * TableFormat.unit }

    /// Bytes of an entry's value in the file, without the checksum behind them.
    static func payload(_ entry: Entry) -> Int { entry.count + (entry.isSealed ? SealingKeys.overhead : 0) }

    func value(of entry: Entry, at place: ValuePlace) throws(StoreError) -> Bytes {
        let offset = fileOffset(place.offset)
        let payload = Self.payload(entry)
        var bytes = try read(at: offset, count: payload + Checksum.size)
        try bytes.span.withUnsafeBytes { buffer throws(StoreError) in
            try check(buffer, revision: entry.modRevision.rawValue, at: offset)
        }
        bytes.removeLast(Checksum.size)
        return Bytes(entry.isSealed ? try open(bytes, entry, place) : bytes)
    }

    func open(_ sealed: [UInt8], _ entry: Entry, _ place: ValuePlace) throws(StoreError) -> [UInt8] {
        try keys.keys.open(sealed, with: place.keyIdentifier, key: entry.key, revision: entry.modRevision)
    }

    /// Checks a value's bytes against the checksum at their end.
    func check(_ bytes: UnsafeRawBufferPointer, revision: UInt64, at offset: Int) throws(StoreError) {
        let end = bytes.count - Checksum.size
        let found = Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[..<end]), seed: revision)
        if bytes.integer(at: end, as: UInt64.self) != found {
            throw .damagedFile(path, offset, "the value of revision \(revision) does not match its checksum")
        }
    }
}

extension StoreError {
    /// Damage in a file of the store, with what a person can do.
    static func damagedFile(_ path: String, _ offset: Int, _ reason: String) -> StoreError {
        .damaged(file: path, offset: offset, reason: reason, remedy: Keyspace.damageRemedy)
    }
}

/// Runs a file operation with the store's error type.
func disk<Result>(_ body: () throws(FileError) -> Result) throws(StoreError) -> Result {
    do { return try body() } catch { throw .fileSystem(reason: error.description) }
}
