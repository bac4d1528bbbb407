package import Seams

/// Reads the log back after any kind of end. Yields every record up to the last whole one; cuts a torn tail, which is
/// what a crash leaves of a batch that no one was told is durable; stops at damage to what was durable.
package struct LogRecovery {
    /// From where on the log is needed: the state before is known from elsewhere.
    package struct Anchor: Sendable {
        package var revision: UInt64
        package var hash: ChainHash
        package init(revision: UInt64, hash: ChainHash) {
            self.revision = revision
            self.hash = hash
        }
    }

    /// The log as it was found, ready to be written on.
    package struct Recovered: Sendable {
        package var writer: LogWriter
        package var lastRevision: UInt64
        /// The segments that were read, in order.
        package var segments: [Segment]
        /// The names of segments before those and of spares, which nothing needs any more.
        package var obsoleteFiles: [String]
        /// What was cut off the end, for the log of the server; `nil` when the end was clean.
        package var cut: String?
    }

    private let directory: String
    private let fileSystem: any FileSystem
    private let configuration: JournalConfiguration
    private let anchor: Anchor
    private let spares: SpareSegments
    private var lastRevision: UInt64 = 0
    private var hash: ChainHash?
    private var obsolete: [String] = []
    private var segments: [Segment] = []
    /// Where the records of the segment read last end.
    private var end = 0

    /// Recovers the log in `directory`, which exists. `apply` gets every transaction after the anchor, in order.
    package static func recover(
        directory: String, fileSystem: any FileSystem, configuration: JournalConfiguration, anchor: Anchor,
        apply: (Record) throws(JournalError) -> Void
    ) throws(JournalError) -> Recovered {
        var recovery = LogRecovery(
            directory: directory, fileSystem: fileSystem, configuration: configuration, anchor: anchor)
        return try recovery.run(apply)
    }

    private init(directory: String, fileSystem: any FileSystem, configuration: JournalConfiguration, anchor: Anchor) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.configuration = configuration
        self.anchor = anchor
        spares = SpareSegments(directory: directory, fileSystem: fileSystem)
    }

    private mutating func run(_ apply: (Record) throws(JournalError) -> Void) throws(JournalError) -> Recovered {
        let all = try files { () throws(FileError) in try fileSystem.list(directory) }
        obsolete = all.filter { $0.hasSuffix(SpareSegments.suffix) }
        var names = all.filter { Segment.firstRevision(ofName: $0) != nil }
        try removeTornSegment(&names)
        if names.isEmpty { return try begin() }
        guard let start = names.lastIndex(where: { (Segment.firstRevision(ofName: $0) ?? .max) <= anchor.revision + 1 })
        else {
            throw damage(names[0], 0, "the log starts here, but revision \(anchor.revision + 1) is needed first")
        }
        obsolete += names[..<start]
        for name in names[start..<names.count - 1] { _ = try read(name, isLast: false, apply) }
        let end = try read(names[names.count - 1], isLast: true, apply)
        return try finish(end)
    }

    /// Removes a last segment whose creation was cut short. Its header is durable before any record is, so without a
    /// whole header and without a whole record there was never anything in it.
    private func removeTornSegment(_ names: inout [String]) throws(JournalError) {
        guard let name = names.last else { return }
        let bytes = try files { () throws(FileError) in try fileSystem.readFile(path(name)) }
        try checkVersion(name, bytes)
        if Segment(header: bytes) != nil
            || RecordFormat.intactRecord(
                in: bytes, from: Segment.headerSize, durableBeyond: -1, first: Segment.firstRevision(ofName: name) ?? 0)
                != nil
        {
            return
        }
        if names.count == 1, anchor.revision > 1 {
            throw damage(name, 0, "the header of the only segment is not whole")
        }
        try files { () throws(FileError) in
            try fileSystem.remove(path(name))
            try fileSystem.syncDirectory(directory)
        }
        names.removeLast()
    }

    /// Starts a log where there is none.
    private func begin() throws(JournalError) -> Recovered {
        if anchor.revision > 1 {
            throw damage(Segment.name(anchor.revision + 1), 0, "the log after revision \(anchor.revision) is missing")
        }
        let segment = Segment(firstRevision: anchor.revision + 1, previous: anchor.hash)
        let file = try files { () throws(FileError) in
            try LogWriter.create(segment, room: 0, directory: directory, fileSystem: fileSystem)
        }
        let writer = LogWriter(
            directory: directory, fileSystem: fileSystem, configuration: configuration, spares: spares,
            file: file,
            path: path(segment.name),
            offset: Segment.headerSize, filled: Segment.headerSize, lastRevision: anchor.revision, hash: anchor.hash)
        return Recovered(
            writer: writer, lastRevision: anchor.revision, segments: [segment], obsoleteFiles: obsolete, cut: nil)
    }

    /// Where a segment's records end.
    private struct End {
        var name: String
        var offset: Int
        var size: Int
        /// Bytes other than zero follow: what a crash left, or what the file held before it was recycled.
        var isDirty: Bool
        /// A crash left some of those.
        var isTorn: Bool
        /// How far the segment is known to be on disk.
        var durable: Int
        /// What was read from there to the end of the records.
        var tail: ArraySlice<UInt8>
    }

    private mutating func read(
        _ name: String, isLast: Bool, _ apply: (Record) throws(JournalError) -> Void
    ) throws(JournalError) -> End {
        let bytes = try files { () throws(FileError) in try fileSystem.readFile(path(name)) }
        let segment = try readHeader(name, bytes)
        var offset = Segment.headerSize
        var durable = 0
        while true {
            switch RecordFormat.read(bytes, at: offset, first: segment.firstRevision) {
            case .record(let record, let header, let next):
                try follow(record, header, name, offset)
                durable = min(header.durable, offset)
                if !record.flags.contains(.durabilityNote), record.revision > anchor.revision { try apply(record) }
                offset = next
            case .none(let reason):
                if isLast,
                    let later = RecordFormat.intactRecord(
                        in: bytes, from: offset, durableBeyond: offset, first: segment.firstRevision)
                {
                    throw damage(name, offset, "\(reason), but the record at byte \(later) says that it was durable")
                }
                end = min(offset, bytes.count)
                let isDirty = isLast && bytes[end...].contains { $0 != 0 }
                return End(
                    name: name, offset: end, size: bytes.count, isDirty: isDirty,
                    isTorn: isDirty && RecordFormat.isTorn(bytes, at: end, segment: segment), durable: durable,
                    tail: bytes[durable..<end])
            }
        }
    }

    /// A segment of a newer version is not damage, and not ours to remove.
    private func checkVersion(_ name: String, _ bytes: [UInt8]) throws(JournalError) {
        guard let version = Segment.version(ofHeader: bytes), version > Segment.recycledVersion else { return }
        throw .newer(file: path(name), version: version, supported: Segment.recycledVersion)
    }

    private mutating func readHeader(_ name: String, _ bytes: [UInt8]) throws(JournalError) -> Segment {
        try checkVersion(name, bytes)
        guard let segment = Segment(header: bytes), segment.name == name else {
            throw damage(name, 0, "the header is not that of this segment")
        }
        if let hash {
            guard segment.firstRevision == lastRevision + 1, segment.previous == hash else {
                throw damage(
                    segments.last?.name ?? name, end,
                    "it ends at revision \(lastRevision), and \(name) does not continue it: records are missing")
            }
        } else if segment.firstRevision == anchor.revision + 1, segment.previous != anchor.hash {
            throw damage(name, 0, "it does not continue the state at revision \(anchor.revision)")
        }
        hash = segment.previous
        lastRevision = segment.firstRevision - 1
        segments.append(segment)
        return segment
    }

    /// Checks that a whole record belongs behind the one before.
    private mutating func follow(
        _ record: Record, _ header: RecordFormat.Header, _ name: String, _ offset: Int
    ) throws(JournalError) {
        let isNote = record.flags.contains(.durabilityNote)
        guard header.previous == hash, record.revision == lastRevision + (isNote ? 0 : 1) else {
            throw damage(
                name, offset, "the record of revision \(record.revision) does not follow revision \(lastRevision)")
        }
        hash = header.hash
        lastRevision = record.revision
        if !isNote, record.revision == anchor.revision, header.hash != anchor.hash {
            throw damage(name, offset, "revision \(record.revision) is not the one the state was made from")
        }
    }

    /// Cuts what a crash left behind the last whole record, and makes durable what was only written. That is written
    /// once more: after a failed sync the kernel may hold it as clean although the disk does not have it, and a sync
    /// alone would then do nothing.
    private func finish(_ end: End) throws(JournalError) -> Recovered {
        guard let hash else { preconditionFailure("a log was read without a header") }
        if lastRevision < anchor.revision {
            throw damage(
                end.name, end.offset, "the log ends at revision \(lastRevision), before its state at \(anchor.revision)"
            )
        }
        let file = try files { () throws(FileError) in
            let file = try fileSystem.open(path(end.name), .readWrite)
            if end.isDirty { try file.truncate(to: end.offset) }
            try file.write(Array(end.tail), at: end.durable)
            try file.sync()
            try fileSystem.syncDirectory(directory)
            return file
        }
        let writer = LogWriter(
            directory: directory, fileSystem: fileSystem, configuration: configuration, spares: spares,
            file: file,
            path: path(end.name),
            offset: end.offset, filled: end.isDirty ? end.offset : end.size, lastRevision: lastRevision, hash: hash)
        let cut = end.isTorn ? "\(end.size - end.offset) bytes after byte \(end.offset) of \(path(end.name))" : nil
        return Recovered(
            writer: writer, lastRevision: lastRevision, segments: segments, obsoleteFiles: obsolete, cut: cut)
    }

    private func path(_ name: String) -> String { "\(directory)/\(name)" }

    private func damage(_ name: String, _ offset: Int, _ reason: String) -> JournalError {
        .damaged(file: path(name), offset: offset, reason: reason)
    }
}
