internal import Journal
package import Seams

/// Reads every file of a store's log folder and compares all of it with all of the rest: format versions, checksums,
/// the chain from record to record, segment to segment and table to log, and that the log, replayed over the tables,
/// gives what a running server holds. Takes no lock and changes nothing, so it may run beside the server.
package struct StoreVerification {
    /// What was wrong, and what to do.
    package struct Problem: Sendable {
        package var file: String
        package var offset: Int
        package var reason: String
        package var remedy: String
    }

    /// What was checked and found.
    package struct Report: Sendable {
        package var files = 0
        package var bytes = 0
        package var records = 0
        package var documents = 0
        package var firstRevision: Revision?
        package var lastRevision: Revision?
        /// What is worth knowing and not wrong.
        package var notes: [String] = []
        package var problems: [Problem] = []
        /// How many values each key seals in the newest state, and how many files need it. 0 stands for clear.
        package var values: [UInt16: Int] = [:]
        package var filesByKey: [UInt16: Int] = [:]

        /// The report for people; the last line is the verdict.
        package var lines: [String] {
            let range = firstRevision.map { "revisions \($0) to \(lastRevision ?? $0)" } ?? "no revisions"
            return ["\(files) files, \(bytes) bytes, \(records) records, \(range), \(documents) documents"]
                + notes.map { "note: \($0)" }
                + problems.map { "problem: \($0.file), byte \($0.offset): \($0.reason). \($0.remedy)" }
                + [problems.isEmpty ? Self.noProblems : "\(problems.count) problems found"]
        }

        package static let noProblems = "no problems found"
    }

    private let directory: String
    private let fileSystem: any FileSystem
    private let keys: SealingKeys
    private var report = Report()
    private var entries: [StoreKey: Entry] = [:]
    /// Where the replay stands; `nil` before a state or the beginning of everything.
    private var revision: Revision?
    private var hash: ChainHash?
    /// Where the records of the segment before end, and why.
    private var lastEnd: (file: String, offset: Int, reason: String)?

    /// Checks the store below `data`. `live` is what a running server holds: what is on disk must give it exactly, at
    /// the newest revision that the walk sees whole.
    package static func run(
        data: String, fileSystem: any FileSystem, keys: SealingKeys, live: Keyspace? = nil
    ) -> Report {
        if (try? fileSystem.exists(StoreRestoration.marker(of: data))) == true {  // else the walk says what fails
            var report = Report()
            report.problems.append(
                Problem(
                    file: StoreRestoration.marker(of: data), offset: 0, reason: "a restore was cut short",
                    remedy: "Run `espalier store restore` again, which begins anew; or remove the directory."))
            return report
        }
        // A server may replace files while they are read; then everything is read again.
        for _ in 0..<3 {
            var verification = StoreVerification(directory: "\(data)/log", fileSystem: fileSystem, keys: keys)
            if verification.walk(live) { return verification.report }
        }
        var report = Report()
        report.problems.append(
            Problem(
                file: "\(data)/log", offset: 0, reason: "files came and went while they were read, three times",
                remedy: "Try again when the server is less busy."))
        return report
    }

    private init(directory: String, fileSystem: any FileSystem, keys: SealingKeys) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.keys = keys
    }

    /// False when a file was gone before it could be read.
    private mutating func walk(_ live: Keyspace?) -> Bool {
        do {
            let names = try fileSystem.list(directory)
            if !readTables(names, isLive: live != nil) { return false }
            let segments = names.filter(SegmentReader.isSegment)
            for (index, name) in segments.enumerated() {
                let isLast = index == segments.count - 1
                if try !readSegment(name, isLast: isLast, isLive: live != nil) { return false }
            }
            if segments.isEmpty { problem(directory, 0, "there is no log") }
        } catch {
            problem(directory, 0, "\(error)", remedy: "Make the folder readable for this user.")
        }
        finish(live)
        return true
    }

    private mutating func problem(
        _ file: String, _ offset: Int, _ reason: String, remedy: String = Keyspace.damageRemedy
    ) {
        report.problems.append(Problem(file: file, offset: offset, reason: reason, remedy: remedy))
    }

    /// The bytes of a segment; `nil` when it is gone.
    private mutating func read(_ name: String) throws(FileError) -> [UInt8]? {
        guard let bytes = try SpareSegments.read("\(directory)/\(name)", fileSystem) else { return nil }
        report.files += 1
        report.bytes += bytes.count
        return bytes
    }

    /// Reads the tables, every value of them, and begins where the last one ends. False when one was gone.
    private mutating func readTables(_ names: [String], isLive: Bool) -> Bool {
        do throws(StoreError) {
            let chain = try TableChain(found: names, in: directory)
            let ring = KeyRing(keys)
            var tables: [Table] = []
            for range in chain.ranges {
                let table = try Table.open(range, directory: directory, fileSystem: fileSystem, keys: ring)
                tables.append(table)
                report.files += 1
                report.bytes += table.size
                try table.verify { true }
            }
            try begin(tables)
        } catch {
            return fault(error, isLive: isLive)
        }
        return true
    }

    /// Notes what is wrong with a table. False when it may have been replaced while it was read.
    private mutating func fault(_ error: StoreError, isLive: Bool) -> Bool {
        switch error {
        case .damaged(let file, let offset, let reason, let remedy): problem(file, offset, reason, remedy: remedy)
        case .fileSystem where isLive: return false
        default: problem(directory, 0, error.description, remedy: "")
        }
        return true
    }

    /// Begins at the end of the tables, or at the beginning of everything.
    private mutating func begin(_ tables: [Table]) throws(StoreError) {
        var needed: Set<NeededKey> = []
        for entry in try Table.load(tables) {
            entries[entry.key] = entry
            if entry.isSealed { _ = try entry.value }
            guard case .table(let table) = entry.place.value else { continue }
            needed.insert(NeededKey(file: table.path, number: entry.keyIdentifier))
        }
        for key in needed { report.filesByKey[key.number, default: 0] += 1 }
        (revision, hash) = (tables.last?.range.last ?? .empty, tables.last?.footer.hash ?? .origin)
        report.firstRevision = tables.last?.range.last
    }

    /// A key that a live value in a table is sealed with.
    private struct NeededKey: Hashable {
        var file: String
        var number: UInt16
    }

    private mutating func readSegment(_ name: String, isLast: Bool, isLive: Bool) throws(FileError) -> Bool {
        guard let bytes = try read(name) else { return !isLive }
        let path = "\(directory)/\(name)"
        guard var reader = SegmentReader(bytes, name: name) else {
            // The last segment of a server that lives may just be made.
            if !(isLast && isLive) { problem(path, 0, "the header is not that of this segment") }
            return true
        }
        if let revision, reader.segment.firstRevision > revision.rawValue + 1 {
            let (file, offset, reason) = lastEnd ?? (path, 0, "")
            problem(
                file, offset,
                "\(reason.isEmpty ? "" : "\(reason): ")revision \(revision) is followed by \(name), which begins at "
                    + "\(reader.segment.firstRevision)")
            self.revision = nil
        }
        if reader.lastRevision == revision?.rawValue, let hash, reader.hash != hash {
            problem(path, 0, "it does not continue what ends at revision \(reader.lastRevision)")
        }
        var seals: Set<UInt16> = []
        while true {
            switch reader.next() {
            case .record(let record, let offset):
                report.records += 1
                if record.keyIdentifier != 0 { seals.insert(record.keyIdentifier) }
                if !record.flags.contains(.durabilityNote) { replay(record, reader.hash, path, offset) }
            case .damaged(let offset, let reason):
                // A record that is just being written looks like that.
                if isLast, isLive { return false }
                problem(path, offset, reason)
                revision = nil
                return count(seals)
            case .end(let offset, let reason, let isTorn):
                lastEnd = (path, offset, reason)
                if isTorn, !isLast { report.notes.append("\(path) holds more than zeros behind its last record") }
                if isTorn, isLast, !isLive {
                    report.notes.append("\(path) ends torn at byte \(offset), which the next start cuts")
                }
                if reader.lastRevision == revision?.rawValue { hash = reader.hash }
                return count(seals)
            }
        }
    }

    private mutating func count(_ seals: Set<UInt16>) -> Bool {
        for identifier in seals { report.filesByKey[identifier, default: 0] += 1 }
        return true
    }

    private mutating func replay(_ record: Record, _ hash: ChainHash, _ path: String, _ offset: Int) {
        guard let before = revision else { return }
        if record.revision == before.rawValue, let known = self.hash, known != hash {
            problem(path, offset, "revision \(before) is not the one that the state was made from")
        }
        guard record.revision == before.rawValue + 1 else { return }
        do throws(StoreError) {
            guard let operations = try TransactionCodec.operations(record, keys: keys) else {
                return problem(path, offset, "the record is whole but holds no transaction")
            }
            for operation in operations { apply(operation, Revision(rawValue: record.revision)) }
        } catch {
            problem(path, offset, error.description, remedy: "")
            revision = nil
            return
        }
        revision = Revision(rawValue: record.revision)
        self.hash = hash
        if report.firstRevision == nil { report.firstRevision = revision }
    }

    private mutating func apply(_ operation: TransactionCodec.Operation, _ revision: Revision) {
        switch operation {
        case .delete(let key): entries[key] = nil
        case .put(let key, let value, let offset, let identifier):
            entries[key] = Entry(
                key: key, value: Bytes(value), createRevision: entries[key]?.createRevision ?? revision,
                modRevision: revision, revisionOffset: offset, keyIdentifier: identifier)
        }
    }

    private mutating func compare(_ expected: [Entry], _ file: String, _ what: String) throws(StoreError) {
        if expected.count != entries.count {
            problem(file, 0, "\(what) has \(expected.count) documents, and replaying the log gives \(entries.count)")
        }
        for entry in expected {
            let found = entries[entry.key]
            if try found?.value != entry.value || found?.modRevision != entry.modRevision
                || found?.createRevision != entry.createRevision || found?.isSealed != entry.isSealed
            {
                return problem(file, 0, "\(what) holds another \(entry.key) than replaying the log gives")
            }
        }
    }

    private mutating func finish(_ live: Keyspace?) {
        report.lastRevision = revision
        report.documents = entries.count
        for entry in entries.values { report.values[entry.keyIdentifier, default: 0] += 1 }
        guard let live, let revision, report.problems.isEmpty else { return }
        do throws(StoreError) {
            let snapshot = try live.snapshot(at: revision)
            try compare(snapshot.list(prefix: []), directory, "the running server at revision \(revision)")
            report.notes.append("compared with the running server at revision \(revision)")
        } catch {
            guard case .compacted = error else { return problem(directory, 0, error.description, remedy: "") }
            report.notes.append("not compared with the running server, which has forgotten revision \(revision)")
        }
    }
}
