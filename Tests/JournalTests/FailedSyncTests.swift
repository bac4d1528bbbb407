import Journal
import Seams
import Simulation
import Testing

/// A failed sync marks pages clean that the disk does not have. A process that starts again on the same kernel reads
/// them as if nothing were wrong; a power cut later shows what the disk really has.
struct FailedSyncTests {
    private func recover(_ disk: CrashingDisk) throws -> (writer: LogWriter, revisions: [UInt64]) {
        try disk.createDirectory("log", permissions: 0o700)
        try disk.syncDirectory(".")
        var revisions: [UInt64] = []
        let recovered = try LogRecovery.recover(
            directory: "log", fileSystem: disk, configuration: JournalConfiguration(),
            anchor: .init(revision: 1, hash: .origin)
        ) { (record) throws(JournalError) in revisions.append(record.revision) }
        return (recovered.writer, revisions)
    }

    private func record(_ revision: UInt64) -> Record {
        Record(revision: revision, payload: Array(repeating: UInt8(truncatingIfNeeded: revision), count: 700))
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func whatAFailedSyncLeftInMemoryIsWrittenAgain(seed: UInt64) throws {
        let disk = CrashingDisk(random: SeededRandom(seed: seed))
        var (writer, _) = try recover(disk)
        _ = try writer.write([record(2)])
        disk.fail(atOperation: disk.operations + 2, with: .failed(5))
        #expect(throws: JournalError.self) { try writer.write([record(3)]) }

        let sameKernel = disk.copied()
        var (next, revisions) = try recover(sameKernel)
        #expect(revisions == [2, 3])
        _ = try next.write([record(4)])

        #expect(try recover(sameKernel.restarted()).revisions == [2, 3, 4])
    }
}
