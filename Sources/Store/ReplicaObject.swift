internal import Journal

/// An object of a replica, which its name says everything of but the bytes. Numbers are sixteen hexadecimal digits:
///
///     table-<first>-<last>                          a table
///     segment-<first>-<last>-<time>                 a closed segment of the log, and when it was copied
///     tail-<first>-<start>-<end>-<last>-<time>      bytes of the segment that is written, up to revision `last`
///     times-<first>                                 lines of `time revision`: what was copied when of a segment
///     owner-<identity>                              empty: the data directory that is copied here
///
/// Times are milliseconds since 1970. A tail without a record ends at the revision before its first.
enum ReplicaObject: Hashable {
    case table(RevisionRange)
    case segment(Segment)
    case tail(Tail)
    case times(Revision)
    case owner(UInt64)

    struct Segment: Hashable {
        var first: Revision
        var last: Revision
        var time: UInt64
    }

    struct Tail: Hashable {
        var first: Revision
        var start: Int
        var end: Int
        var last: Revision
        var time: UInt64
    }

    init?(_ name: String) {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        let numbers = parts.dropFirst().compactMap { FileName.number(String($0), suffix: "") }
        guard numbers.count == parts.count - 1 else { return nil }
        let revisions = numbers.map(Revision.init(rawValue:))
        switch (parts[0], numbers.count) {
        case ("table", 2) where numbers[0] < numbers[1]:
            self = .table(RevisionRange(first: revisions[0], last: revisions[1]))
        case ("segment", 3) where numbers[0] > 1:
            self = .segment(Segment(first: revisions[0], last: revisions[1], time: numbers[2]))
        case ("tail", 5) where numbers[0] > 1 && numbers[1] < numbers[2] && numbers[2] < 1 << 48:
            self = .tail(
                Tail(
                    first: revisions[0], start: Int(numbers[1]), end: Int(numbers[2]), last: revisions[3],
                    time: numbers[4]))
        case ("times", 1): self = .times(revisions[0])
        case ("owner", 1): self = .owner(numbers[0])
        default: return nil
        }
    }

    var name: String {
        switch self {
        case .table(let range): Self.name("table", range.first.rawValue, range.last.rawValue)
        case .segment(let segment):
            Self.name("segment", segment.first.rawValue, segment.last.rawValue, segment.time)
        case .tail(let tail):
            Self.name(
                "tail", tail.first.rawValue, UInt64(tail.start), UInt64(tail.end), tail.last.rawValue, tail.time)
        case .owner(let identity): Self.name("owner", identity)
        case .times(let first): Self.name("times", first.rawValue)
        }
    }

    private static func name(_ kind: String, _ numbers: UInt64...) -> String {
        ([kind] + numbers.map(FileName.hexadecimal)).joined(separator: "-")
    }
}
