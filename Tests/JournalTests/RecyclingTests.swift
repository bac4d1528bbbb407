import Seams
import Simulation
import Testing

@testable import Journal

/// Segments are written over the files of older ones. What those held is never taken for a part of the log.
struct RecyclingTests {
    @Test func aFullCircleOfFilesComesBackWhole() throws {
        var log = RecycledLog(seed: 1)
        try log.write(200)
        #expect(log.recycled > 5)
        #expect(try log.disk.list("log").count { $0.hasSuffix(SpareSegments.suffix) } <= JournalLimits.spareSegments)
        let recovered = try log.check("a process that ended", in: log.disk.copied())
        // What is behind the end is of an older use, and nothing that a crash left.
        #expect(recovered.segments.last?.isRecycled == true)
        #expect(recovered.cut == nil)
    }

    @Test func aCutAtAnyPointLosesNothing() throws {
        var whole = RecycledLog(seed: 2)
        try whole.write(120)
        var (crashes, recycled) = (0, 0)
        for point in 1...whole.disk.operations {
            var log = RecycledLog(seed: UInt64(point))
            log.disk.crash(atOperation: point)
            do { try log.write(120) } catch { crashes += 1 }
            let disk = log.disk.restarted()
            let recovered = try log.check("crash at operation \(point)", in: disk)
            if recovered.segments.last?.isRecycled == true { recycled += 1 }
        }
        #expect(crashes == whole.disk.operations)
        #expect(recycled > 100)
    }

    @Test func aRecordThatWasBegunInARecycledFileIsCut() throws {
        var log = RecycledLog(seed: 3)
        try log.write(200)
        let disk = log.disk.copied()
        let recovered = try log.check("before", in: disk.copied())
        let path = "log/\(recovered.segments.last?.name ?? "")"
        let end = try log.end(of: path, in: disk)
        disk.alter(path) { bytes in
            var record: [UInt8] = []
            _ = RecordFormat.append(
                RecycledLog.record(log.acknowledged + 1), durable: end, previous: .origin, to: &record)
            bytes.replaceSubrange(end..<end + 100, with: record[..<100])
        }
        #expect(try log.check("a torn record", in: disk).cut != nil)
    }

    @Test func damageInARecycledFileIsNoTornTail() throws {
        var log = RecycledLog(seed: 4)
        try log.write(200)
        for segment in try log.disk.list("log").filter({ $0.hasSuffix(".log") }) {
            let disk = log.disk.copied()
            // The first byte of the first payload: records follow that say it was durable.
            disk.alter("log/\(segment)") { $0[Segment.headerSize + RecordFormat.headerSize] ^= 1 }
            #expect(throws: JournalError.self, "\(segment)") { try log.recover(disk) }
        }
    }

    @Test func aFileThatIsWrittenOverWhileItIsReadIsNotTheSegment() throws {
        var log = RecycledLog(seed: 5)
        try log.write(40)
        let disk = log.disk
        let name = try #require(try disk.list("log").first { $0.hasSuffix(".log") })
        #expect(try SpareSegments.read("log/\(name)", disk) != nil)
        let meddling = RenamingFileSystem(disk) { try? disk.rename("log/\(name)", to: "log/\(name).spare") }
        #expect(try SpareSegments.read("log/\(name)", meddling) == nil)
    }

    @Test func aFullDeviceGetsTheSparesBack() throws {
        var log = RecycledLog(seed: 6)
        try log.write(120)
        #expect(try log.disk.list("log").contains { $0.hasSuffix(SpareSegments.suffix) })
        log.disk.limit(bytes: log.disk.contents.reduce(0) { $0 + $1.bytes.count })
        let path = "log/\(try #require(try log.disk.list("log").last { $0.hasSuffix(".log") }))"
        let room = try log.disk.readFile(path).count - log.end(of: path, in: log.disk)
        let large = Record(revision: log.acknowledged + 1, payload: Array(repeating: 1, count: room + 200))
        #expect(throws: JournalError.self) { _ = try log.writer?.write([large]) }
        #expect(try !log.disk.list("log").contains { $0.hasSuffix(SpareSegments.suffix) })
        _ = try log.writer?.write([large])
        #expect(try log.recover(log.disk.copied()).lastRevision == large.revision)
    }
}

/// A log whose oldest segments are retired as new ones begin, and what it was told is durable.
private struct RecycledLog {
    let disk: CrashingDisk
    var writer: LogWriter?
    private var segments: [Segment] = []
    private(set) var acknowledged: UInt64 = 1
    private(set) var recycled = 0
    private var anchor = LogRecovery.Anchor(revision: 1, hash: .origin)

