internal import Journal
internal import Seams

/// A table to be written: of the changes of some whole segments, after which those are not needed.
struct DueTable: Sendable {
    let range: RevisionRange
    /// The log's hash at the end of the range.
    let hash: ChainHash
    let notes: [UntabledChanges.Note]
    let obsoleteSegments: [String]
}

extension Table {
    /// Writes a new table. Afterwards the values of its entries are in it and no longer in memory.
    static func write(
        _ due: DueTable, directory: String, fileSystem: any FileSystem, keys: KeyRing
    ) throws(StoreError) -> Table {
        let items = UntabledChanges.items(due.notes, after: due.range.first)
        var builder = try TableBuilder(due.range, hash: due.hash, directory: directory, fileSystem: fileSystem)
        let (table, places): (Table, [ValuePlace])
        do throws(StoreError) {
            (table, places) = try write(items, with: &builder, keys)
        } catch {
            builder.abandon()
            throw error
        }
        for (item, place) in zip(items, places) { item.entry?.move(to: place) }
        return table
    }

    private static func write(
        _ items: [(key: StoreKey, entry: Entry?, revision: Revision)], with builder: inout TableBuilder,
        _ ring: KeyRing
    ) throws(StoreError) -> (Table, [ValuePlace]) {
        let keys = ring.keys
        var offsets: [(UInt32, UInt16)] = []
        offsets.reserveCapacity(items.count)
        // Made once: the length of a sealed value is known before, the key it is sealed with may change.
        var sealed: [[UInt8]] = []
        for (key, entry, revision) in items {
            var item = TableItem(
                isSealed: false, isTombstone: true, keyIdentifier: 0, createRevision: 0,
                modRevision: revision.rawValue, offset: 0, payload: 0, revisionOffset: EntryHeader.noOffset)
            if let entry {
                item.isTombstone = false
                item.createRevision = entry.createRevision.rawValue
                item.revisionOffset = entry.revisionOffset.map { UInt32($0) } ?? EntryHeader.noOffset
                item.payload = UInt32(payload(entry))
                if entry.isSealed {
                    item.isSealed = true
                    item.keyIdentifier = keys.current
                    sealed.append(try keys.seal(try entry.value.array, key: key, revision: revision))
                }
            }
            let offset = try key.bytes.span.withUnsafeBytes { bytes throws(StoreError) in
                try builder.append(item, key: bytes)
            }
            offsets.append((offset, item.keyIdentifier))
        }
        try builder.beginData()
        var nextSealed = sealed.makeIterator()
        for (_, entry, revision) in items {
            guard let entry else { continue }
            let payload = entry.isSealed ? nextSealed.next() ?? [] : try entry.value.array
            try builder.append(payload: payload, revision: revision)
        }
        let table = try builder.finish(keys: ring)
        return (table, offsets.map { ValuePlace(value: .table(table), offset: $0.0, keyIdentifier: $0.1) })
    }
}
