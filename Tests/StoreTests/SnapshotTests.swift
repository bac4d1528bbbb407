import Documents
import Seams
import Simulation
import Store
import Testing

/// A snapshot is one revision, now or in the past, and never changes.
struct SnapshotTests {
    @Test func aSnapshotDoesNotSeeLaterWrites() throws {
        let store = try newStore()
        try store.put(key("a"), "1")
        let before = store.snapshot(.sequenced)
        try store.put(key("a"), "2")
        try store.put(key("b"), "3")
        #expect(try before.list(prefix: []).map { String(decoding: try $0.value.array, as: UTF8.self) } == ["1"])
    }

    @Test func listsKeepToTheirPrefixAndContinueBehindAKey() throws {
        let store = try newStore()
        for name in ["c", "a", "b"] { try store.put(key(name), name) }
        try store.put(key("a", namespace: "default2"), "other")
        try store.put(key("a", namespace: "defaul"), "other")
        try store.put(key("a", GroupResource(group: "", resource: "configmaps2")), "other")
        let prefix = StoreKey.prefix(configMaps, namespace: "default")
        let snapshot = store.snapshot(.sequenced)
        #expect(snapshot.list(prefix: prefix).map(\.key) == ["a", "b", "c"].map { key($0) })
        #expect(snapshot.count(prefix: prefix) == 3)
        #expect(snapshot.count(prefix: StoreKey.prefix(configMaps)) == 5)
        let page = snapshot.list(prefix: prefix, after: nil, limit: 2)
        #expect(page.count == 2)
        #expect(snapshot.list(prefix: prefix, after: page[1].key, limit: 2).map(\.key) == [key("c")])
        #expect(snapshot.count(prefix: prefix, after: page[1].key) == 1)
        #expect(snapshot.count(prefix: prefix, after: key("aa")) == 2)
        #expect(snapshot.count(prefix: prefix, after: key("x", secrets)) == 0)
        #expect(snapshot.list(prefix: prefix, after: key("aa")).map(\.key) == [key("b"), key("c")])
    }

    @Test func thePastIsReadUntilItIsCompacted() throws {
        let store = try newStore()
        for number in 2...300 { try store.put(key("k\(number % 7)"), "\(number)") }
        store.flush()
        for number in [2, 3, 63, 64, 65, 128, 200, 299, 300] {
            let snapshot = try store.snapshot(at: Revision(rawValue: UInt64(number)))
            #expect(snapshot.get(key("k\(number % 7)"))?.modRevision.rawValue == UInt64(number))
            #expect(snapshot.count(prefix: []) == min(number - 1, 7))
        }
        store.compact(to: Revision(rawValue: 100))
        #expect(throws: StoreError.self) { try store.snapshot(at: Revision(rawValue: 99)) }
        #expect(try store.snapshot(at: Revision(rawValue: 100)).get(key("k2"))?.modRevision.rawValue == 100)
        #expect(throws: StoreError.self) { try store.snapshot(at: Revision(rawValue: 301)) }
    }

    @Test func historyIsForgottenByAgeAndByNumber() throws {
        let clock = StillClock()
        let disk = CrashingDisk(random: SeededRandom(seed: 1))
        let store = try Keyspace.simulated(on: disk, clock: clock) { $0.historyRevisions = 100 }
        for number in 0..<500 {
            try store.put(key("a"), "\(number)")
            store.flush()
        }
        #expect(store.sequencedRevision.rawValue - store.compactedRevision.rawValue <= 111)
        clock.advance(.seconds(400))
        try store.put(key("a"), "last")
        store.flush()
        #expect(store.sequencedRevision.rawValue - store.compactedRevision.rawValue <= 1)
    }

    /// The index against a plain dictionary, over random inserts and removals.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func theIndexAgreesWithAModel(seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        let store = try newStore()
        var model: [String: String] = [:]
        for step in 0..<3000 {
            let name = "n\(random.next(below: 400))"
            // Growing first, then shrinking to nothing, so that nodes split and merge.
            if random.next(below: 3000) > step {
                model[name] = "\(step)"
                try store.put(key(name), "\(step)")
            } else {
                model[name] = nil
                _ = try store.commit(Transaction(operations: [.delete(key(name))]))
            }
            guard step % 250 == 0 else { continue }
            let expected = model.keys.sorted { key($0) < key($1) }
            let snapshot = store.snapshot(.sequenced)
            #expect(snapshot.list(prefix: []).map(\.key) == expected.map { key($0) })
            let prefix = StoreKey.prefix(configMaps, namespace: "default") + Array("n1".utf8)
            #expect(snapshot.count(prefix: prefix) == expected.count { $0.hasPrefix("n1") })
            for name in expected { #expect(try store.text(key(name)) == model[name]) }
        }
    }
}
