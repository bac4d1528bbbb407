internal import Synchronization

/// One key's change in one revision, as a watch delivers it. What was written stays in memory as long as the change is
/// remembered, so a watch waits for no disk; what was deleted may have to be read from there.
package struct Change: Sendable {
    package enum Kind: Sendable { case put, delete }

    package let revision: Revision
    package let key: StoreKey
    /// What stood there after the change; `nil` for a deletion.
    package let entry: Entry?
    /// What stood there before; `nil` when the change created the key.
    package let previousEntry: Entry?
    /// What a put wrote; `nil` for a deletion.
    let written: Bytes?
    private let forms = SharedForms()

    init(put value: Bytes, _ entry: Entry, key: StoreKey, over previous: Entry?) {
        revision = entry.modRevision
        self.key = key
        self.entry = entry
        previousEntry = previous
        written = value
    }

    init(deleting previous: Entry, key: StoreKey, revision: Revision) {
        self.revision = revision
        self.key = key
        entry = nil
        previousEntry = previous
        written = nil
    }

    /// The new value. For a deletion the last one, with the digits of the deletion's revision in it.
    package var value: Bytes {
        get throws(StoreError) {
            if let written { return written }
            guard let previousEntry else { preconditionFailure("a deletion of nothing at revision \(revision)") }
            return try forms.lastValue(of: previousEntry, at: revision)
        }
    }

    package var kind: Kind { entry == nil ? .delete : .put }
    package var previous: Bytes? { get throws(StoreError) { try previousEntry?.value } }
    package var isCreate: Bool { previousEntry == nil }
    package var createRevision: Revision { entry?.createRevision ?? previousEntry?.createRevision ?? revision }

    /// What `make` makes of this change, made for the first who asks. All who ask must want the same; whoever asks for
    /// something of another type has it made anew.
    package func shared<Value: Sendable, Failure: Error>(
        _ make: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        if let value = forms.encoded as? Value { return value }
        let value = try make()
        forms.keep(value)
        return value
    }
}

/// What is made of a change once, for the first who asks, and shared with all others who watch it.
private final class SharedForms: Sendable {
    private struct Forms: Sendable {
        var lastValue: Bytes?
        var encoded: (any Sendable)?
    }

    private let forms = Mutex(Forms())

    /// The value a deletion delivers.
    func lastValue(of entry: Entry, at revision: Revision) throws(StoreError) -> Bytes {
        if let value = forms.withLock({ $0.lastValue }) { return value }
        let value = try entry.value(at: revision)
        forms.withLock { $0.lastValue = value }
        return value
    }

    var encoded: (any Sendable)? { forms.withLock { $0.encoded } }
    func keep(_ encoded: any Sendable) { forms.withLock { $0.encoded = encoded } }
}
