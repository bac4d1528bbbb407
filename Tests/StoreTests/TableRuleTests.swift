import Documents
import Testing

@testable import Store

/// The rules behind tables, which need no disk.
struct TableRuleTests {
    private func range(_ first: UInt64, _ last: UInt64) -> RevisionRange {
        RevisionRange(first: Revision(rawValue: first), last: Revision(rawValue: last))
    }

    @Test func checksumsAreThoseOfXXH64() {
        func sum(_ text: String) -> UInt64 { Array(text.utf8).withUnsafeBytes { Checksum.of($0, seed: 0) } }
        // The values of the reference implementation.
        #expect(sum("") == 0xEF46_DB37_51D8_E999)
        #expect(sum("abc") == 0x44BC_2CF5_AD77_0999)
        #expect(sum("Nobody inspects the spammish repetition") == 0xFBCE_A83C_8A37_8BF1)
    }

    @Test func namesSayTheRange() {
        let name = TableFormat.name(range(1, 300))
        #expect(name == "0000000000000001-000000000000012c.table")
        #expect(TableFormat.range(ofName: name) == range(1, 300))
        #expect(TableFormat.range(ofName: "0000000000000300-000000000000012c.table") == nil)
        #expect(TableFormat.range(ofName: name + ".tmp") == nil)
        #expect(TableFormat.range(ofName: "0000000000000001.log") == nil)
    }

    @Test func tablesFormAChain() throws {
        let chain = try TableChain([range(1, 10), range(1, 30), range(10, 30), range(30, 40), range(40, 55)])
        #expect(chain.ranges == [range(1, 30), range(30, 40), range(40, 55)])
        #expect(chain.obsolete == [range(1, 10), range(10, 30)])
        #expect(throws: TableChain.Gap.self) { try TableChain([range(1, 10), range(20, 30)]) }
        #expect(throws: TableChain.Gap.self) { try TableChain([range(10, 20)]) }
    }

    @Test func eightOfASizeBecomeOne() {
        let policy = MergePolicy(segmentBytes: 50)
        let small = [Int](repeating: 90, count: 8)
        #expect(policy.run(sizes: Array(small.dropLast()), live: 1000) == nil)
        #expect(policy.run(sizes: small, live: 1000) == 0..<8)
        // The larger one is left alone until there are eight of its size.
        #expect(policy.run(sizes: [780, 90, 90], live: 1000) == nil)
        #expect(policy.run(sizes: [780] + small, live: 1000) == 1..<9)
        let larger = [Int](repeating: 780, count: 7)
        #expect(policy.run(sizes: larger + [90, 90], live: 9000) == nil)
        #expect(policy.run(sizes: [50_000] + larger + [410, 90], live: 90_000) == 1..<10)
    }

    @Test func muchThatIsDeadBecomesOne() {
        let policy = MergePolicy(segmentBytes: 50)
        #expect(policy.run(sizes: [1000, 500], live: 1000) == nil)
        #expect(policy.run(sizes: [1000, 1100], live: 1000) == nil)
        #expect(policy.run(sizes: [1000, 1200], live: 1000) == 0..<2)
        // There is nothing to merge one table with.
        #expect(policy.run(sizes: [1000], live: 10) == nil)
    }

    /// Many tables of the smallest size, one after the other: few remain, and each byte is copied a few times.
    @Test func fewTablesRemain() {
        let policy = MergePolicy(segmentBytes: 1)
        var sizes: [Int] = []
        var copied = 0
        for _ in 0..<4096 {
            sizes.append(2)
            while let run = policy.run(sizes: sizes, live: sizes.reduce(0, +)) {
                let size = sizes[run].reduce(0, +)
                copied += size
                sizes.replaceSubrange(run, with: [size])
            }
            #expect(sizes.count <= 4 * MergePolicy.width)
        }
        #expect(copied <= 8192 * 5)
    }

    @Test func aTableHoldsTheNewestOfEachKeyAndTheDeletionsOlderTablesNeed() {
        func entry(_ name: String, _ revision: UInt64, created: UInt64) -> UntabledChanges.Note {
            .put(
                Entry(
                    key: key(name), value: Bytes([1]), createRevision: Revision(rawValue: created),
                    modRevision: Revision(rawValue: revision), revisionOffset: nil, keyIdentifier: 0))
        }
        func deletion(_ name: String, _ revision: UInt64, created: UInt64) -> UntabledChanges.Note {
            .delete(key(name), created: Revision(rawValue: created), revision: Revision(rawValue: revision))
        }
        let items = UntabledChanges.items(
            [
                entry("updated", 11, created: 5), entry("updated", 12, created: 5), deletion("old", 13, created: 5),
                entry("fleeting", 14, created: 14), deletion("fleeting", 15, created: 14),
                deletion("again", 16, created: 5), entry("again", 17, created: 17), deletion("again", 18, created: 17),
                deletion("back", 19, created: 5), entry("back", 20, created: 20), .superseded(Revision(rawValue: 21)),
            ], after: Revision(rawValue: 10))
        #expect(items.map(\.key.objectKey.name) == ["again", "back", "old", "updated"])
        #expect(items.map { $0.entry != nil } == [false, true, false, true])
        #expect(items.map(\.revision.rawValue) == [18, 20, 13, 12])
    }
}
