/// Which tables to merge, so that there are few and they hold little that is not live. Pure.
///
/// Tables have levels: each level is `width` times as large as the one below. As soon as there are `width` of a level,
/// with no larger one behind them, they and all behind them become one; so there are few of each level, and a value is
/// copied once per level. Apart from that, when as much is dead as is live, all become one. Both are chosen for few
/// copies: reading costs the same from many tables, since the index is in memory, and space is what pays for them.
struct MergePolicy {
    static let width = 8
    private static let levels = 16
    /// No table is made larger: offsets must reach its end.
    private static let largest = 24 * 1024 * 1024 * 1024

    /// What counts as the smallest size.
    private let smallest: Int
    /// Bytes that tables may always take, whatever is live.
    private let slack: Int

    init(segmentBytes: Int) {
        smallest = segmentBytes * 2
        slack = segmentBytes * 2
    }

    /// The positions of tables to merge, given their sizes from old to new and what of it is live; `nil` for none.
    func run(sizes: [Int], live: Int) -> Range<Int>? {
        let total = sizes.reduce(0, +)
        if sizes.count > 1, total > 2 * live + slack, total <= Self.largest { return 0..<sizes.count }
        for level in 0..<Self.levels {
            let start = (sizes.lastIndex { self.level($0) > level } ?? -1) + 1
            let newest = sizes[start...]
            if newest.count(where: { self.level($0) == level }) >= Self.width, newest.reduce(0, +) <= Self.largest {
                return start..<sizes.count
            }
        }
        return nil
    }

    private func level(_ size: Int) -> Int {
        var level = 0
        var bound = smallest
        while size > bound, level < Self.levels {
            level += 1
            bound *= Self.width
        }
        return level
    }
}
