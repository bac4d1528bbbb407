/// Walks the records of one segment, over bytes that may be anything. For whoever looks at a log beside recovery: it
/// checks what recovery checks, goes no further than the first fault, and changes nothing.
package struct SegmentReader: Sendable {
    package enum Step: Sendable {
        /// A whole record that continues the chain; durability notes too.
        case record(Record, offset: Int)
        /// No record stands here and none that was durable stands behind. `isTorn`: one was begun.
        case end(offset: Int, reason: String, isTorn: Bool)
        case damaged(offset: Int, reason: String)
    }

    /// Bytes of a segment before its first record.
    package static let headerSize = Segment.headerSize

    package let segment: Segment
    /// The hash of the record read last; before the first, that of the one before the segment.
    package private(set) var hash: ChainHash
    package private(set) var lastRevision: UInt64
    package private(set) var offset = Segment.headerSize
    private let bytes: [UInt8]

    /// `nil` when the bytes do not begin with the header that `name` asks for.
    package init?(_ bytes: [UInt8], name: String) {
        guard let segment = Segment(header: bytes), segment.name == name else { return nil }
        self.bytes = bytes
        self.segment = segment
        hash = segment.previous
        lastRevision = segment.firstRevision &- 1
    }

    package mutating func next() -> Step {
        switch RecordFormat.read(bytes, at: offset, first: segment.firstRevision) {
        case .record(let record, let header, let next):
            let isNote = record.flags.contains(.durabilityNote)
            guard header.previous == hash, record.revision == lastRevision &+ (isNote ? 0 : 1) else {
                return .damaged(
                    offset: offset,
                    reason: "the record of revision \(record.revision) does not follow revision \(lastRevision)")
            }
            defer { (hash, lastRevision, offset) = (header.hash, record.revision, next) }
            return .record(record, offset: offset)
        case .none(let reason):
            if let later = RecordFormat.intactRecord(
                in: bytes, from: offset, durableBeyond: offset, first: segment.firstRevision)
            {
                return .damaged(
                    offset: offset, reason: "\(reason), but the record at byte \(later) says that it was durable")
            }
            return .end(
                offset: offset, reason: reason, isTorn: RecordFormat.isTorn(bytes, at: offset, segment: segment))
        }
    }

    /// Whether a file of the log's folder is a segment, by its name.
    package static func isSegment(_ name: String) -> Bool { Segment.firstRevision(ofName: name) != nil }
}

extension RecordFormat {
    /// The first whole record from `offset` on that says the segment, which begins with the revision `first`, was
    /// durable beyond `durable`.
    static func intactRecord(
        in bytes: [UInt8], from offset: Int, durableBeyond durable: Int, first: UInt64
    ) -> Int? {
        var offset = aligned(offset)
        while offset + headerSize <= bytes.count {
            if bytes[offset] == mark[0], case .record(_, let header, _) = read(bytes, at: offset, first: first),
                header.durable > durable
            {
                return offset
            }
            offset += alignment
        }
        return nil
    }

    /// Whether a record was begun at `end`, behind the last whole one. In a recycled file only its beginning tells it
    /// from what was there before.
    static func isTorn(_ bytes: [UInt8], at end: Int, segment: Segment) -> Bool {
        let rest = bytes[min(end, bytes.count)...]
        if !segment.isRecycled { return rest.contains { $0 != 0 } }
        guard rest.count >= headerSize, rest.starts(with: mark) else { return false }
        return rest.withUnsafeBytes { $0.integer(at: 16, as: UInt64.self) } >= segment.firstRevision
    }
}
