/// A range of costs or of sizes. At the top it sticks.
struct CELRange: Sendable, Equatable {
    var min: UInt64
    var max: UInt64

    static let unknown = CELRange(min: 0, max: .max)
    static let zero = CELRange(min: 0, max: 0)
    static let one = CELRange(min: 1, max: 1)

    init(min: UInt64, max: UInt64) {
        self.min = min
        self.max = max
    }

    init(_ value: UInt64) { self.init(min: value, max: value) }

    static func + (a: CELRange, b: CELRange) -> CELRange {
        CELRange(min: CELCost.sum(a.min, b.min), max: CELCost.sum(a.max, b.max))
    }

    static func * (a: CELRange, b: CELRange) -> CELRange {
        CELRange(min: CELCost.product(a.min, b.min), max: CELCost.product(a.max, b.max))
    }

    static func * (a: CELRange, factor: Double) -> CELRange {
        CELRange(min: CELCost.scaled(a.min, factor), max: CELCost.scaled(a.max, factor))
    }

    func union(_ other: CELRange) -> CELRange {
        CELRange(min: Swift.min(min, other.min), max: Swift.max(max, other.max))
    }
}

/// What the keys and the values of a list or a map are known to measure.
struct CELEntrySizes: Sendable {
    var isList: Bool
    var key: CELRange
    var value: CELRange

    func union(_ other: CELEntrySizes) -> CELEntrySizes {
        CELEntrySizes(isList: isList, key: key.union(other.key), value: value.union(other.value))
    }
}
