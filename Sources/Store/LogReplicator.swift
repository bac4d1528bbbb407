internal import Journal
package import Seams

/// Copies the log: the segment that is written piece by piece, and each segment whole once it is closed. Copies only
/// what is durable here, so that the copy never holds a revision that a crash takes back. Owned by one thread.
package struct LogReplicator {
    /// The segment that is being copied.
    private struct Current {
        var first: Revision
        var end = 0
        var last: Revision
        /// Times and revisions of its pieces.
        var times: [(time: UInt64, last: Revision)] = []
    }

    private let replica: Replica
    private var current: Current?

    package init(_ replica: Replica) { self.replica = replica }

    /// Copies what is new up to `durable`, the store's durable revision from before the call, and returns the revision
    /// up to which the copy can be restored.
    package mutating func pass(durable: Revision, now: Instant) throws(StoreError) -> Revision {
        let time = UInt64(max(0, now.nanoseconds / 1_000_000))
        let replica = replica
        if replica.catalogue == nil { current = nil }
        return try replica.attempt { () throws(StoreError) in
            let catalogue = try replica.load(durable)
            if let current, current.last == durable { return catalogue.reach }
            try copy(catalogue, durable, time)
            return replica.catalogue?.reach ?? .empty
        }
    }

    private mutating func copy(
        _ catalogue: ReplicaCatalogue, _ durable: Revision, _ time: UInt64
    ) throws(StoreError) {
        let directory = replica.directory
        let names = try disk { () throws(FileError) in
            try replica.fileSystem.list(directory).filter(SegmentReader.isSegment)
        }
        for (index, name) in names.enumerated() {
            let isLast = index == names.count - 1
            guard let first = FileName.number(name, suffix: ".log").map(Revision.init(rawValue:)) else { continue }
            if catalogue.segments[first] != nil { continue }
            // What is gone by now, a table stands for.
            guard let bytes = try replica.read(name) else { continue }
            guard let part = Part(of: bytes, name, until: durable) else { break }
            try copy(first, bytes, part, time)
            // What is not durable as far as we were told comes with the next pass, and nothing behind it before.
            if isLast || !part.isWhole { break }
            try close(first, bytes, part, time)
        }
    }

    // MARK: The segment that is written

    private mutating func copy(
        _ first: Revision, _ bytes: [UInt8], _ part: Part, _ time: UInt64
    ) throws(StoreError) {
        let known = current.flatMap { $0.first == first ? $0 : nil }
        var current = if let known { known } else { try resume(first, bytes) }
        if part.end > current.end {
            let tail = ReplicaObject.Tail(
                first: first, start: current.end, end: part.end, last: part.last, time: time)
            try replica.put(.tail(tail), ReplicaContent(Array(bytes[current.end..<part.end])))
            current.end = part.end
            current.times.append((time, part.last))
            if current.times.count % StoreLimits.replicaPieces == 0 { try fold(current, bytes, time) }
        }
        current.last = part.last
        self.current = current
    }

    /// Finds how far a segment was copied by an earlier life, and makes sure that what is there is ours.
    private func resume(_ first: Revision, _ bytes: [UInt8]) throws(StoreError) -> Current {
        let catalogue = replica.catalogue ?? ReplicaCatalogue()
        var current = Current(first: first, last: Revision(rawValue: first.rawValue - 1))
        for piece in catalogue.pieces(of: first) {
            try replica.compare(.tail(piece), with: bytes)
            current.end = piece.end
            current.last = piece.last
        }
        if catalogue.times.contains(first) {
            current.times = ReplicaTimes.read(try replica.target.get(ReplicaObject.times(first).name))
        }
        let known = current.times.last?.last ?? Revision(rawValue: 0)
        current.times += catalogue.pieces(of: first).map { ($0.time, $0.last) }.filter { $0.last > known }
        return current
    }

    /// Puts one piece in the place of many, so that a quiet segment does not become thousands.
    private func fold(_ current: Current, _ bytes: [UInt8], _ time: UInt64) throws(StoreError) {
        try putTimes(current)
        let pieces = replica.catalogue?.tails[current.first] ?? []
        let last = current.times.last?.last ?? current.last
        let whole = ReplicaObject.Tail(first: current.first, start: 0, end: current.end, last: last, time: time)
        try replica.put(.tail(whole), ReplicaContent(Array(bytes[..<current.end])))
        for piece in pieces where piece != whole { try replica.remove(.tail(piece)) }
    }

    private func putTimes(_ current: Current) throws(StoreError) {
        try replica.put(.times(current.first), ReplicaContent(ReplicaTimes.write(current.times)))
    }

    /// Puts a closed segment in the place of its pieces: with the notes behind its last record, which the next one's
    /// header continues, and without the zeros behind those.
    private mutating func close(
        _ first: Revision, _ bytes: [UInt8], _ part: Part, _ time: UInt64
    ) throws(StoreError) {
        if let current { try putTimes(current) }
        let segment = ReplicaObject.Segment(first: first, last: part.last, time: time)
        try replica.put(.segment(segment), ReplicaContent(Array(bytes[..<part.chainEnd])))
        for piece in replica.catalogue?.tails[first] ?? [] { try replica.remove(.tail(piece)) }
        current = nil
    }

    /// How much of a segment is durable.
    private struct Part {
        /// Where the last durable record ends, and what follows it: notes, which may not be durable themselves.
        var end = SegmentReader.headerSize
        var chainEnd = SegmentReader.headerSize
        var last: Revision
        /// No record follows that may not be durable.
        var isWhole = true

        /// `nil` where there is no header yet.
        init?(of bytes: [UInt8], _ name: String, until durable: Revision) {
            guard var reader = SegmentReader(bytes, name: name) else { return nil }
            last = Revision(rawValue: reader.lastRevision)
            while case .record(let record, _) = reader.next() {
                if !record.flags.contains(.durabilityNote) {
                    if record.revision > durable.rawValue {
                        isWhole = false
                        return
                    }
                    end = reader.offset
                    last = Revision(rawValue: record.revision)
                }
                chainEnd = reader.offset
            }
        }
    }
}

/// When which revision of a segment was copied, as lines of `time revision`.
enum ReplicaTimes {
    static func write(_ times: [(time: UInt64, last: Revision)]) -> [UInt8] {
        Array(times.map { "\($0.time) \($0.last)\n" }.joined().utf8)
    }

    static func read(_ bytes: [UInt8]) -> [(time: UInt64, last: Revision)] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            guard words.count == 2, let time = UInt64(words[0]), let last = Revision(words[1]) else { return nil }
            return (time, last)
        }
    }
}
