package import Seams

/// The end of the log: writes batches of records, each made durable by one sync. Owned by one thread. After an error it
/// refuses everything, because nothing is known of the bytes that were under way.
///
/// A full device is no such error. The room for a batch is on the device, as synced zeros, before anything of the batch
/// is written, so a batch that finds no room leaves the log as it was and may be written later.
package struct LogWriter: Sendable {
    private let directory: String
    private let fileSystem: any FileSystem
    private let configuration: JournalConfiguration
    /// Files that the next segments are written over.
    package let spares: SpareSegments
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
        directory: String, fileSystem: any FileSystem, configuration: JournalConfiguration, spares: SpareSegments,
        file: any File, path: String, offset: Int, filled: Int, lastRevision: UInt64, hash: ChainHash
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.configuration = configuration
        self.spares = spares
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
        let started = try makeRoom(batch.reduce(0) { $0 + RecordFormat.size(payload: $1.payload.count) })
        return try run { (writer: inout LogWriter) throws(FileError) in
            for record in batch { writer.append(record) }
            try writer.writeBuffer()
            try writer.file.sync()
            writer.durable = writer.offset
            writer.noteIsCurrent = false
            return started
        }
    }

    /// Notes how far the log is durable, so that a damaged last record is told from one that was never finished. Cheap:
    /// not synced unless asked for. Without room for it there is none, which is no failure.
    package mutating func noteDurability(synced: Bool) throws(JournalError) {
        if !noteIsCurrent, offset + Self.noteSize > filled {
            do throws(JournalError) { try makeRoomHere(Self.noteSize) } catch {
                if case .noSpace = error { return }
                throw error
            }
        }
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

    /// Puts the buffer behind the last record, into room that was made for it.
    private mutating func writeBuffer() throws(FileError) {
        precondition(offset + buffer.count <= filled, "\(buffer.count) bytes at \(offset), but room to \(filled)")
        try file.write(buffer, at: offset)
        offset += buffer.count
        buffer.removeAll(keepingCapacity: buffer.capacity <= JournalLimits.batchBytes)
    }

    // MARK: Room

    private static let noteSize = RecordFormat.size(payload: 0)

    /// Makes sure that `count` bytes and a note have their place on the device, in the next segment where it is time
    /// for one. Throws `noSpace` where they have not; the log is then as it was.
    private mutating func makeRoom(_ count: Int) throws(JournalError) -> Segment? {
        let needed = count + Self.noteSize
        if offset < configuration.segmentBytes {
            try makeRoomHere(needed)
            return nil
        }
        return try claim { (writer: inout LogWriter) throws(FileError) in try writer.startSegment(room: needed) }
    }

    private mutating func makeRoomHere(_ count: Int) throws(JournalError) {
        if offset + count <= filled { return }
        try claim { (writer: inout LogWriter) throws(FileError) in
            let needed = writer.offset + count
            try Self.roomOrLess(writer.configuration.growthBytes) { ahead throws(FileError) in
                try writer.grow(to: needed + ahead)
            }
        }
    }

    /// Makes room with `ahead` bytes to spare, or with none where the device has not so much.
    private static func roomOrLess<Result>(
        _ ahead: Int, _ make: (Int) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        do throws(FileError) {
            return try make(ahead)
        } catch {
            guard error.code == .noSpace, ahead > 0 else { throw error }
            return try make(0)
        }
    }

    /// Runs what takes room from the device. Having none is the one error after which the log may be written again.
    private mutating func claim<Result>(
        _ body: (inout LogWriter) throws(FileError) -> Result
    ) throws(JournalError) -> Result {
        // A note is part of the chain, and must not be lost in a growth that fails.
        if durable < offset {
            try run { (writer: inout LogWriter) throws(FileError) in
                try writer.file.sync()
                writer.durable = writer.offset
            }
        }
        if let failure { throw failure }
        do {
            return try body(&self)
        } catch {
            if error.code == .noSpace {
                spares.discard()
                throw .noSpace(error)
            }
            failure = .fileSystem(error)
            throw .fileSystem(error)
        }
    }

    private mutating func grow(to size: Int) throws(FileError) {
        do {
            try file.write(Array(repeating: 0, count: size - filled), at: filled)
            try file.sync()
            filled = size
        } catch {
            // Gives back what the device had left. Where this fails there are zeros, as behind every end.
            if error.code == .noSpace { try? file.truncate(to: filled) }
            throw error
        }
    }

    /// Starts the next segment. The one before is durable whole, and the new file's name is durable before a record is.
    private mutating func startSegment(room: Int) throws(FileError) -> Segment {
        if let spare = spares.take() { return try startSegment(over: spare, room: room) }
        let segment = Segment(firstRevision: lastRevision + 1, previous: hash)
        let path = "\(directory)/\(segment.name)"
        return try Self.roomOrLess(configuration.growthBytes) { ahead throws(FileError) in
            do throws(FileError) {
                let next = try Self.create(
                    segment, room: room + ahead, directory: directory, fileSystem: fileSystem)
                goOn(in: next, path, filled: Segment.headerSize + room + ahead)
                return segment
            } catch {
                // Left where it is it would be in the way of the next attempt.
                if error.code == .noSpace, try fileSystem.exists(path) { try fileSystem.remove(path) }
                throw error
            }
        }
    }

    /// Starts the next segment in a file that is on the device whole. It takes its name with the new header in it, so
    /// that no segment ever has an older one.
    private mutating func startSegment(over spare: String, room: Int) throws(FileError) -> Segment {
        let segment = Segment(firstRevision: lastRevision + 1, previous: hash, isRecycled: true)
        let path = "\(directory)/\(segment.name)"
        let next = try fileSystem.open(spare, .readWrite)
        do {
            let size = try next.size()
            let missing = Segment.headerSize + room - size
            if missing > 0 { try next.write(Array(repeating: 0, count: missing), at: size) }
            try next.write(segment.header, at: 0)
            try next.sync()
            try fileSystem.rename(spare, to: path)
            try fileSystem.syncDirectory(directory)
            goOn(in: next, path, filled: max(size, Segment.headerSize + room))
            return segment
        } catch {
            next.close()
            // Left where it is it would be in the way of the next attempt.
            if error.code == .noSpace {
                for file in [spare, path] where try fileSystem.exists(file) { try fileSystem.remove(file) }
            }
            throw error
        }
    }

    private mutating func goOn(in next: any File, _ path: String, filled: Int) {
        file.close()
        file = next
        self.path = path
        offset = Segment.headerSize
        durable = offset
        self.filled = filled
    }

    /// Makes an empty log that begins after `anchor`.
    package static func begin(
        after anchor: LogRecovery.Anchor, directory: String, fileSystem: any FileSystem
    ) throws(FileError) {
        let segment = Segment(firstRevision: anchor.revision + 1, previous: anchor.hash)
        try create(segment, room: 0, directory: directory, fileSystem: fileSystem).close()
    }

    /// The name of the segment that `begin` makes.
    package static func firstSegment(after revision: UInt64) -> String { Segment.name(revision + 1) }

    /// Makes the file of a segment with `room` for records, durable with its name.
    static func create(
        _ segment: Segment, room: Int, directory: String, fileSystem: any FileSystem
    ) throws(FileError) -> any File {
        let file = try fileSystem.open("\(directory)/\(segment.name)", .create(permissions: 0o600))
        do {
            try file.write(segment.header + Array(repeating: 0, count: room), at: 0)
            try file.sync()
            try fileSystem.syncDirectory(directory)
            return file
        } catch {
            file.close()
            throw error
        }
    }
}
