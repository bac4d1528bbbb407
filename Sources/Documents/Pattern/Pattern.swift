internal import Synchronization

/// A regular expression in RE2's syntax, run without backtracking: time is bounded by the length of the text times the
/// size of the pattern, whatever the pattern. Matches anywhere in the text unless anchored, as schemas and CEL want.
package struct Pattern: Sendable {
    /// A set of characters.
    struct CharacterSet: Sendable, Equatable {
        var ranges: [ClosedRange<UInt32>] = []
        var isNegated = false

        func contains(_ scalar: UInt32) -> Bool {
            for range in ranges where range.contains(scalar) { return !isNegated }
            return isNegated
        }
    }

    enum Assertion: Sendable, Equatable { case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary }

    enum Instruction: Sendable, Equatable {
        case scalar(UInt32)
        case set(CharacterSet)
        case assert(Assertion)
        case jump(Int)
        case split(Int, Int)
        case match
    }

    let program: [Instruction]

    /// `nil` where `text` is no pattern, or one too large.
    package init?(_ text: String) {
        var parser = PatternParser(text)
        guard let node = parser.parse() else { return nil }
        var compiler = PatternCompiler()
        guard compiler.emit(node), compiler.append(.match) else { return nil }
        program = compiler.program
    }

    /// How much there is to do at each character of a text, at most.
    package var size: Int { program.count }

    /// Whether the pattern matches somewhere in `text`.
    package func matches(_ text: String) -> Bool {
        var run = PatternRun(program: program)
        return run.matches(text)
    }

    /// Whether `text` is a pattern, were it as large as it may.
    package static func isPattern(_ text: String) -> Bool {
        var parser = PatternParser(text)
        return parser.parse() != nil
    }

    private static let cache = Mutex<[String: Pattern?]>([:])

    /// The compiled pattern, kept for the next time; `nil` where `text` is none.
    package static func compiled(_ text: String) -> Pattern? {
        cache.withLock { cache in
            if let known = cache[text] { return known }
            if cache.count >= DocumentLimits.cachedPatterns { cache.removeAll() }
            let pattern = Pattern(text)
            cache[text] = .some(pattern)
            return pattern
        }
    }
}

/// One run of a pattern over a text: all threads of the program advance together, so each is at each instruction once.
private struct PatternRun {
    let program: [Pattern.Instruction]
    private var current: [Int] = []
    private var next: [Int] = []
    private var mark: [Int]
    private var generation = 0
    private var hasMatched = false

    init(program: [Pattern.Instruction]) {
        self.program = program
        mark = [Int](repeating: -1, count: program.count)
    }

    mutating func matches(_ text: String) -> Bool {
        let scalars = text.unicodeScalars.map(\.value)
        for position in 0...scalars.count {
            generation += 1
            let waiting = current
            current.removeAll(keepingCapacity: true)
            for thread in waiting { add(thread, scalars, position) }
            add(0, scalars, position)
            if hasMatched { return true }
            if position == scalars.count { return false }
            step(over: scalars[position])
        }
        return false
    }

    /// Moves every thread over one character.
    private mutating func step(over scalar: UInt32) {
        next.removeAll(keepingCapacity: true)
        for thread in current {
            switch program[thread] {
            case .scalar(let expected) where expected == scalar: next.append(thread + 1)
            case .set(let set) where set.contains(scalar): next.append(thread + 1)
            default: break
            }
        }
        swap(&current, &next)
    }

    /// Adds the instructions that wait for a character and are reached from `start` without one.
    private mutating func add(_ start: Int, _ scalars: [UInt32], _ position: Int) {
        var stack = [start]
        while let thread = stack.popLast() {
            if mark[thread] == generation { continue }
            mark[thread] = generation
            switch program[thread] {
            case .jump(let target): stack.append(target)
            case .split(let left, let right):
                stack.append(right)
                stack.append(left)
            case .assert(let assertion):
                if assertion.holds(scalars, position) { stack.append(thread + 1) }
            case .match: hasMatched = true
            case .scalar, .set: current.append(thread)
            }
        }
    }
}

extension Pattern.Assertion {
    /// Whether it holds before the character at `position`.
    func holds(_ scalars: [UInt32], _ position: Int) -> Bool {
        let before = position > 0 ? scalars[position - 1] : nil
        let after = position < scalars.count ? scalars[position] : nil
        return switch self {
        case .textStart: position == 0
        case .textEnd: position == scalars.count
        case .lineStart: before == nil || before == 10
        case .lineEnd: after == nil || after == 10
        case .wordBoundary: Self.isWord(before) != Self.isWord(after)
        case .noWordBoundary: Self.isWord(before) == Self.isWord(after)
        }
    }

    private static func isWord(_ scalar: UInt32?) -> Bool {
        guard let scalar else { return false }
        return (48...57).contains(scalar) || (65...90).contains(scalar) || (97...122).contains(scalar) || scalar == 95
    }
}
