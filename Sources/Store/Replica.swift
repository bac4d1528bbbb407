internal import Journal
package import Seams
internal import Synchronization

/// A copy of one store elsewhere, and what is known of it. Shared by the two that fill it, each on a thread of its own,
/// so that a large table does not hold up the tail of the log.
package final class Replica: Sendable {
    let directory: String
    let fileSystem: any FileSystem
    let target: any ReplicaTarget
    /// What the target holds, once it was asked; asked again after any error.
    private let known = Mutex<ReplicaCatalogue?>(nil)

    private let identity: UInt64

    /// A copy of the log below the data directory `data`. `identity` is that of the directory.
    package init(data: String, identity: UInt64, fileSystem: any FileSystem, target: any ReplicaTarget) {
        self.identity = identity
        directory = "\(data)/log"
        self.fileSystem = fileSystem
        self.target = target
    }

    var catalogue: ReplicaCatalogue? { known.withLock { $0 } }

    /// Runs `body` with what the target holds. After an error the target is asked again: somebody may have emptied it.
    func attempt<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
        do throws(StoreError) {
            return try body()
        } catch {
            known.withLock { $0 = nil }
            throw error
        }
    }

    /// Asks the target what it holds, unless that is known, and makes sure that it is of this store, whose newest
    /// durable revision is `durable`.
    func load(_ durable: Revision) throws(StoreError) -> ReplicaCatalogue {
        if let catalogue { return catalogue }
        let found = ReplicaCatalogue(try target.list().compactMap(ReplicaObject.init))
        if found.owners.contains(identity) {
            try checkPast(found, durable)
        } else {
            let isOurs = if found.isEmpty { true } else { try isLaterLife(than: found) }
            if !isOurs { throw Self.stranger }
            try target.put(ReplicaObject.owner(identity).name, ReplicaContent([]))
        }
        for owner in found.owners where owner != identity { try target.remove(ReplicaObject.owner(owner).name) }
        known.withLock { $0 = found }
        return found
    }

    /// Makes sure that no other store has taken this place over meanwhile.
    func confirmOwner() throws(StoreError) {
        if try !target.list().contains(ReplicaObject.owner(identity).name) { throw Self.stranger }
    }

    func put(_ object: ReplicaObject, _ content: ReplicaContent) throws(StoreError) {
        try target.put(object.name, content)
        known.withLock { $0?.insert(object) }
    }

    func remove(_ object: ReplicaObject) throws(StoreError) {
        try target.remove(object.name)
        known.withLock { $0?.remove(object) }
    }

    // MARK: Whose it is

    private static let stranger = StoreError.invalid(
        reason: "another store is copied to this place: expected an empty one, or that of the store this one was "
            + "restored from; name another, or empty it")

    /// The number that says whose copy it is, kept in the data directory: made at its first use.
    package static func identity(
        of data: String, fileSystem: any FileSystem, random: any RandomSource
    ) throws(StoreError) -> UInt64 {
        let path = "\(data)/replica.identity"
        return try disk { () throws(FileError) in
            if try fileSystem.exists(path),
                let known = FileName.number(String(decoding: try fileSystem.readFile(path), as: UTF8.self), suffix: "")
            {
                return known
            }
            let identity = random.next()
            try fileSystem.replaceFile(path, with: Array(FileName.hexadecimal(identity).utf8), permissions: 0o600)
            return identity
        }
    }

    /// A restored store goes on in the place of the one it was restored from: it began above all that is there. Nothing
    /// there can then be taken for a part of this store, nor the other way round.
    private func isLaterLife(than catalogue: ReplicaCatalogue) throws(StoreError) -> Bool {
        let names = try disk { () throws(FileError) in try fileSystem.list(directory) }
        let bases = names.compactMap { TableFormat.range(ofName: $0) }.filter { $0.first == .empty }
        guard let base = bases.map(\.last).max() else { return false }
        return StoreRestoration.life(of: base) > StoreRestoration.life(of: catalogue.newest)
    }

    /// A data directory that was put back to an older state would give out revisions again that the copy holds.
    private func checkPast(_ catalogue: ReplicaCatalogue, _ durable: Revision) throws(StoreError) {
        if catalogue.newest > durable {
            throw .invalid(
                reason: "the copy is ahead of this store: it holds revision \(catalogue.newest), and the store ends at "
                    + "\(durable). The data directory was put back to an older state: restore from the copy, or name "
                    + "another place to copy to")
        }
        let firsts = Set(catalogue.segments.keys).union(catalogue.tails.keys).sorted()
        for first in firsts.reversed() {
            guard let bytes = try read(Self.segmentName(first)) else { continue }
            let whole = catalogue.segments[first].map { [ReplicaObject.segment($0)] }
            for object in whole ?? catalogue.pieces(of: first).map({ .tail($0) }) { try compare(object, with: bytes) }
            return
        }
    }

    /// Makes sure that an object holds what the segment here holds in its place.
    func compare(_ object: ReplicaObject, with bytes: [UInt8]) throws(StoreError) {
        let start = if case .tail(let tail) = object { tail.start } else { 0 }
        let content = try target.get(object.name)
        if start + content.count <= bytes.count, content.elementsEqual(bytes[start..<start + content.count]) { return }
        throw .invalid(
            reason:
                "\(object.name) in the copy holds other bytes than this store: the data directory was put back to an "
                + "older state, or the copy is damaged; restore from the copy, or name another place to copy to")
    }

    static func segmentName(_ first: Revision) -> String { LogWriter.firstSegment(after: first.rawValue - 1) }

    /// The beginning of a file of the log, or all of it; `nil` when the store has removed it meanwhile.
    func read(_ name: String, count: Int? = nil) throws(StoreError) -> [UInt8]? {
        try disk { () throws(FileError) in
            try SpareSegments.read("\(directory)/\(name)", count: count, fileSystem)
        }
    }
}
