import Documents
import Store
import Testing

/// One transaction is one revision, all of it or nothing.
struct CommitTests {
    @Test func revisionsCountFromOneWithoutGap() throws {
        let store = try newStore()
        #expect(store.sequencedRevision == Revision(rawValue: 1))
        #expect(try store.put(key("a"), "1") == Revision(rawValue: 2))
        #expect(try store.put(key("b"), "2") == Revision(rawValue: 3))
    }

    @Test func severalOperationsAreOneRevision() throws {
        let store = try newStore()
        let revision = try store.commit(Transaction(operations: [put(key("a"), "1"), put(key("b"), "2")]))
        let snapshot = store.snapshot(.sequenced)
        #expect(snapshot.revision == revision)
        #expect(snapshot.get(key("a"))?.modRevision == revision)
        #expect(snapshot.get(key("b"))?.createRevision == revision)
    }

    @Test func anUpdateKeepsTheCreateRevisionAndARecreationDoesNot() throws {
        let store = try newStore()
        let created = try store.put(key("a"), "1")
        try store.put(key("a"), "2")
        #expect(store.snapshot(.sequenced).get(key("a"))?.createRevision == created)
        _ = try store.commit(Transaction(operations: [.delete(key("a"))]))
        let again = try store.put(key("a"), "3")
        #expect(store.snapshot(.sequenced).get(key("a"))?.createRevision == again)
    }

    @Test func aFailedConditionChangesNothing() throws {
        let store = try newStore()
        let revision = try store.put(key("a"), "1")
        let stale = Transaction(
            conditions: [.unchanged(key("a"), Revision(rawValue: 1))],
            operations: [put(key("a"), "2"), put(key("b"), "2")])
        let error = #expect(throws: StoreError.self) { try store.commit(stale) }
        guard case .conditionFailed(let failed, let current) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(failed == key("a"))
        #expect(current?.modRevision == revision)
        #expect(try store.text(key("a")) == "1")
        #expect(try store.text(key("b")) == nil)
        #expect(store.sequencedRevision == revision)
    }

    @Test func conditionsSeeWhatIsSequencedBeforeItIsDurable() throws {
        let store = try newStore()
        let revision = try store.put(key("a"), "1")
        #expect(store.durableRevision < revision)
        #expect(throws: StoreError.self) {
            try store.commit(Transaction(conditions: [.absent(key("a"))], operations: [put(key("a"), "2")]))
        }
        _ = try store.commit(
            Transaction(conditions: [.unchanged(key("a"), revision)], operations: [put(key("a"), "2")]))
        #expect(try store.text(key("a")) == "2")
        #expect(try store.text(key("a"), .durable) == nil)
        store.flush()
        #expect(try store.text(key("a"), .durable) == "2")
    }

    @Test func theRevisionIsWrittenIntoTheValue() throws {
        let store = try newStore()
        let text = #"{"metadata":{"resourceVersion":""}}"#
        let offset = 33 - 1
        for _ in 0..<12 {
            let operation = Transaction.Operation.put(
                key("a"), value: Array(text.utf8), revisionOffset: offset, sealed: false)
            let revision = try store.commit(Transaction(operations: [operation]))
            #expect(try store.text(key("a")) == #"{"metadata":{"resourceVersion":"\#(revision)"}}"#)
        }
        let cursor = try store.watch(prefixes: [[]], after: store.sequencedRevision, visibility: .sequenced)
        let deletion = try store.commit(Transaction(operations: [.delete(key("a"))]))
        let value = try cursor.poll().map { String(decoding: try $0.value.array, as: UTF8.self) }
        #expect(value == [#"{"metadata":{"resourceVersion":"\#(deletion)"}}"#])
    }

    @Test func deletingNothingTakesNoRevision() throws {
        let store = try newStore()
        let revision = try store.put(key("a"), "1")
        #expect(try store.commit(Transaction(operations: [.delete(key("b"))])) == revision)
    }

    @Test func malformedTransactionsAreRefused() throws {
        let store = try newStore()
        let refused: [[Transaction.Operation]] = [
            [put(key("a"), "1"), put(key("a"), "2")],
            [put(StoreKey(bytes: Array("no parts".utf8)), "1")],
            [put(key("nul\0inside"), "1")],
            [put(key(String(repeating: "x", count: 2000)), "1")],
            [.put(key("a"), value: [1, 2], revisionOffset: 3, sealed: false)],
            [
                .put(
                    key("a"), value: Array(repeating: 0, count: StoreLimits.valueBytes + 1), revisionOffset: nil,
                    sealed: false)
            ],
        ]
        for operations in refused {
            #expect(throws: StoreError.self) { try store.commit(Transaction(operations: operations)) }
        }
        #expect(store.sequencedRevision == .empty)
    }

    @Test func keysCompareAsBytes() throws {
        let store = try newStore()
        // Swift calls these two equal: é in one scalar, and e with a combining accent.
        try store.put(key("\u{e9}"), "one")
        try store.put(key("e\u{301}"), "two")
        #expect(try store.text(key("\u{e9}")) == "one")
        #expect(try store.text(key("e\u{301}")) == "two")
    }
}
