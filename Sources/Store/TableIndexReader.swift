internal import Journal

/// Walks over the index of a table, in the order of its keys, holding one block of it.
struct TableIndexReader {
    let table: Table
    /// Where the reader stands; `nil` before the first `advance` and behind the last.
    private(set) var item: TableItem?
    private var block: [UInt8] = []
    private var key = 0..<0
    /// Where the next item of the block is.
    private var position = 0
    private var left: UInt32 = 0
    /// Where the next block is.
    private var nextBlock = TableFormat.headerSize
    private var seen = 0

    init(_ table: Table) { self.table = table }

    func withKey<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        block.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[key])) }
    }

    mutating func advance() throws(StoreError) {
        while left == 0 {
            if position != block.count { throw damaged("the block before does not end with its last item") }
            guard nextBlock < table.footer.indexEnd else {
                item = nil
                if seen != table.footer.entries + table.footer.tombstones {
                    throw damaged("the index holds \(seen) items, not what the footer says")
                }
                return
            }
            try readBlock()
        }
        guard let (item, key) = block.withUnsafeBytes({ TableFormat.item($0, at: position) }) else {
            throw damaged("the block before does not hold its items")
        }
        (self.item, self.key) = (item, key)
        position = key.upperBound
        left -= 1
        seen += 1
    }

    private mutating func readBlock() throws(StoreError) {
        let header = try table.read(at: nextBlock, count: TableFormat.blockHeaderSize)
        let (length, count, checksum) = header.withUnsafeBytes {
            (
                Int($0.integer(at: 0, as: UInt32.self)), $0.integer(at: 4, as: UInt32.self),
                $0.integer(at: 8, as: UInt64.self)
            )
        }
        let start = nextBlock + TableFormat.blockHeaderSize
        guard count > 0, start + length <= table.footer.indexEnd else { throw damaged("no index block is here") }
        block = try table.read(at: start, count: length)
        let seed = TableFormat.blockSeed(offset: nextBlock, count: count)
        guard block.withUnsafeBytes({ Checksum.of($0, seed: seed) }) == checksum else {
            throw damaged("the index block does not match its checksum")
        }
        (position, left) = (0, count)
        nextBlock = start + length
    }

    private func damaged(_ reason: String) -> StoreError { .damagedFile(table.path, nextBlock, reason) }
}

/// The newest item of every key over tables that follow each other, in the order of keys.
struct TableUnion {
    private var readers: [TableIndexReader]
    /// Readers that stand on an item, by key, the newest table first where keys are equal.
    private var queue: [Int] = []
    /// Readers that stood on the last key.
    private var consumed: [Int] = []

    /// `tables` from old to new.
    init(_ tables: [Table]) {
        readers = tables.map { TableIndexReader($0) }
        consumed = Array(readers.indices)
    }

    /// The table, as its position, and the item of the next key; `nil` at the end. The key is `key(of:)` it until then.
    mutating func next() throws(StoreError) -> (table: Int, item: TableItem)? {
        for reader in consumed {
            try readers[reader].advance()
            if readers[reader].item != nil { enqueue(reader) }
        }
        consumed.removeAll(keepingCapacity: true)
        guard let winner = queue.first, let item = readers[winner].item else { return nil }
        var equal = 1
        while equal < queue.count, order(queue[equal], winner) == 0 { equal += 1 }
        consumed.append(contentsOf: queue[..<equal])
        queue.removeFirst(equal)
        return (winner, item)
    }

    func withKey<Result>(of table: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        readers[table].withKey(body)
    }

    /// A reader mostly goes on where it stood, at the front.
    private mutating func enqueue(_ reader: Int) {
        let place = queue.firstIndex { other in
            let order = order(reader, other)
            return order < 0 || order == 0 && reader > other
        }
        queue.insert(reader, at: place ?? queue.endIndex)
    }

    private func order(_ left: Int, _ right: Int) -> Int {
        readers[left].withKey { a in readers[right].withKey { b in StoreKey.order(a, b) } }
    }
}

extension Table {
    /// The live entries of all tables, from old to new, in the order of keys. Values stay where they are.
    static func load(_ tables: [Table]) throws(StoreError) -> [Entry] {
        var entries: [Entry] = []
        entries.reserveCapacity(tables.reduce(0) { $0 + $1.footer.entries })
        var union = TableUnion(tables)
        while let (table, item) = try union.next() {
            if item.isTombstone { continue }
            let count = Int(item.payload) - (item.isSealed ? SealingKeys.overhead : 0)
            let place = ValuePlace(
                value: .table(tables[table]), offset: item.offset, keyIdentifier: item.keyIdentifier)
            guard count >= 0 else {
                throw .damagedFile(tables[table].path, 0, "a sealed value is shorter than its seal")
            }
            entries.append(
                union.withKey(of: table) { key in
                    Entry(
                        key: key, createRevision: Revision(rawValue: item.createRevision),
                        modRevision: Revision(rawValue: item.modRevision),
                        revisionOffset: item.revisionOffset == EntryHeader.noOffset ? nil : Int(item.revisionOffset),
                        isSealed: item.isSealed, count: count, place: place)
                })
        }
        return entries
    }
}
