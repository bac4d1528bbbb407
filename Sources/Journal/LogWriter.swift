internal import Seams

/// The end of the log: writes batches of records, each made durable by one sync. Owned by one thread. After an error it
/// refuses everything, because nothing is known of the bytes that were under way.
package struct LogWriter: Sendable {
    private let directory: String
    private let fileSystem: any FileSystem
    private let configuration: JournalConfiguration
    private var file: any File
    private var path: String
    /// Where the next record goes.
    private var offset: Int
    /// How far the segment is on disk.
    private var durable: Int
    /// Size of the file; zeros from `offset` on.
    private var filled: Int
    private var lastRevision: UInt64
    private var hash: ChainHash
    private var failure: JournalError?
    /// What the next write takes to the file; kept for its memory.
    private var buffer: [UInt8] = []
    private var noteIsCurrent = false

    /// A writer at the end of an existing segment, all of which is durable.
    init(
        directory: String, fileSystem: any FileSystem, configuration: JournalConfiguration, file: any File,
        path: String,
        offset: Int, filled: Int, lastRevision: UInt64, hash: ChainHash
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.configuration = configuration
        self.file = file
        self.path = path
        self.offset = offset
        self.durable = offset
        self.filled = filled
        self.lastRevision = lastRevision
        self.hash = hash
    }

    /// Writes `batch` and returns when it is durable. Returns the segment that was started for it, if one was.
    package mutating func write(_ batch: ArraySlice<Record>) throws(JournalError) -> Segment? {
        try run { (writer: inout LogWriter) throws(FileError) in
            let started = writer.offset >= writer.configuration.segmentBytes ? try writer.startSegment() : nil
            for record in batch { writer.append(record) }
            try writer.writeBuffer()
            try writer.file.sync()
            writer.durable = writer.offset
            writer.noteIsCurrent = false
            return started
        }
    }

    /// Notes how far the log is durable, so that a damaged last record is told from one that was never finished. Cheap:
    /// not synced unless asked for.
    package mutating func noteDurability(synced: Bool) throws(JournalError) {
        try run { (writer: inout LogWriter) throws(FileError) in
            if !writer.noteIsCurrent {
                writer.append(Record(revision: writer.lastRevision, flags: .durabilityNote, payload: []))
                try writer.writeBuffer()
                writer.noteIsCurrent = true
            }
            if synced {
                try writer.file.sync()
                writer.durable = writer.offset
            }
        }
    }

    package func close() { file.close() }

    private mutating func run<Result>(
        _ body: (inout LogWriter) throws(FileError) -> Result
    ) throws(JournalError) -> Result {
        if let failure { throw failure }
        do {
            return try body(&self)
        } catch {
            failure = .fileSystem(error)
            throw .fileSystem(error)
        }
    }

    private mutating func append(_ record: Record) {
        let follows = record.flags.contains(.durabilityNote) ? lastRevision : lastRevision + 1
        precondition(record.revision == follows, "record \(record.revision) after \(lastRevision)")
        hash = RecordFormat.append(record, durable: durable, previous: hash, to: &buffer)
        lastRevision = record.revision
    }

    /// Puts the buffer behind the last record, with zeros behind it when the file must grow anyway.
    private mutating func writeBuffer() throws(FileError) {
        let end = offset + buffer.count
        if end > filled {
            filled = configuration.growthBytes == 0 ? end : end + configuration.growthBytes
            buffer.append(contentsOf: repeatElement(0, count: filled - end))
        }
        try file.write(buffer, at: offset)
        offset = end
        buffer.removeAll(keepingCapacity: buffer.capacity <= JournalLimits.batchBytes)
    }

    /// Starts the next segment. The one before is durable whole, and the new file's name is durable before a record is.
    private mutating func startSegment() throws(FileError) -> Segment {
        // A note at its end is part of the chain that the new header continues.
        if durable < offset { try file.sync() }
        let segment = Segment(firstRevision: lastRevision + 1, previous: hash)
        let path = "\(directory)/\(segment.name)"
        let next = try Self.create(segment, directory: directory, fileSystem: fileSystem)
        file.close()
        file = next
        self.path = path
        offset = Segment.headerSize
        durable = offset
        filled = offset
        return segment
    }

    static func create(_ segment: Segment, directory: String, fileSystem: any FileSystem) throws(FileError) -> any File
    {
        let file = try fileSystem.open("\(directory)/\(segment.name)", .create(permissions: 0o600))
        try file.write(segment.header, at: 0)
        try file.sync()
        try fileSystem.syncDirectory(directory)
        return file
    }
}
