import Documents
import Journal
import Seams
import Simulation
import Store
import Testing

/// Power cuts under a store and under its copy, each on a disk of its own.
struct CrashReplicaTests {
    private let keys = SealingKeys.ephemeral()
    /// Operations from one crash point to the next: one from `CRASH_SCALE=6` on.
    private static let step = max(1, 7 - (Int(CrashTests.environment("CRASH_SCALE") ?? "1") ?? 1))
    private func disk(_ seed: Int = 1) -> CrashingDisk { CrashingDisk(random: SeededRandom(seed: UInt64(seed))) }
    private func folder(_ disk: CrashingDisk) -> ReplicaFolder { ReplicaFolder(path: "copy", fileSystem: disk) }

    /// Power fails under the copy at every step of it. What a pass has told to be copied is there, and nothing but the
    /// store's own past; and the copy goes on with the next pass.
    @Test func whatWasToldToBeCopiedIsThereWhereverTheTargetIsCut() throws {
        var crashes = 0
        for point in stride(from: 1, through: .max, by: Self.step) {
            var target = disk(point)
            target.crash(atOperation: point)
            var (told, hasCut) = (Revision.empty, false)
            var source = try CopiedStore(disk(), keys: keys, target: SwitchedTarget { folder(target) })
            for number in 0..<90 {
                try source.write(number)
                if number % 3 != 2 { continue }
                do { told = try source.pass(number) } catch is StoreError {}
                if target.hasCrashed {
                    target = target.restarted()
                    (crashes, hasCut) = (crashes + 1, true)
                    if told > .empty {
                        let found = try restoreCopy(folder(target), keys: keys)
                        #expect(found.revision >= told, "crash at \(point)")
                        #expect(found.contents == source.past[found.revision], "crash at \(point)")
                    }
                }
            }
            #expect(try source.pass(100) == source.store.durableRevision, "crash at \(point)")
            #expect(try restoreCopy(folder(target), keys: keys).contents == source.past[source.store.durableRevision])
            if !hasCut { break }
        }
        print("replica: the target cut at \(crashes) points")
        #expect(crashes > 50)
    }

    /// The server is killed, or its power fails, at any step of store and copy; the next one goes on.
    @Test func aSourceThatIsCutGoesOn() throws {
        var crashes = 0
        for point in stride(from: 3, through: 700, by: 1 + Self.step) {
            let target = disk()
            var left = disk(point)
            left.crash(atOperation: point)
            var past: [Revision: [StoreKey: [UInt8]]] = [:]
            for life in 0..<2 {
                // Creating the store may be cut short too.
                guard var source = try? CopiedStore(left, keys: keys, target: folder(target)) else {
                    left = left.restarted()
                    continue
                }
                for number in 0..<60 {
                    do {
                        try source.write(life * 60 + number)
                        if number % 3 == 0 { _ = try source.pass(life * 60 + number) }
                    } catch is StoreError { break }
                }
                past.merge(source.past) { $1 }
                if left.hasCrashed {
                    crashes += 1
                    left = left.restarted()
                } else {
                    #expect(try source.pass(1000) == source.store.durableRevision, "crash at \(point)")
                    let found = try restoreCopy(folder(target), keys: keys)
                    #expect(found.contents == past[source.store.durableRevision], "crash at \(point)")
                }
            }
        }
        print("replica: the source cut at \(crashes) points")
        #expect(crashes > 40)
    }
}
