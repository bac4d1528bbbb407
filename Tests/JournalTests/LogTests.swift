import Seams
import Simulation
import Testing

@testable import Journal

/// Records go in, and the same records come out, whatever the end was.
struct LogTests {
    private let disk = CrashingDisk(random: SeededRandom(seed: 1))

    private static var small: JournalConfiguration {
        var configuration = JournalConfiguration()
        configuration.segmentBytes = 4096
        configuration.growthBytes = 1024
        return configuration
    }

    private func recover(
        _ disk: CrashingDisk, from anchor: LogRecovery.Anchor = .init(revision: 1, hash: .origin)
    ) throws -> (LogRecovery.Recovered, [Record]) {
        try disk.createDirectory("log", permissions: 0o700)
        var records: [Record] = []
        let recovered = try LogRecovery.recover(
            directory: "log", fileSystem: disk, configuration: Self.small, anchor: anchor
        ) { (record) throws(JournalError) in records.append(record) }
        return (recovered, records)
    }

    private static func record(_ revision: UInt64) -> Record {
        Record(
            revision: revision, keyIdentifier: 7,
            payload: Array("revision \(revision)".utf8) + Array(repeating: 9, count: 90))
    }

    private func write(_ revisions: ClosedRange<UInt64>, to disk: CrashingDisk) throws {
        var (recovered, _) = try recover(disk)
        for revision in revisions { _ = try recovered.writer.write([Self.record(revision)]) }
        try recovered.writer.noteDurability(synced: true)
    }

    @Test func recordsComeBackAcrossSegments() throws {
        try write(2...100, to: disk)
        let (recovered, records) = try recover(disk)
        #expect(records == (2...100).map(Self.record))
        #expect(recovered.lastRevision == 100)
        #expect(recovered.segments.count > 2)
        #expect(recovered.cut == nil)
    }

    @Test func aLogContinuesWhereItEnded() throws {
        try write(2...10, to: disk)
        try write(11...20, to: disk)
        #expect(try recover(disk).1 == (2...20).map(Self.record))
    }

    @Test func aTornTailIsCut() throws {
        try write(2...10, to: disk)
        let path = "log/0000000000000002.log"
        disk.alter(path) { bytes in
            let end = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
            bytes.removeSubrange(((end + 511) / 512 * 512)...)
            // The beginning of a record that never was finished.
            bytes += [0xF5, 0x45, 0x53, 0x50, 1, 0, 0, 0, 200, 0, 0, 0] + Array(repeating: 3, count: 100)
        }
        let (recovered, records) = try recover(disk)
        #expect(records == (2...10).map(Self.record))
        #expect(recovered.cut != nil)
        #expect(try recover(disk).0.cut == nil)
    }

    @Test func damageBeforeAnIntactRecordStopsWithFileAndOffset() throws {
        try write(2...10, to: disk)
        let path = "log/0000000000000002.log"
        disk.alter(path) { $0[600] ^= 1 }
        let error = #expect(throws: JournalError.self) { try recover(disk) }
        guard case .damaged(let file, let offset, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(file == path)
        #expect(offset == 512)
    }

    @Test func aDamagedLastRecordIsToldFromATornOne() throws {
        try write(2...10, to: disk)
        let path = "log/0000000000000002.log"
        disk.alter(path) { bytes in
            let text = Array("revision 10".utf8)
            let at = bytes.indices.last { bytes[$0...].starts(with: text) }
            bytes[at ?? 0] ^= 1
        }
        #expect(throws: JournalError.self) { try recover(disk) }
    }

    @Test func aMissingSegmentIsNoticed() throws {
        try write(2...100, to: disk)
        let names = try disk.list("log")
        try disk.remove("log/\(names[1])")
        #expect(throws: JournalError.self) { try recover(disk) }
    }

    @Test func aNewerFormatIsRefusedAndLeftAlone() throws {
        try write(2...10, to: disk)
        let path = "log/0000000000000002.log"
        disk.alter(path) { bytes in
            // No record of ours is in it, as in what a crash leaves of a new segment.
            bytes = Segment(firstRevision: 2, previous: .origin).header(version: 3) + Array(repeating: 7, count: 4000)
        }
        let error = #expect(throws: JournalError.self) { try recover(disk) }
        guard case .newer(path, 3, 2) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try disk.exists(path))
    }

    @Test func afterAnErrorNothingIsWrittenAgain() throws {
        try write(2...5, to: disk)
        var (recovered, _) = try recover(disk)
        disk.fail(atOperation: disk.operations + 2, with: .failed(5))
        #expect(throws: JournalError.self) { try recovered.writer.write([Self.record(6)]) }
        let operations = disk.operations
        #expect(throws: JournalError.self) { try recovered.writer.write([Self.record(6)]) }
        #expect(disk.operations == operations)
    }
}
