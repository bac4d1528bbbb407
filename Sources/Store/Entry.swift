/// What the store holds under one key at one revision. Immutable; snapshots, history and watches share it.
package final class Entry: Sendable {
    package let key: StoreKey
    package let value: Bytes
    /// When the key came to be; it starts anew after a deletion.
    package let createRevision: Revision
    package let modRevision: Revision
    /// Where in `value` the digits of `modRevision` stand.
    package let revisionOffset: Int?
    /// Sealed on disk: clear only in memory.
    package let isSealed: Bool

    package init(
        key: StoreKey, value: Bytes, createRevision: Revision, modRevision: Revision, revisionOffset: Int?,
        isSealed: Bool
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.revisionOffset = revisionOffset
        self.isSealed = isSealed
    }

    /// Bytes of key and value.
    var size: Int { key.bytes.count + value.count }

    /// The value with another revision's digits where its own stand; the value itself when it holds none.
    func value(at revision: Revision) -> Bytes {
        guard let offset = revisionOffset else { return value }
        let end = offset + modRevision.digits.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(value.count + 2)
        bytes.append(contentsOf: value.array[..<offset])
        bytes.append(contentsOf: revision.digits)
        bytes.append(contentsOf: value.array[end...])
        return Bytes(bytes)
    }
}

/// One key's change in one revision, as a watch delivers it.
package struct Change: Sendable {
    package enum Kind: Sendable { case put, delete }
    package let revision: Revision
    package let key: StoreKey
    /// The new value. For a deletion the last one, with the digits of the deletion's revision in it.
    package let value: Bytes
    /// What stood there after the change; `nil` for a deletion.
    package let entry: Entry?
    /// What stood there before; `nil` when the change created the key.
    package let previousEntry: Entry?

    package var kind: Kind { entry == nil ? .delete : .put }
    package var previous: Bytes? { previousEntry?.value }
    package var isCreate: Bool { previousEntry == nil }
    package var createRevision: Revision { entry?.createRevision ?? previousEntry?.createRevision ?? revision }
}
