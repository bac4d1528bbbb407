internal import Journal
package import Seams

/// Makes a new data directory from a snapshot.
package enum StoreRestoration {
    /// How a restored store was begun.
    package struct Outcome: Sendable {
        package var documents: Int
        /// What the snapshot held, and where the new store begins.
        package var source: Revision
        package var start: Revision
    }

    /// The revision a restored store begins at: above every one that any store with this past can have given out,
    /// whatever happened to it after the snapshot was taken. A store gives out far less than 2³² revisions a second,
    /// so the seconds since 2020 times 2³² lie above all of them; where the clock was wrong once, 2³² above the
    /// snapshot still helps.
    package static func start(after source: Revision, now: Instant) -> Revision {
        let step: UInt64 = 1 << 32
        let seconds = UInt64(max(0, now.seconds - 1_577_836_800))
        let (byTime, tooLate) = seconds.multipliedReportingOverflow(by: step)
        let (bySource, tooHigh) = source.rawValue.addingReportingOverflow(2 * step - 1)
        precondition(!tooLate && !tooHigh, "no revisions are left after \(source)")
        return Revision(rawValue: max(byTime, bySource / step * step))
    }

    /// Writes the log folder of a new data directory. Refuses one that holds a store, or anything but keys. The state
    /// is written last: a restore that is cut short leaves a log without its beginning, which no server opens.
    package static func restore(
        _ contents: SnapshotFile.Contents, to directory: String, fileSystem: any FileSystem, keys: SealingKeys,
        now: Instant
    ) throws(StoreError) -> Outcome {
        let start = start(after: contents.revision, now: now)
        var entries: [Entry] = []
        entries.reserveCapacity(contents.entries.count)
        for entry in contents.entries { entries.append(try entry.opened(keys)) }
        do {
            try fileSystem.createDirectory(directory, permissions: 0o700)
            let lock = try fileSystem.lock("\(directory)/lock")
            defer { lock.release() }
            let found = try fileSystem.list(directory).filter { !["lock", "keys"].contains($0) }
            if let name = found.first {
                throw StoreError.invalid(
                    reason: "\(directory) is not empty (it holds \(name)): restore into a new directory")
            }
            let log = "\(directory)/log"
            try fileSystem.createDirectory(log, permissions: 0o700)
            try LogWriter.begin(
                after: LogRecovery.Anchor(revision: start.rawValue, hash: .origin), directory: log,
                fileSystem: fileSystem)
            try fileSystem.syncDirectory(directory)
            try fileSystem.syncDirectory(FilePath.parent(of: directory))
            // Last, since a log without the state before it is opened by nobody.
            let due = DueTable(
                range: RevisionRange(first: .empty, last: start), hash: .origin, notes: entries.map { .put($0) },
                obsoleteSegments: [])
            _ = try Table.write(due, directory: log, fileSystem: fileSystem, keys: KeyRing(keys))
        } catch let error as StoreError {
            throw error
        } catch let error as FileError {
            if error.code == .locked { throw .locked(path: directory) }
            throw .fileSystem(reason: error.description)
        } catch {
            throw .fileSystem(reason: "\(error)")
        }
        return Outcome(documents: entries.count, source: contents.revision, start: start)
    }
}
