import Seams
import Simulation
import Testing

/// The simulated disk does to a program what power cuts do, and never what they cannot do; without this, campaigns on
/// it would show nothing.
struct CrashingDiskTests {
    /// What the crashes of many seeds left of two files of eight sectors, one synced before and both written over.
    private func outcomes(_ seeds: ClosedRange<UInt64>) throws -> [(synced: [UInt8], names: Set<String>, file: [UInt8])]
    {
        try seeds.map { seed in
            let disk = CrashingDisk(random: SeededRandom(seed: seed))
            try disk.createDirectory("d", permissions: 0o700)
            try disk.syncDirectory(".")
            let file = try disk.open("d/file", .create(permissions: 0o600))
            try file.write(Array(repeating: 1, count: 4096), at: 0)
            try file.sync()
            let synced = try disk.open("d/synced", .create(permissions: 0o600))
            try synced.write(Array(repeating: 7, count: 4096), at: 0)
            try synced.sync()
            try disk.syncDirectory("d")
            // From here on nothing is synced.
            try file.write(Array(repeating: 2, count: 2048), at: 0)
            try file.write(Array(repeating: 3, count: 2048), at: 2048)
            try file.write(Array(repeating: 4, count: 2048), at: 4096)
            _ = try disk.open("d/new", .create(permissions: 0o600))
            try disk.rename("d/new", to: "d/renamed")
            let after = disk.restarted()
            return (
                try after.readFile("d/synced"), Set(try after.list("d")), try after.readFile("d/file")
            )
        }
    }

    @Test func unsyncedSectorsAreLostTornAndReorderedAndRenamesUndone() throws {
        let all = try outcomes(1...400)
        func count(_ holds: ((synced: [UInt8], names: Set<String>, file: [UInt8])) -> Bool) -> Int {
            all.count(where: holds)
        }
        func sector(_ file: [UInt8], _ number: Int) -> Set<UInt8> {
            Set(file.dropFirst(number * 512).prefix(512))
        }
        let lost = count { outcome in (0..<4).contains { sector(outcome.file, $0) == [1] } }
        let kept = count { sector($0.file, 0) == [2] }
        let torn = count { outcome in
            (0..<8).contains { sector(outcome.file, $0).contains(1) && sector(outcome.file, $0).count == 2 }
        }
        let reordered = count { outcome in
            (0..<4).contains { sector(outcome.file, $0) == [1] } && (4..<8).contains { sector(outcome.file, $0) == [3] }
        }
        let garbage = count { outcome in (8..<12).contains { sector(outcome.file, $0).count > 2 } }
        let shorter = count { $0.file.count == 4096 }
        let undone = count { !$0.names.contains("renamed") && $0.names.contains("new") }
        let neither = count { !$0.names.contains("renamed") && !$0.names.contains("new") }
        let done = count { $0.names.contains("renamed") && !$0.names.contains("new") }
        print(
            """
            crashing disk, 400 crashes: lost \(lost), kept \(kept), torn \(torn), reordered \(reordered), garbage \
            \(garbage), shorter \(shorter), rename undone \(undone), creation undone \(neither), rename kept \(done)
            """)
        for number in [lost, kept, torn, reordered, garbage, shorter, undone, neither, done] { #expect(number > 4) }
    }

    @Test func whatWasSyncedIsNeverTouched() throws {
        for outcome in try outcomes(1...400) {
            #expect(outcome.synced == Array(repeating: 7, count: 4096))
            #expect(outcome.names.isSuperset(of: ["file", "synced"]))
            // A sector holds what was synced or what was written over it, and nothing else.
            for (index, byte) in outcome.file.prefix(4096).enumerated() {
                #expect(byte == 1 || byte == (index < 2048 ? 2 : 3), "byte \(index) is \(byte)")
            }
        }
    }
}
