/// The black box: whether the values alone, without any revision, have an order that a register for each key could have
/// shown (Wing and Gong's search, with Lowe's memory of the states it has seen). It catches a store whose revisions
/// agree with each other and lie.
struct ValueChecker {
    /// One operation on one key. A read of nothing and a delete have no value.
    private struct Step {
        var called: UInt64
        var returned: UInt64
        var isRead: Bool
        var value: UInt64?
    }

    /// How far a search is: all steps below `low`, those of `mask` behind it, and those of `open`, which have no
    /// answer.
    private struct Place: Hashable {
        var low = 0
        var mask: UInt64 = 0
        var open: UInt64 = 0
        var value: UInt64?
    }

    private let known: [Step]
    private let open: [Step]

    /// The keys whose values have no order, and those left out because more than 64 steps overlapped.
    static func check(_ history: ClientHistory) -> (violations: [String], skipped: Int) {
        var steps: [Int: [Step]] = [:]
        for operation in history.operations { append(operation, history, to: &steps) }
        var (violations, skipped) = ([String](), 0)
        for key in steps.keys.sorted() {
            let all = (steps[key] ?? []).sorted { $0.called < $1.called }
            let read = Set(all.filter(\.isRead).map(\.value))
            let checker = ValueChecker(
                known: all.filter { $0.returned != .max },
                // A write that nobody was told of and nobody read explains nothing.
                open: all.filter { $0.returned == .max && !$0.isRead && read.contains($0.value) })
            switch checker.hasOrder() {
            case true?: break
            case false?: violations.append("the values of key \(key) have no order")
            case nil: skipped += 1
            }
        }
        return (violations, skipped)
    }

    private static func append(
        _ operation: ClientHistory.Operation, _ history: ClientHistory, to steps: inout [Int: [Step]]
    ) {
        if let key = operation.written {
            switch operation.answer {
            case .written:
                steps[key, default: []].append(
                    Step(called: operation.called, returned: operation.returned, isRead: false, value: operation.value))
            case .unknown:
                steps[key, default: []].append(
                    Step(called: operation.called, returned: .max, isRead: false, value: operation.value))
            case .conflict, .read, .readPast: break
            }
        } else if case .read(_, let seen) = operation.answer {
            for key in history.keys(of: operation.request) {
                let value = seen.first { $0.key == key }?.value
                steps[key, default: []].append(
                    Step(called: operation.called, returned: operation.returned, isRead: true, value: value))
            }
        }
    }

    private init(known: [Step], open: [Step]) {
        self.known = known
        self.open = open
    }

    /// `nil` when there is too much at once to tell.
    private func hasOrder() -> Bool? {
        if open.count > 64 { return nil }
        var visited: Set<Place> = []
        var stack = [Place()]
        while var place = stack.popLast() {
            guard takeReads(&place) else { return nil }
            if place.low == known.count { return true }
            if !visited.insert(place).inserted { continue }
            let (candidates, end) = candidates(place)
            for index in candidates where !known[index].isRead {
                stack.append(Self.taking(index, from: place, known))
            }
            for index in open.indices where place.open & 1 << index == 0 && open[index].called < end {
                var next = place
                next.open |= 1 << index
                next.value = open[index].value
                stack.append(next)
            }
        }
        return false
    }

    /// Takes every read that may come next and fits: that is never wrong. False when too much overlaps.
    private func takeReads(_ place: inout Place) -> Bool {
        var isMoving = true
        while isMoving {
            isMoving = false
            for index in candidates(place).0 {
                if index - place.low >= 64 { return false }
                guard known[index].isRead, known[index].value == place.value else { continue }
                place = Self.taking(index, from: place, known)
                isMoving = true
                break
            }
        }
        return true
    }

    /// The steps that may come next: called before any other that is left has returned; and when that is.
    private func candidates(_ place: Place) -> ([Int], end: UInt64) {
        var (found, end) = ([Int](), UInt64.max)
        for index in place.low..<known.count {
            let isTaken = index - place.low < 64 && place.mask & 1 << (index - place.low) != 0
            if isTaken { continue }
            if known[index].called > end { break }
            end = min(end, known[index].returned)
            found.append(index)
        }
        return (found, end)
    }

    private static func taking(_ index: Int, from place: Place, _ known: [Step]) -> Place {
        var next = place
        if !known[index].isRead { next.value = known[index].value }
        next.mask |= 1 << (index - place.low)
        while next.mask & 1 != 0 {
            next.mask >>= 1
            next.low += 1
        }
        return next
    }
}
