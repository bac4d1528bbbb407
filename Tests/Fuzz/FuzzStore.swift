import Crypto
import Seams

@testable import Journal
@testable import Store

/// A segment of the log, as recovery meets it. Once as it is, when nearly every input ends at the first checksum; and
/// once with the checksums set right and the chain mended, so that the fuzzer reaches what stands behind them.
func fuzzRecord(_ input: [UInt8]) {
    recover(input)
    recover(mended(input))
}

private func recover(_ segment: [UInt8]) {
    let files = MemoryFiles(["log/\(Segment.name(2))": segment])
    var last: UInt64 = 1
    do throws(JournalError) {
        let recovered = try LogRecovery.recover(
            directory: "log", fileSystem: files, configuration: JournalConfiguration(),
            anchor: .init(revision: 1, hash: .origin)
        ) { (record) throws(JournalError) in
            check(record.revision == last + 1, "revision \(record.revision) after \(last)")
            last = record.revision
        }
        check(recovered.lastRevision == last, "it says \(recovered.lastRevision) and gave \(last)")
        var again: UInt64 = 1
        let second = try LogRecovery.recover(
            directory: "log", fileSystem: files, configuration: JournalConfiguration(),
            anchor: .init(revision: 1, hash: .origin)
        ) { (record) throws(JournalError) in again = record.revision }
        check(again == last && second.cut == nil, "recovered once \(last), twice \(again), \(second.cut ?? "clean")")
    } catch {
        guard case .damaged(let file, let offset, _) = error else { return check(false, "\(error)") }
        check(file.hasPrefix("log/") && offset >= 0, "damage at \(file) \(offset)")
    }
}

/// The input's records behind a whole header, with their checksums right and each continuing the one before, unless the
/// input asks for a wrong one by the reserved bytes.
private func mended(_ input: [UInt8]) -> [UInt8] {
    var bytes = Segment(firstRevision: 2, previous: .origin).header
    // Short inputs are all records; those that come from a seed begin with the header of a segment.
    let hasHeader = input.starts(with: bytes.prefix(8))
    var rest = input.dropFirst(hasHeader ? min(input.count, Segment.headerSize) : 0)
    var (previous, revision) = (ChainHash.origin, UInt64(1))
    while rest.count >= RecordFormat.headerSize {
        let header = Array(rest.prefix(RecordFormat.headerSize))
        let length = Int(header[8]) | Int(header[9]) << 8
        let payload = Array(rest.dropFirst(RecordFormat.headerSize).prefix(length))
        let flags = Record.Flags(rawValue: header[5])
        if !flags.contains(.durabilityNote) { revision += 1 }
        let isWrong = header[12] == 0xEE
        let record = Record(
            revision: isWrong ? UInt64(header[16]) : revision, flags: flags, keyIdentifier: UInt16(header[6]),
            payload: payload)
        let durable = Int(header[24]) | Int(header[25]) << 8
        previous = RecordFormat.append(
            record, durable: durable, previous: header[13] == 0xEE ? .origin : previous, to: &bytes)
        rest = rest.dropFirst(RecordFormat.size(payload: payload.count))
    }
    return bytes + rest
}

/// The payload of a record: a transaction, once read, reads the same again from its own encoding.
func fuzzTransaction(_ input: [UInt8]) {
    let record = Record(revision: 5, keyIdentifier: 1, payload: input)
    let keys = SealingKeys.ephemeral()
    guard let operations = try? TransactionCodec.operations(record, keys: keys) else { return }
    check(operations.count <= input.count, "\(operations.count) operations in \(input.count) bytes")
    let now = Revision(rawValue: 5)
    let changes = operations.map { operation -> Change in
        switch operation {
        case .delete(let key):
            let gone = Entry(
                key: key, value: Bytes([]), createRevision: now, modRevision: now, revisionOffset: nil,
                keyIdentifier: 0)
            return Change(deleting: gone, key: key, revision: now)
        case .put(let key, let value, let offset, let keyIdentifier):
            let entry = Entry(
                key: key, value: Bytes(value), createRevision: now, modRevision: now, revisionOffset: offset,
                keyIdentifier: keyIdentifier)
            return Change(put: Bytes(value), entry, key: key, over: nil)
        }
    }
    let revision = RevisionChanges(revision: Revision(rawValue: 5), changes: changes, time: .zero)
    guard let encoded = try? TransactionCodec.record(revision, keys: keys),
        let again = try? TransactionCodec.operations(encoded, keys: keys)
    else { return check(false, "a transaction cannot be written again") }
    check("\(again)" == "\(operations)", "a transaction does not read back")
}

