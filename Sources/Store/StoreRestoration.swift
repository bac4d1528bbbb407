internal import Journal
package import Seams

/// Makes a new data directory from a snapshot. While it is being made, here or by `ReplicaRestoration`, a file named
/// `restoring` stands in it: no server opens such a directory, and the next restore begins it anew.
package enum StoreRestoration {
    /// How a restored store was begun.
    package struct Outcome: Sendable {
        package var documents: Int
        /// What the snapshot held, and where the new store begins.
        package var source: Revision
        package var start: Revision
    }

    /// The whole state at one revision.
    struct Source {
        var revision: Revision
        var entries: [Entry]
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

    /// Which life of a store a revision is of: each restore begins a later one.
    static func life(of revision: Revision) -> UInt64 { revision.rawValue >> 32 }

    /// The file that says that a restore is under way, or was cut short.
    package static func marker(of directory: String) -> String { "\(directory)/\(RestorationPlace.marker)" }

    /// Restores a snapshot. Refuses a directory that holds a store, or anything but keys.
    package static func restore(
        _ contents: SnapshotFile.Contents, to directory: String, fileSystem: any FileSystem, keys: SealingKeys,
        now: Instant
    ) throws(StoreError) -> Outcome {
        var source = Source(revision: contents.revision, entries: [])
        source.entries.reserveCapacity(contents.entries.count)
        for entry in contents.entries { source.entries.append(try entry.opened(keys)) }
        let place = RestorationPlace(directory, fileSystem)
        return try place.make { (_, _) throws(StoreError) in
            source
        } write: { (source) throws(StoreError) in
            try write(source, to: place, keys, now)
        }
    }

    /// Writes the first table and the beginning of the log behind it.
    static func write(
        _ source: Source, to place: RestorationPlace, _ keys: SealingKeys, _ now: Instant
    ) throws(StoreError) -> Outcome {
        let start = start(after: source.revision, now: now)
        try disk { () throws(FileError) in
            try LogWriter.begin(
                after: LogRecovery.Anchor(revision: start.rawValue, hash: .origin), directory: place.log,
                fileSystem: place.fileSystem)
        }
        let due = DueTable(
            range: RevisionRange(first: .empty, last: start), hash: .origin, notes: source.entries.map { .put($0) },
            obsoleteSegments: [])
        let table = try Table.write(
            due, directory: place.log, fileSystem: place.fileSystem, keys: KeyRing(keys))
        try place.keepOnly([FilePath.lastPart(of: table.path), LogWriter.firstSegment(after: start.rawValue)])
        return Outcome(documents: source.entries.count, source: source.revision, start: start)
    }
}

/// A data directory that is being made.
struct RestorationPlace {
    static let marker = "restoring"

    let directory: String
    let fileSystem: any FileSystem

    init(_ directory: String, _ fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    var log: String { "\(directory)/log" }
    private var marker: String { StoreRestoration.marker(of: directory) }

    static func unfinished(_ directory: String) -> StoreError {
        .invalid(
            reason: "\(directory) holds a restore that was cut short: run it again, which begins anew, or remove the "
                + "directory. Nothing was changed")
    }

    /// Makes the directory: `read` may put files into the log folder, `write` writes what shall stay. After an error it
    /// is as empty as it was.
    func make(
        _ read: (_ log: String, any FileLock) throws(StoreError) -> StoreRestoration.Source,
        write: (StoreRestoration.Source) throws(StoreError) -> StoreRestoration.Outcome
    ) throws(StoreError) -> StoreRestoration.Outcome {
        let lock = try claim()
        defer { lock.release() }
        do throws(StoreError) {
            let outcome = try write(try read(log, lock))
            try unmark()
            return outcome
        } catch {
            // What cannot be removed stays marked, and is removed by the next attempt.
            if (try? keepOnly([])) != nil { try? unmark() }
            throw error
        }
    }

    /// Takes the lock and marks the directory as unfinished, or refuses one that holds something.
    private func claim() throws(StoreError) -> any FileLock {
        do {
            try fileSystem.createDirectory(directory, permissions: 0o700)
            let lock = try fileSystem.lock("\(directory)/lock")
            do {
                try prepare()
                return lock
            } catch {
                lock.release()
                throw error
            }
        } catch let error as FileError {
            throw error.code == .locked ? .locked(path: directory) : .fileSystem(reason: error.description)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .fileSystem(reason: "\(error)")
        }
    }

    private func prepare() throws {
        let isMarked = try fileSystem.exists(marker)
        let found = try fileSystem.list(directory).filter { !["lock", "keys", Self.marker].contains($0) }
        let isEmpty = try found.allSatisfy { name in try name == "log" && fileSystem.list(log).isEmpty }
        guard isMarked || isEmpty else {
            throw StoreError.invalid(
                reason: "\(directory) is not empty (it holds \(found.joined(separator: ", "))): restore into a new "
                    + "directory. Nothing was changed")
        }
        if !isMarked { try fileSystem.open(marker, .create(permissions: 0o600)).close() }
        // The mark is durable before there is anything that it marks.
        try fileSystem.syncDirectory(directory)
        try fileSystem.createDirectory(log, permissions: 0o700)
        try keepOnly([])
        try fileSystem.syncDirectory(directory)
        try fileSystem.syncDirectory(FilePath.parent(of: directory))
    }

    /// Removes every other file of the log folder.
    func keepOnly(_ names: [String]) throws(StoreError) {
        try disk { () throws(FileError) in
            for name in try fileSystem.list(log) where !names.contains(name) { try fileSystem.remove("\(log)/\(name)") }
            try fileSystem.syncDirectory(log)
        }
    }

    private func unmark() throws(StoreError) {
        try disk { () throws(FileError) in
            try fileSystem.remove(marker)
            try fileSystem.syncDirectory(directory)
        }
    }
}
