extension Pattern {
    /// The parts of `text` that match, the leftmost first, none within another, at most `limit` of them. Of two that
    /// begin at one place, the one that the pattern prefers.
    package func matches(in text: String, limit: Int = .max) -> [String] {
        let scalars = text.unicodeScalars.map(\.value)
        var search = PatternSearch(program: program, scalars: scalars)
        var found: [String] = []
        var start = 0
        var lastEnd: Int?
        while found.count < limit, start <= scalars.count, let range = search.first(from: start) {
            // Nothing right behind a match is no match of its own.
            if !range.isEmpty || range.lowerBound != lastEnd {
                var part = String.UnicodeScalarView()
                part.append(contentsOf: scalars[range].compactMap(Unicode.Scalar.init))
                found.append(String(part))
            }
            lastEnd = range.upperBound
            start = range.isEmpty ? range.upperBound + 1 : range.upperBound
        }
        return found
    }
}

/// Looks for where a pattern matches. As a run that only asks whether it does, all threads advance together; those
/// that the pattern prefers come first, each with the place it began at.
private struct PatternSearch {
    private struct Thread {
        var instruction: Int
        var start: Int
    }

    let program: [Pattern.Instruction]
    let scalars: [UInt32]
    private var mark: [Int]
    private var generation = 0

    init(program: [Pattern.Instruction], scalars: [UInt32]) {
        self.program = program
        self.scalars = scalars
        mark = [Int](repeating: -1, count: program.count)
    }

    /// The first match that begins at `position` or behind it.
    mutating func first(from position: Int) -> Range<Int>? {
        var waiting: [Thread] = []
        var found: Range<Int>?
        for place in position...scalars.count {
            generation += 1
            var current: [Thread] = []
            var isOver = false
            for thread in waiting where !isOver { isOver = add(thread, place, &current, &found) }
            if found == nil, !isOver { _ = add(Thread(instruction: 0, start: place), place, &current, &found) }
            if current.isEmpty, found != nil || place == scalars.count { return found }
            guard place < scalars.count else { return found }
            waiting = current.compactMap { thread in
                switch program[thread.instruction] {
                case .scalar(let expected) where expected == scalars[place]: break
                case .set(let set) where set.contains(scalars[place]): break
                default: return nil
                }
                return Thread(instruction: thread.instruction + 1, start: thread.start)
            }
        }
        return found
    }

    /// Adds what waits for a character and is reached from `thread` without one. True where it has matched: what
    /// comes behind it is not preferred.
    private mutating func add(
        _ thread: Thread, _ place: Int, _ current: inout [Thread], _ found: inout Range<Int>?
    ) -> Bool {
        var stack = [thread.instruction]
        while let instruction = stack.popLast() {
            if mark[instruction] == generation { continue }
            mark[instruction] = generation
            switch program[instruction] {
            case .jump(let target): stack.append(target)
            case .split(let left, let right):
                stack.append(right)
                stack.append(left)
            case .assert(let assertion): if assertion.holds(scalars, place) { stack.append(instruction + 1) }
            case .match:
                found = thread.start..<place
                return true
            case .scalar, .set: current.append(Thread(instruction: instruction, start: thread.start))
            }
        }
        return false
    }
}
