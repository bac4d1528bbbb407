internal import Journal
internal import Seams
internal import Synchronization

/// What is done to files beside the log, each on a thread of its own; where the store commits inline, at once. Failing
/// loses nothing: the log or the older tables still hold everything.
extension Keyspace {
    /// Writes a table of what the oldest segments changed, which are not needed then.
    func write(_ due: DueTable) {
        let work: @Sendable () -> Void = { [self] in
            let table = attempt { () throws(StoreError) in
                try Table.write(due, directory: log.path, fileSystem: log.fileSystem, keys: keyRing)
            }
            state.withLock { $0.finish(due, table) }
            // What stays because this fails costs space, and goes at the next start.
            if table != nil { try? spares.retire(due.obsoleteSegments) }
            merge()
        }
        if configuration.committing == .inline { return work() }
        tableWriting.withLock { thread in
            thread?.join()
            thread = DedicatedThread(name: "store-table", yields: true, work)
        }
    }

    /// Merges tables until there is nothing to merge, unless that is being done already.
    private func merge() {
        guard let first = state.withLock({ $0.takeDueMerge() }) else { return }
        let work: @Sendable () -> Void = { [self] in
            var next: TableMerge? = first
            while let merge = next { next = run(merge) }
        }
        if configuration.committing == .inline { return work() }
        merging.withLock { thread in
            thread?.join()
            thread = DedicatedThread(name: "store-merge", yields: true, work)
        }
    }

    /// Returns the next merge. After a failure there is none until the next table.
    private func run(_ merge: TableMerge) -> TableMerge? {
        let relocation = attempt { () throws(StoreError) in
            try merge.run(directory: log.path, fileSystem: log.fileSystem, keys: keyRing) { !isClosed }
        }
        guard let relocation else {
            state.withLock { $0.finish(merge, nil) }
            return nil
        }
        let (tree, history) = state.withLock { state in
            state.finish(merge, relocation.output)
            return (state.tree, state.history.all)
        }
        // Whatever is not reached from here is a snapshot that somebody keeps; it keeps its table open.
        tree.forEach { relocation.apply(to: $0) }
        for revision in history {
            for change in revision.changes {
                if let previous = change.previousEntry { relocation.apply(to: previous) }
            }
        }
        removeFiles(merge.inputs.map { FilePath.lastPart(of: $0.path) })
        return state.withLock { $0.takeDueMerge() }
    }

    /// The result, or nothing: a failure is tried again later. But damage is not written on.
    private func attempt<Result>(_ body: () throws(StoreError) -> Result) -> Result? {
        do throws(StoreError) {
            return try body()
        } catch {
            refuseWrites(after: error)
            return nil
        }
    }

    func refuseWrites(after error: StoreError) {
        guard case .damaged = error else { return }
        state.withLock { $0.refuseWrites(.readOnly(reason: error.description)) }
        tellWritability()
    }

    var isClosed: Bool { committer.withLock { $0 == nil } }

    /// Deletes files of the log that nothing needs. What stays because this fails goes at the next start.
    func removeFiles(_ names: [String]) {
        if names.isEmpty { return }
        do {
            for name in names { try log.fileSystem.remove("\(log.path)/\(name)") }
            try log.fileSystem.syncDirectory(log.path)
        } catch {
            // Dispensable files cost space and nothing else.
        }
    }

    /// Waits until no thread works on tables any more. The store is closed, so they end soon.
    func joinTableThreads() {
        verificationEnd.raise()
        tableWriting.withLock { $0 }?.join()
        merging.withLock { $0 }?.join()
        verifying.withLock { $0 }?.join()
    }
}
