internal import Journal
package import Seams
internal import Synchronization

extension Keyspace {
    static let damageRemedy = """
        Nothing was changed. Restore the data directory from a backup; or keep a copy of it, and move this file and \
        all later ones in the same folder away to start from what is before the damage, losing what came after.
        """

    /// Opens the store below `directory`, recovering what its log holds and creating what is missing.
    package static func open(
        directory: String, fileSystem: any FileSystem, clock: any Clock, keys: SealingKeys,
        configuration: StoreConfiguration = StoreConfiguration()
    ) throws(StoreError) -> Keyspace {
        let log = "\(directory)/log"
        let lock = try prepare(directory, log: log, fileSystem)
        do {
            return try open(
                LogFolder(path: log, fileSystem: fileSystem, lock: lock), clock: clock, keys: keys,
                configuration: configuration)
        } catch {
            lock.release()
            throw error
        }
    }

    /// Opens the store whose files are in `log`, which is locked already.
    static func open(
        _ log: LogFolder, clock: any Clock, keys: SealingKeys, configuration: StoreConfiguration
    ) throws(StoreError) -> Keyspace {
        let ring = KeyRing(keys)
        let (state, recovered, obsolete) = try recover(log.path, log.fileSystem, clock, ring, configuration)
        let keyspace = Keyspace(
            state: state, log: log, clock: clock, keyRing: ring, spares: recovered.writer.spares,
            configuration: configuration, recoveryNote: recovered.cut)
        keyspace.removeFiles(obsolete)
        keyspace.attach(recovered.writer)
        if let due = keyspace.state.withLock({ $0.takeDueTable() }) { keyspace.write(due) }
        return keyspace
    }

    private static func prepare(
        _ directory: String, log: String, _ fileSystem: any FileSystem
    ) throws(StoreError) -> any FileLock {
        do {
            try fileSystem.createDirectory(directory, permissions: 0o700)
            let lock = try fileSystem.lock("\(directory)/lock")
            if try fileSystem.exists(StoreRestoration.marker(of: directory)) {
                lock.release()
                throw RestorationPlace.unfinished(directory)
            }
            try fileSystem.createDirectory(log, permissions: 0o700)
            try fileSystem.syncDirectory(directory)
            try fileSystem.syncDirectory(FilePath.parent(of: directory))
            return lock
        } catch let error as StoreError {
            throw error
        } catch let error as FileError {
            throw error.code == .locked ? .locked(path: directory) : .fileSystem(reason: error.description)
        } catch {
            throw .fileSystem(reason: "\(error)")
        }
    }

    private static func recover(
        _ log: String, _ fileSystem: any FileSystem, _ clock: any Clock, _ ring: KeyRing,
        _ configuration: StoreConfiguration
    ) throws(StoreError) -> (KeyspaceState, LogRecovery.Recovered, obsolete: [String]) {
        let chain = try TableChain.find(in: log, fileSystem)
        var tables: [Table] = []
        for range in chain.ranges {
            tables.append(try Table.open(range, directory: log, fileSystem: fileSystem, keys: ring))
        }
        let keys = ring.keys
        let entries = try Table.load(tables)
        try checkKeys(entries)
        var state = KeyspaceState(tables: tables, entries: entries, configuration: configuration)
        let anchor = LogRecovery.Anchor(
            revision: state.durable.revision.rawValue, hash: tables.last?.footer.hash ?? .origin)
        let time = clock.monotonic()
        // An error in a record's content, as opposed to its bytes, is carried past the journal, which knows no content.
        var contentError: StoreError?
        do {
            let recovered = try LogRecovery.recover(
                directory: log, fileSystem: fileSystem, configuration: configuration.journal, anchor: anchor
            ) { (record) throws(JournalError) in
                if contentError != nil { return }
                do throws(StoreError) { try state.replay(record, keys: keys, time: time) } catch {
                    contentError = error
                }
            }
            if let contentError { throw contentError }
            state.segments = recovered.segments
            state.sealingKey = ring.keys.current
            state.compactByBounds(now: time)
            _ = state.takeGarbage()
            return (state, recovered, recovered.obsoleteFiles + chain.obsolete.map { TableFormat.name($0) })
        } catch let error as JournalError {
            throw StoreError(error)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .fileSystem(reason: "\(error)")
        }
    }
}

extension Keyspace {
    /// Opens one value of each key that sealed any, so that a lost key stops the start and not the first read.
    fileprivate static func checkKeys(_ entries: [Entry]) throws(StoreError) {
        var checked: Set<UInt16> = []
        for entry in entries where entry.isSealed && checked.insert(entry.keyIdentifier).inserted {
            do throws(StoreError) { _ = try entry.value } catch {
                // A value that has rotted is told when it is read.
                if case .sealed = error { throw error }
            }
        }
    }
}

/// The folder of the log and the lock on the data directory around it.
struct LogFolder: Sendable {
    let path: String
    let fileSystem: any FileSystem
    let lock: any FileLock
}

extension KeyspaceState {
    /// Applies a transaction read from the log.
    mutating func replay(_ record: Record, keys: SealingKeys, time: Duration) throws(StoreError) {
        let revision = Revision(rawValue: record.revision)
        guard let operations = try TransactionCodec.operations(record, keys: keys) else {
            throw .invalid(reason: "the record of revision \(revision) is whole but holds no transaction")
        }
        let changes = operations.compactMap { change(replaying: $0, revision: revision) }
        self.record(RevisionChanges(revision: revision, changes: changes, time: time), payloadBytes: 0)
        _ = becameDurable(revision, started: nil)
    }

    private func change(replaying operation: TransactionCodec.Operation, revision: Revision) -> Change? {
        switch operation {
        case .delete(let key): return change(for: .delete(key), revision: revision)
        case .put(let key, let value, let offset, let keyIdentifier):
            return Self.put(
                Bytes(value), key, revision, revisionOffset: offset, keyIdentifier: keyIdentifier, over: tree.get(key))
        }
    }
}

extension StoreError {
    init(_ error: JournalError) {
        switch error {
        case .fileSystem(let error), .noSpace(let error): self = .fileSystem(reason: error.description)
        case .damaged(let file, let offset, let reason):
            self = .damaged(file: file, offset: offset, reason: reason, remedy: Keyspace.damageRemedy)
        case .newer(let file, let version, let supported):
            self = .newer(file: file, version: version, supported: supported)
        }
    }
}
