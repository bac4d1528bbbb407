internal import Journal
internal import Seams
internal import Synchronization

/// The store reads its own files again while it serves, slowly, so that what rots is found before it is needed.
extension Keyspace {
    /// Reads all values of all tables and stops writing when one is not what was written. Asks `goOn` before each piece
    /// of half a megabyte; ends when it says no.
    package func verifyTables(goOn: () -> Bool = { true }) throws(StoreError) {
        for table in state.withLock({ $0.tables }) {
            do throws(StoreError) {
                try table.verify(goOn)
            } catch {
                if case .closed = error { return }
                refuseWrites(after: error)
                throw error
            }
        }
    }

    /// Reads the log again, up to what is durable now, and compares it with what is in memory: every checksum, the
    /// chain of hashes, and each value that is still the newest of its key. Stops writing when something differs.
    package func verifyLog() throws(StoreError) {
        let (segments, durable) = state.withLock { ($0.segments, $0.durable) }
        do throws(StoreError) {
            for (index, segment) in segments.enumerated() {
                try verify(segment.name, durable, next: segments.dropFirst(index + 1).first?.firstRevision)
            }
        } catch {
            refuseWrites(after: error)
            throw error
        }
    }

    /// `next` is where the next segment began when `durable` was: by now a table may have taken the place of both.
    private func verify(_ name: String, _ durable: Snapshot, next: UInt64?) throws(StoreError) {
        let path = "\(log.path)/\(name)"
        // Where there is none a table has taken its place meanwhile.
        let bytes = try disk { () throws(FileError) in try SpareSegments.read(path, log.fileSystem) }
        guard let bytes else { return }
        guard var reader = SegmentReader(bytes, name: name) else {
            throw .damagedFile(path, 0, "the header is not that of this segment")
        }
        while reader.lastRevision < durable.revision.rawValue {
            switch reader.next() {
            case .record(let record, let offset):
                if !record.flags.contains(.durabilityNote) { try compare(record, with: durable, path, offset) }
            case .damaged(let offset, let reason): throw .damagedFile(path, offset, reason)
            case .end(let offset, let reason, _):
                // The next segment goes on, or what was durable is not there any more.
                if next == reader.lastRevision + 1 { return }
                throw .damagedFile(path, offset, "\(reason), and revision \(durable.revision) was durable")
            }
        }
    }

    private func compare(
        _ record: Record, with durable: Snapshot, _ path: String, _ offset: Int
    ) throws(StoreError) {
        guard let operations = try TransactionCodec.operations(record, keys: keys) else {
            throw .damagedFile(path, offset, "the record is whole but holds no transaction")
        }
        for case .put(let key, let value, _, _) in operations {
            guard let entry = durable.get(key), entry.modRevision.rawValue == record.revision else { continue }
            if try entry.value.array != value {
                throw .damagedFile(path, offset, "\(key) is held in memory with another value than is recorded here")
            }
        }
    }

    /// Starts reading everything again and again, slowly.
    func startVerifying() {
        let rate = configuration.verificationBytesPerSecond
        guard configuration.committing == .thread, rate > 0 else { return }
        let pause = max(1, DataWindow.bytes * 1000 / rate)
        let round = Int(configuration.verificationPause.components.seconds) * 1000
        let thread = DedicatedThread(name: "store-verify", yields: true) { [self] in
            while !isClosed {
                do throws(StoreError) {
                    try verifyTables {
                        verificationEnd.wait(atMostMilliseconds: pause)
                        return !isClosed
                    }
                    if !isClosed { try verifyLog() }
                } catch {
                    // Damage is known by now to all who write; a disk that could not be read is asked again later.
                }
                if !isClosed { verificationEnd.wait(atMostMilliseconds: round) }
            }
        }
        verifying.withLock { $0 = thread }
    }
}

extension Table {
    /// Reads index and data and checks every checksum.
    func verify(_ goOn: () -> Bool) throws(StoreError) {
        var index = TableIndexReader(self)
        var window = DataWindow(self)
        try index.advance()
        while let item = index.item {
            if !item.isTombstone {
                let units = UInt32(TableFormat.units(Int(item.payload)))
                let offset = fileOffset(item.offset)
                try window.withBytes(at: item.offset, units: units, goOn) { bytes throws(StoreError) in
                    try bytes.span.withUnsafeBytes { buffer throws(StoreError) in
                        let value = buffer[..<(Int(item.payload) + Checksum.size)]
                        try check(UnsafeRawBufferPointer(rebasing: value), revision: item.modRevision, at: offset)
                    }
                }
            }
            try index.advance()
        }
    }
}