    init(seed: UInt64) { disk = CrashingDisk(random: SeededRandom(seed: seed)) }

    static func record(_ revision: UInt64) -> Record {
        Record(revision: revision, payload: Array(repeating: UInt8(truncatingIfNeeded: revision), count: 150))
    }

    func recover(
        _ disk: CrashingDisk, _ apply: (Record) -> Void = { _ in }
    ) throws -> LogRecovery.Recovered {
        try disk.createDirectory("log", permissions: 0o700)
        try disk.syncDirectory(FilePath.parent(of: "log"))
        var configuration = JournalConfiguration()
        configuration.segmentBytes = 2048
        configuration.growthBytes = 512
        let recovered = try LogRecovery.recover(
            directory: "log", fileSystem: disk, configuration: configuration, anchor: anchor
        ) { (record) throws(JournalError) in apply(record) }
        for name in recovered.obsoleteFiles { try disk.remove("log/\(name)") }
        return recovered
    }

    /// Writes batches of one to three records; three segments stay, as if a table held the rest.
    mutating func write(_ count: UInt64) throws {
        let recovered = try recover(disk)
        writer = recovered.writer
        segments = recovered.segments
        while acknowledged < count {
            let batch = (1...(1 + acknowledged % 3)).map { Self.record(acknowledged + $0) }
            if let started = try writer?.write(batch[...]) {
                segments.append(started)
                if started.isRecycled { recycled += 1 }
            }
            acknowledged += UInt64(batch.count)
            try writer?.noteDurability(synced: false)
            guard segments.count > 4 else { continue }
            anchor = .init(revision: segments[2].firstRevision - 1, hash: segments[2].previous)
            try writer?.spares.retire(segments[..<2].map(\.name))
            segments.removeFirst(2)
        }
    }

    /// Recovers twice: everything acknowledged is there, in order and as it was written, and then it can be written on.
    @discardableResult
    func check(_ what: Comment, in disk: CrashingDisk) throws -> LogRecovery.Recovered {
        var records: [Record] = []
        var recovered = try recover(disk) { records.append($0) }
        let first = recovered
        #expect(first.lastRevision >= acknowledged, what)
        var next = first.lastRevision
        if anchor.revision < next {
            #expect(records == ((anchor.revision + 1)...next).map(Self.record), what)
        }
        for _ in 0..<20 {
            next += 1
            _ = try recovered.writer.write([Self.record(next)])
        }
        records = []
        _ = try recover(disk) { records.append($0) }
        #expect(records == ((anchor.revision + 1)...next).map(Self.record), what)
        return first
    }

    func end(of path: String, in disk: CrashingDisk) throws -> Int {
        let bytes = try disk.readFile(path)
        var reader = try #require(SegmentReader(bytes, name: FilePath.lastPart(of: path)))
        while case .record = reader.next() {}
        return reader.offset
    }
}

/// Does something behind each reading.
private struct RenamingFileSystem: FileSystem {
    let disk: CrashingDisk
    let afterReading: @Sendable () -> Void

    init(_ disk: CrashingDisk, _ afterReading: @escaping @Sendable () -> Void) {
        self.disk = disk
        self.afterReading = afterReading
    }

    private struct ReadFile: File {
        let file: any File
        let afterReading: @Sendable () -> Void
        func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
            defer { afterReading() }
            return try file.read(at: offset, count: count)
        }
        func write(_ bytes: [UInt8], at offset: Int) throws(FileError) { try file.write(bytes, at: offset) }
        func sync() throws(FileError) { try file.sync() }
        func truncate(to size: Int) throws(FileError) { try file.truncate(to: size) }
        func size() throws(FileError) -> Int { try file.size() }
        func close() { file.close() }
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        ReadFile(file: try disk.open(path, mode), afterReading: afterReading)
    }
    func createDirectory(_ path: String, permissions: UInt32) throws(FileError) {
        try disk.createDirectory(path, permissions: permissions)
    }
    func list(_ directory: String) throws(FileError) -> [String] { try disk.list(directory) }
    func exists(_ path: String) throws(FileError) -> Bool { try disk.exists(path) }
    func rename(_ source: String, to destination: String) throws(FileError) {
        try disk.rename(source, to: destination)
    }
    func remove(_ path: String) throws(FileError) { try disk.remove(path) }
    func syncDirectory(_ path: String) throws(FileError) { try disk.syncDirectory(path) }
    func lock(_ path: String) throws(FileError) -> any FileLock { try disk.lock(path) }
}
