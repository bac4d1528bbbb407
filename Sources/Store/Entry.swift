internal import Synchronization

/// What the store holds under one key at one revision. Snapshots, history and watches share it. It never changes, but
/// for where its value is: in memory until a table holds it, in the table from then on, in another after a merge.
///
/// One allocation holds everything with the key's bytes behind it: a million of these is what a big store costs.
package struct Entry: @unchecked Sendable {
    // SAFETY: all but `value`, `offset` and `keyIdentifier` of the header never changes; those are read and written
    // under the entry's lock (`EntryLocks`) alone.
    private let storage: EntryStorage

    init(
        key: UnsafeRawBufferPointer, createRevision: Revision, modRevision: Revision, revisionOffset: Int?,
        isSealed: Bool, count: Int, place: ValuePlace
    ) {
        let buffer = EntryStorage.create(minimumCapacity: key.count) { _ in
            EntryHeader(
                value: place.value, createRevision: createRevision.rawValue, modRevision: modRevision.rawValue,
                offset: place.offset, count: UInt32(count),
                revisionOffset: revisionOffset.map { UInt32($0) } ?? EntryHeader.noOffset,
                keyCount: UInt16(key.count), keyIdentifier: place.keyIdentifier, isSealed: isSealed)
        }
        buffer.withUnsafeMutablePointerToElements { bytes in
            UnsafeMutableRawBufferPointer(start: bytes, count: key.count).copyMemory(from: key)
        }
        storage = unsafeDowncast(buffer, to: EntryStorage.self)
    }

    /// An entry whose value is in memory.
    init(
        key: StoreKey, value: Bytes, createRevision: Revision, modRevision: Revision, revisionOffset: Int?,
        keyIdentifier: UInt16
    ) {
        self = key.bytes.withUnsafeBytes { bytes in
            Entry(
                key: bytes, createRevision: createRevision, modRevision: modRevision, revisionOffset: revisionOffset,
                isSealed: keyIdentifier != 0, count: value.count,
                place: ValuePlace(value: .memory(value), keyIdentifier: keyIdentifier))
        }
    }

    package var key: StoreKey { withKey { StoreKey(bytes: Array($0)) } }
    /// When the key came to be; it starts anew after a deletion.
    package var createRevision: Revision { Revision(rawValue: header { $0.pointee.createRevision }) }
    package var modRevision: Revision { Revision(rawValue: header { $0.pointee.modRevision }) }
    /// Sealed on disk: clear only in memory.
    package var isSealed: Bool { header { $0.pointee.isSealed } }
    /// The key that seals it on disk, in the file that holds it now; 0 where it is there in clear.
    package var keyIdentifier: UInt16 { place.keyIdentifier }
    /// Bytes of the value.
    package var count: Int { Int(header { $0.pointee.count }) }
    /// Where in the value the digits of `modRevision` stand.
    package var revisionOffset: Int? {
        let offset = header { $0.pointee.revisionOffset }
        return offset == EntryHeader.noOffset ? nil : Int(offset)
    }

    /// The value, which is read from its table when it is not in memory. Fails when the disk does, or does not hold
    /// what was written.
    package var value: Bytes {
        get throws(StoreError) {
            let place = place
            switch place.value {
            case .memory(let bytes): return bytes
            case .table(let table): return try table.value(of: self, at: place)
            }
        }
    }

    /// Whether the value takes memory; if not, it is in a table.
    package var isInMemory: Bool {
        if case .memory = place.value { return true }
        return false
    }

    /// The value with another revision's digits where its own stand; the value itself when it holds none.
    func value(at revision: Revision) throws(StoreError) -> Bytes {
        let value = try value
        guard let offset = revisionOffset else { return value }
        let end = offset + modRevision.digits.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(value.count + 2)
        bytes.append(contentsOf: value.array[..<offset])
        bytes.append(contentsOf: revision.digits)
        bytes.append(contentsOf: value.array[end...])
        return Bytes(bytes)
    }

    // MARK: Key and place

    func withKey<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        storage.withUnsafeMutablePointers { header, bytes in
            body(UnsafeRawBufferPointer(start: bytes, count: Int(header.pointee.keyCount)))
        }
    }

    /// Negative, zero or positive as this entry's key sorts before, with or after `key`.
    func order(_ key: UnsafeRawBufferPointer) -> Int { withKey { StoreKey.order($0, key) } }

    /// Bytes of key and value.
    var size: Int { header { Int($0.pointee.count) + Int($0.pointee.keyCount) } }

    var place: ValuePlace {
        EntryLocks.withLock(of: storage) { storage in
            storage.withUnsafeMutablePointerToHeader {
                ValuePlace(
                    value: $0.pointee.value, offset: $0.pointee.offset, keyIdentifier: $0.pointee.keyIdentifier)
            }
        }
    }

    /// Says that the value is elsewhere from now on. What held it before is let go.
    func move(to place: ValuePlace) {
        let before = EntryLocks.withLock(of: storage) { storage in
            storage.withUnsafeMutablePointerToHeader { header in
                let before = header.pointee.value
                header.pointee.value = place.value
                header.pointee.offset = place.offset
                header.pointee.keyIdentifier = place.keyIdentifier
                return before
            }
        }
        withExtendedLifetime(before) {}
    }

    private func header<Result>(_ body: (UnsafeMutablePointer<EntryHeader>) -> Result) -> Result {
        storage.withUnsafeMutablePointerToHeader(body)
    }

    static func === (left: Entry, right: Entry) -> Bool { left.storage === right.storage }
}

/// Where the value of an entry is.
struct ValuePlace: Sendable {
    enum Value: Sendable {
        case memory(Bytes)
        case table(Table)
    }

    var value: Value
    /// In a table: where, in units of eight bytes.
    var offset: UInt32 = 0
    /// The key that sealed it on disk, 0 for none.
    var keyIdentifier: UInt16 = 0
}

/// What an entry's allocation begins with. Its members are ordered so that none pads: 41 bytes.
struct EntryHeader {
    static let noOffset = UInt32.max

    var value: ValuePlace.Value
    let createRevision: UInt64
    let modRevision: UInt64
    var offset: UInt32
    let count: UInt32
    let revisionOffset: UInt32
    let keyCount: UInt16
    var keyIdentifier: UInt16
    let isSealed: Bool
}

/// The allocation of an entry: its header, and its key's bytes behind.
private final class EntryStorage: ManagedBuffer<EntryHeader, UInt8> {}

/// The locks under which entries say where their values are: a few that all entries share, since a lock in each would
/// cost more than its key. Held for a few instructions.
private enum EntryLocks {
    private final class Lock: Sendable { let mutex = Mutex(()) }

    private static let locks = (0..<64).map { _ in Lock() }

    static func withLock<Result: Sendable>(
        of storage: EntryStorage, _ body: (EntryStorage) -> Result
    ) -> Result {
        // Allocations are at multiples of 16; the bits above spread.
        let address = UInt(bitPattern: ObjectIdentifier(storage))
        let mutex = locks[Int((address >> 4 ^ address >> 10) & 63)]
        return mutex.mutex.withLock { _ in body(storage) }
    }
}
