internal import Documents
internal import Journal
package import Seams

/// Up to where a copy is restored.
package enum ReplicaPoint: Sendable {
    case newest
    case revision(Revision)
    /// What was copied by then.
    case time(Instant)
}

/// Makes a new data directory from a replica.
package enum ReplicaRestoration {
    /// Puts together what the store was at `point`, opens it in its place, and begins a new store from it. `name` is
    /// what messages call the replica.
    package static func restore(
        _ target: any ReplicaTarget, named name: String, until point: ReplicaPoint, to directory: String,
        fileSystem: any FileSystem, clock: any Clock, keys: SealingKeys
    ) throws(StoreError) -> StoreRestoration.Outcome {
        let catalogue = ReplicaCatalogue(try target.list().compactMap(ReplicaObject.init))
        if catalogue.isEmpty { throw .invalid(reason: "\(name) holds no copy of a store: expected objects of one") }
        let wanted = try revision(at: point, catalogue, target, name)
        let files = try ReplicaFiles(catalogue, target, at: wanted, name)
        let place = RestorationPlace(directory, fileSystem)
        return try place.make { (log, lock) throws(StoreError) in
            try files.write(to: log, fileSystem)
            let entries = try entries(of: LogFolder(path: log, fileSystem: fileSystem, lock: lock), clock, keys, wanted)
            return StoreRestoration.Source(revision: wanted, entries: entries)
        } write: { (source) throws(StoreError) in
            try StoreRestoration.write(source, to: place, keys, clock.now())
        }
    }

    private static func entries(
        of log: LogFolder, _ clock: any Clock, _ keys: SealingKeys, _ wanted: Revision
    ) throws(StoreError) -> [Entry] {
        var configuration = StoreConfiguration()
        configuration.committing = .inline
        // All history, so that any revision in it can be read, and no table is written.
        configuration.historyAge = .seconds(1 << 40)
        configuration.historyRevisions = 1 << 48
        configuration.historyBytes = 1 << 48
        let unlocked = LogFolder(path: log.path, fileSystem: log.fileSystem, lock: BorrowedLock())
        let store = try Keyspace.open(unlocked, clock: clock, keys: keys, configuration: configuration)
        defer { store.close() }
        return try store.snapshot(at: wanted).list(prefix: [])
    }

    /// The lock is the restoration's, and outlives the store that is opened within it.
    private struct BorrowedLock: FileLock {
        func release() {}
    }

    private static func revision(
        at point: ReplicaPoint, _ catalogue: ReplicaCatalogue, _ target: any ReplicaTarget, _ name: String
    ) throws(StoreError) -> Revision {
        switch point {
        case .newest: return catalogue.reach
        case .revision(let revision):
            if revision <= catalogue.newest { return revision }
            throw .invalid(reason: "\(name) holds nothing of revision \(revision): it ends at \(catalogue.newest)")
        case .time(let time):
            let milliseconds = UInt64(max(0, time.nanoseconds / 1_000_000))
            var (revision, unsure) = catalogue.revision(at: milliseconds)
            if let unsure, catalogue.times.contains(unsure) {
                let lines = ReplicaTimes.read(try target.get(ReplicaObject.times(unsure).name))
                revision = (lines.filter { $0.time <= milliseconds }.map(\.last) + [revision].compactMap { $0 }).max()
            }
            if let revision { return revision }
            throw .invalid(reason: "\(name) holds nothing that was copied by \(time.rfc3339)")
        }
    }
}

/// The objects of a replica that make up a store at one revision.
private struct ReplicaFiles {
    private let target: any ReplicaTarget
    private let tables: [RevisionRange]
    private var segments: [(first: Revision, objects: [ReplicaObject])] = []

    init(
        _ catalogue: ReplicaCatalogue, _ target: any ReplicaTarget, at wanted: Revision, _ name: String
    ) throws(StoreError) {
        self.target = target
        tables = catalogue.chain(until: wanted)
        let start = tables.last?.last ?? .empty
        let (firsts, end) = catalogue.segments(after: start, until: wanted)
        if end < wanted {
            throw .invalid(
                reason:
                    "\(name) cannot be restored at revision \(wanted): it was not copied whole, or is kept no more; "
                    + "what is there of it ends at \(end). The newest that can be is \(catalogue.reach)")
        }
        for first in firsts {
            let whole = catalogue.segments[first].map { [ReplicaObject.segment($0)] }
            segments.append((first, whole ?? catalogue.pieces(of: first).map { .tail($0) }))
        }
    }

    func write(to log: String, _ fileSystem: any FileSystem) throws(StoreError) {
        for range in tables {
            try write([.table(range)], to: "\(log)/\(TableFormat.name(range))", fileSystem)
        }
        for (first, objects) in segments {
            try write(objects, to: "\(log)/\(Replica.segmentName(first))", fileSystem)
        }
        if segments.isEmpty, let range = tables.last { try beginLog(after: range, in: log, fileSystem) }
        try disk { () throws(FileError) in try fileSystem.syncDirectory(log) }
    }

    private func write(_ objects: [ReplicaObject], to path: String, _ fileSystem: any FileSystem) throws(StoreError) {
        let file = try disk { () throws(FileError) in try fileSystem.open(path, .create(permissions: 0o600)) }
        defer { file.close() }
        for object in objects {
            // Pieces may overlap, with the same bytes.
            let start = if case .tail(let tail) = object { tail.start } else { 0 }
            try target.pieces(of: object.name) { (bytes, offset) throws(StoreError) in
                try disk { () throws(FileError) in try file.write(bytes, at: start + offset) }
            }
        }
        try disk { () throws(FileError) in try file.sync() }
    }

    /// Nothing was written since the last table.
    private func beginLog(
        after range: RevisionRange, in log: String, _ fileSystem: any FileSystem
    ) throws(StoreError) {
        let table = try Table.open(range, directory: log, fileSystem: fileSystem, keys: KeyRing(SealingKeys()))
        try disk { () throws(FileError) in
            try LogWriter.begin(
                after: LogRecovery.Anchor(revision: range.last.rawValue, hash: table.footer.hash), directory: log,
                fileSystem: fileSystem)
        }
    }
}
