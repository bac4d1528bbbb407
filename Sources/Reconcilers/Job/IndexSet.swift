/// Completion indexes as a Job's status writes them: `0,2-5,9`. Kept as ascending ranges that do not touch, so that a
/// hundred thousand of them in a row cost nothing. A pure value.
struct IndexSet: Sendable, Equatable, CustomStringConvertible {
    private(set) var ranges: [ClosedRange<Int>] = []

    /// Reads the form of the status, up to `limit`; what is no index is passed over.
    init(_ text: String = "", below limit: Int = .max) {
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
            guard let first = ends.first, let last = ends.last, ends.count <= 2, first >= 0, first <= last else {
                continue
            }
            if first < limit { add(first...min(last, limit - 1)) }
        }
    }

    var count: Int { ranges.reduce(0) { $0 + $1.count } }
    var isEmpty: Bool { ranges.isEmpty }
    func contains(_ index: Int) -> Bool { ranges.contains { $0.contains(index) } }

    mutating func insert(_ index: Int) { add(index...index) }

    private mutating func add(_ range: ClosedRange<Int>) {
        var (lower, upper) = (range.lowerBound, range.upperBound)
        var kept: [ClosedRange<Int>] = []
        for other in ranges {
            if other.upperBound < lower - 1 || other.lowerBound - 1 > upper {
                kept.append(other)
            } else {
                (lower, upper) = (min(lower, other.lowerBound), max(upper, other.upperBound))
            }
        }
        kept.append(lower...upper)
        ranges = kept.sorted { $0.lowerBound < $1.lowerBound }
    }

    /// How many indexes are in both.
    func countShared(with other: IndexSet) -> Int {
        ranges.reduce(0) { total, range in
            other.ranges.reduce(total) { sum, its in
                range.overlaps(its) ? sum + range.clamped(to: its).count : sum
            }
        }
    }

    var description: String {
        ranges.map { range in
            switch range.count {
            case 1: "\(range.lowerBound)"
            case 2: "\(range.lowerBound),\(range.upperBound)"
            default: "\(range.lowerBound)-\(range.upperBound)"
            }
        }.joined(separator: ",")
    }
}
