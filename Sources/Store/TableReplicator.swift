internal import Journal
package import Seams

/// Copies tables, and removes from the copy what no point of the time that is kept needs. Owned by one thread.
package struct TableReplicator {
    private let replica: Replica
    /// How far back the copy can be restored.
    private let kept: Duration
    private var confirmed: Instant?

    package init(_ replica: Replica, kept: Duration) {
        self.replica = replica
        self.kept = kept
    }

    /// Copies the tables that are new. Does nothing before the log's copy has begun.
    package mutating func pass(now: Instant) throws(StoreError) {
        try replica.attempt { () throws(StoreError) in
            guard let catalogue = replica.catalogue else { return }
            if confirmed.map({ now - $0 > StoreLimits.replicaConfirmation }) ?? true {
                try replica.confirmOwner()
                confirmed = now
            }
            let names = try disk { () throws(FileError) in try replica.fileSystem.list(replica.directory) }
            for range in try TableChain(found: names, in: replica.directory).ranges
            where !catalogue.tables.contains(range) { try copy(range) }
            let oldest = (now + (.zero - kept)).nanoseconds / 1_000_000
            for object in replica.catalogue?.garbage(before: UInt64(max(0, oldest))) ?? [] {
                try replica.remove(object)
            }
        }
    }

    private func copy(_ range: RevisionRange) throws(StoreError) {
        let path = "\(replica.directory)/\(TableFormat.name(range))"
        let file: any File
        let size: Int
        do throws(FileError) {
            file = try replica.fileSystem.open(path, .read)
            size = try file.size()
        } catch {
            // A merge has put another in its place.
            if error.code == .notFound { return }
            throw .fileSystem(reason: error.description)
        }
        defer { file.close() }
        try replica.put(
            .table(range),
            ReplicaContent(size: size) { (offset, count) throws(StoreError) in
                let bytes = try disk { () throws(FileError) in try file.read(at: offset, count: count) }
                if bytes.count < count { throw .damagedFile(path, offset, "the file ends within a read") }
                return bytes
            })
    }
}