/// A table, as it is and with what it says of itself mended: the input is then its one block of index and its values.
func fuzzTable(_ input: [UInt8]) {
    let range = RevisionRange(first: Revision(rawValue: 1), last: Revision(rawValue: 9))
    readTable(input, range)
    guard let count = input.first else { return }
    let cut = min(input.count, 1 + Int(input.dropFirst().first ?? 0) * 4)
    let index = Array(input[1..<max(1, cut)])
    var file = TableFormat.header(range)
    file.appendInteger(UInt32(index.count))
    file.appendInteger(UInt32(count))
    let seed = TableFormat.blockSeed(offset: TableFormat.headerSize, count: UInt32(count))
    file.appendInteger(index.withUnsafeBytes { Checksum.of($0, seed: seed) })
    file += index
    var footer = TableFooter(range: range, hash: .origin)
    footer.indexEnd = file.count
    while file.count % TableFormat.unit != 0 { file.append(0) }
    footer.dataStart = file.count
    file += input[max(1, cut)...]
    footer.dataEnd = file.count
    footer.entries = Int(count)
    readTable(file + TableFormat.footer(footer), range)
}

private func readTable(_ bytes: [UInt8], _ range: RevisionRange) {
    let files = MemoryFiles(["log/\(TableFormat.name(range))": bytes])
    do throws(StoreError) {
        let table = try Table.open(range, directory: "log", fileSystem: files, keys: KeyRing(.ephemeral()))
        var seen = 0
        var index = TableIndexReader(table)
        try index.advance()
        while index.item != nil {
            seen += 1
            index.withKey { key in check(key.count <= bytes.count, "a key of \(key.count) bytes") }
            try index.advance()
        }
        check(seen == table.footer.entries + table.footer.tombstones, "\(seen) items")
        try table.verify { true }
    } catch {
        switch error {
        case .damaged, .newer: break
        default: check(false, "\(error)")
        }
    }
}

/// A snapshot file, as it is and with its checksums mended.
func fuzzSnapshot(_ input: [UInt8]) {
    readSnapshot(input)
    guard input.count > 64 else { return }
    let (header, block) = (Array(input[..<64]), Array(input[64...]))
    var checksum = Array(SHA256.hash(data: header).prefix(16))
    var file = header
    for (block, count) in [(block, UInt32(header[56])), ([], 0)] {
        var hasher = SHA256()
        hasher.update(data: checksum)
        withUnsafeBytes(of: count.littleEndian) { hasher.update(bufferPointer: $0) }
        hasher.update(data: block)
        checksum = Array(hasher.finalize().prefix(16))
        file.appendInteger(UInt32(block.count))
        file.appendInteger(count)
        file += checksum + block
    }
    readSnapshot(file)
}

private func readSnapshot(_ bytes: [UInt8]) {
    do throws(StoreError) {
        let contents = try SnapshotFile.read(bytes, file: "fuzz")
        check(contents.entries.count <= bytes.count, "\(contents.entries.count) entries in \(bytes.count) bytes")
        for entry in contents.entries { _ = try? entry.opened(.ephemeral()) }
    } catch {
        switch error {
        case .damaged, .newer: break
        default: check(false, "\(error)")
        }
    }
}

/// Files in memory, for one thread.
private final class MemoryFiles: FileSystem, @unchecked Sendable {
    // SAFETY: each input has its own, used by the one thread of the fuzzer.
    fileprivate var files: [String: [UInt8]]

    init(_ files: [String: [UInt8]]) { self.files = files }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        if case .create = mode { files[path] = [] }
        if files[path] == nil { throw FileError(.notFound, operation: "open", path: path, reason: "no such file") }
        return MemoryFile(files: self, path: path)
    }

    func createDirectory(_ path: String, permissions: UInt32) throws(FileError) {}
    func list(_ directory: String) throws(FileError) -> [String] {
        files.keys.filter { FilePath.parent(of: $0) == directory }.map(FilePath.lastPart(of:)).sorted()
    }
    func exists(_ path: String) throws(FileError) -> Bool { files[path] != nil }
    func rename(_ source: String, to destination: String) throws(FileError) {
        files[destination] = files.removeValue(forKey: source)
    }
    func remove(_ path: String) throws(FileError) { files[path] = nil }
    func syncDirectory(_ path: String) throws(FileError) {}
    func lock(_ path: String) throws(FileError) -> any FileLock { MemoryLock() }
}

private struct MemoryLock: FileLock {
    func release() {}
}

private struct MemoryFile: File {
    let files: MemoryFiles
    let path: String

    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        Array((files.files[path] ?? []).dropFirst(offset).prefix(count))
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        var content = files.files[path] ?? []
        let end = offset + bytes.count
        if end > content.count { content += Array(repeating: 0, count: end - content.count) }
        content.replaceSubrange(offset..<end, with: bytes)
        files.files[path] = content
    }

    func sync() throws(FileError) {}
    func truncate(to size: Int) throws(FileError) { files.files[path] = Array((files.files[path] ?? []).prefix(size)) }
    func size() throws(FileError) -> Int { files.files[path]?.count ?? 0 }
    func close() {}
}
