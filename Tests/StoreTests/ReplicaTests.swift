import Documents
import Journal
import Seams
import Simulation
import Store
import Testing

/// A copy elsewhere holds what was durable at its last pass, never more, and becomes a store again at any point of it.
struct ReplicaTests {
    private let keys = SealingKeys.ephemeral()
    private func disk(_ seed: Int = 1) -> CrashingDisk { CrashingDisk(random: SeededRandom(seed: UInt64(seed))) }
    private func folder(_ disk: CrashingDisk) -> ReplicaFolder { ReplicaFolder(path: "copy", fileSystem: disk) }

    @Test func everyPointOfACopyCanBeRestored() throws {
        let target = disk()
        var source = try CopiedStore(disk(), keys: keys, target: folder(target))
        var passes: [(second: Int, revision: Revision)] = []
        for number in 0..<400 {
            try source.write(number)
            if number % 5 == 4 {
                let copied = try source.pass(number)
                #expect(copied == source.store.durableRevision)
                passes.append((number, copied))
            }
        }
        let names = try target.list("copy")
        for kind in ["table-", "segment-", "tail-", "times-"] {
            #expect(names.contains { $0.hasPrefix(kind) }, "\(kind)")
        }
        #expect(source.store.statistics.merges > 0)
        for (revision, contents) in source.past where revision.rawValue % 7 == 0 || revision.rawValue < 5 {
            let found = try restoreCopy(folder(target), until: .revision(revision), keys: keys)
            #expect(found.revision == revision)
            #expect(found.contents == contents, "revision \(revision)")
        }
        for (second, revision) in passes where second % 3 == 0 {
            for later in [0, 4] {
                let point = ReplicaPoint.time(CopiedStore.time(second + later))
                let found = try restoreCopy(folder(target), until: point, keys: keys)
                #expect(found.revision == revision, "second \(second + later)")
                #expect(found.contents == source.past[revision])
            }
        }
        #expect(try restoreCopy(folder(target), keys: keys).revision == source.store.durableRevision)
        let early = #expect(throws: StoreError.self) {
            try restoreCopy(folder(target), until: .time(CopiedStore.time(1)), keys: keys)
        }
        #expect(early?.description.contains("nothing that was copied by 2027-01-15T08:00:01Z") == true)
        let late = #expect(throws: StoreError.self) {
            try restoreCopy(folder(target), until: .revision(Revision(rawValue: 9999)), keys: keys)
        }
        #expect(late?.description.contains("holds nothing of revision 9999: it ends at") == true)
    }

    @Test func whatIsNotDurableIsNotCopied() throws {
        let target = disk()
        var source = try CopiedStore(disk(), keys: keys, target: folder(target))
        for number in 0..<10 { try source.write(number) }
        let early = Revision(rawValue: 6)
        #expect(try source.passLog(0, durable: early) == early)
        #expect(try restoreCopy(folder(target), keys: keys).contents == source.past[early])
        #expect(try source.pass(1) == source.store.durableRevision)
    }

    @Test func aFullTargetIsSaidAndGoesOnWhenThereIsSpace() throws {
        let target = disk()
        var source = try CopiedStore(disk(), keys: keys, target: folder(target))
        for number in 0..<40 { try source.write(number) }
        target.limit(bytes: 3000)
        let error = #expect(throws: StoreError.self) { try source.pass(0) }
        #expect(error?.description.hasPrefix("no space on the device") == true)
        #expect(try target.list("copy").allSatisfy { !$0.hasSuffix(".tmp") })
        target.limit(bytes: .max)
        #expect(try source.pass(1) == source.store.durableRevision)
        #expect(try restoreCopy(folder(target), keys: keys).contents == source.past[source.store.durableRevision])
    }

    @Test func aCopyOfAnotherStoreIsNotMixedWithThisOne() throws {
        let target = disk()
        var source = try CopiedStore(disk(), keys: keys, target: folder(target))
        for number in 0..<10 { try source.write(number) }
        _ = try source.pass(0)
        var stranger = try CopiedStore(disk(2), keys: keys, identity: 2, target: folder(target))
        let before = target.contents.map(\.bytes)
        for number in 0..<200 {
            try stranger.write(number)
            if number % 50 != 0 { continue }
            let error = #expect(throws: StoreError.self) { try stranger.pass(1) }
            #expect(error?.description.contains("another store") == true)
        }
        let isUnchanged = target.contents.map(\.bytes) == before
        #expect(isUnchanged)
    }

    /// A restored store goes on in the place of the one it was restored from, and both pasts stay.
    @Test func theNextLifeIsCopiedToTheSamePlace() throws {
        let target = disk()
        var source = try CopiedStore(disk(), keys: keys, target: folder(target))
        for number in 0..<60 {
            try source.write(number)
            _ = try source.pass(0)
        }
        let last = source.store.durableRevision
        let next = disk(5)
        _ = try ReplicaRestoration.restore(
            folder(target), named: "the copy", until: .revision(Revision(rawValue: 40)), to: "data", fileSystem: next,
            clock: StillClock(), keys: keys)
        var second = try CopiedStore(next, keys: keys, identity: 2, target: folder(target))
        for number in 60..<90 { try second.write(number) }
        let copied = try second.pass(10)
        #expect(copied == second.store.durableRevision)
        #expect(try restoreCopy(folder(target), keys: keys).contents == second.past[copied])
        let found = try restoreCopy(folder(target), until: .revision(last), keys: keys)
        #expect(found.contents == source.past[last], "what the restore left behind is not lost")
        let early = try restoreCopy(folder(target), until: .time(CopiedStore.time(5)), keys: keys)
        #expect(early.contents == source.past[last])
        // The life before is over: should its server come back, it does not write there any more.
        try source.write(1)
        let error = #expect(throws: StoreError.self) { try source.pass(100) }
        #expect(error?.description.contains("another store is copied to this place") == true)
    }

    @Test func aDataDirectoryThatWasPutBackIsToldFromTheStore() throws {
        let target = disk()
        var source = try CopiedStore(disk(), keys: keys, target: folder(target))
        for number in 0..<20 { try source.write(number) }
        _ = try source.pass(0)
        let backup = source.disk.copied()
        for number in 20..<30 { try source.write(number) }
        _ = try source.pass(1)
        var old = try CopiedStore(backup, keys: keys, target: folder(target))
        let error = #expect(throws: StoreError.self) { try old.pass(2) }
        #expect(error?.description.contains("the copy is ahead of this store: it holds revision") == true)
        // It has gone on meanwhile, and another way.
        for number in 50..<70 { try old.write(number) }
        let other = #expect(throws: StoreError.self) { try old.pass(3) }
        #expect(other?.description.contains("holds other bytes than this store") == true)
        #expect(try restoreCopy(folder(target), keys: keys).contents == source.past[source.store.durableRevision])
    }

    @Test func whatIsKeptIsBoundedByTime() throws {
        let target = disk()
        var source = try CopiedStore(disk(), keys: keys, kept: .seconds(50), target: folder(target))
        var counts: [Int] = []
        var copied: [Int: Revision] = [:]
        for number in 0..<900 {
            try source.write(number)
            if number % 2 == 0 { copied[number] = try source.pass(number) }
            if number % 100 == 99 { counts.append(try target.list("copy").count) }
        }
        #expect(counts.max() ?? 0 < 60, "\(counts)")
        for second in [850, 870, 890, 898] {
            let found = try restoreCopy(folder(target), until: .time(CopiedStore.time(second)), keys: keys)
            #expect(found.revision == copied[second])
            #expect(found.contents == source.past[found.revision])
        }
        let error = #expect(throws: StoreError.self) {
            try restoreCopy(folder(target), until: .revision(Revision(rawValue: 100)), keys: keys)
        }
        #expect(error?.description.contains("cannot be restored at revision 100") == true)
    }

    @Test func aDamagedCopyIsRefusedAndLeavesNothing() throws {
        let target = disk()
        var source = try CopiedStore(disk(), keys: keys, target: folder(target))
        for number in 0..<120 { try source.write(number) }
        _ = try source.pass(0)
        var refused = 0
        for name in try target.list("copy") where !name.hasPrefix("times-") && !name.hasPrefix("owner-") {
            let damaged = target.copied()
            damaged.alter("copy/\(name)") { $0[$0.count / 2] ^= 4 }
            let new = disk(3)
            do {
                _ = try ReplicaRestoration.restore(
                    folder(damaged), named: "the copy", until: .newest, to: "new", fileSystem: new,
                    clock: StillClock(), keys: keys)
            } catch {
                refused += 1
                #expect(try new.list("new/log").isEmpty)
                continue
            }
            let store = try CopiedStore.open(new, keys, "new")
            #expect(try CopiedStore.contents(store.snapshot(.durable)) == source.past[source.store.durableRevision])
        }
        #expect(refused >= 2)
        let gone = #expect(throws: StoreError.self) { try restoreCopy(folder(disk()), keys: keys) }
        #expect(gone?.description.contains("holds no copy of a store") == true)
        #expect(throws: StoreError.self) { try restoreCopy(folder(target), keys: .ephemeral()) }
    }
}
