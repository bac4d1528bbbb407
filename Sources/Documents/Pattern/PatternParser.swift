/// A pattern as a tree.
indirect enum PatternNode {
    case empty
    case set(Pattern.CharacterSet)
    case scalar(UInt32)
    case assert(Pattern.Assertion)
    case sequence([PatternNode])
    case choice([PatternNode])
    /// `isLazy` where as few as possible are taken, which matters to what is found, not to whether.
    case repetition(PatternNode, least: Int, most: Int?, isLazy: Bool)
}

/// Reads RE2's syntax: groups, classes, anchors, repetitions up to 1000, the flags i, m and s. Back references and
/// look-around do not exist in it.
struct PatternParser {
    private let scalars: [UInt32]
    private var position = 0
    private var depth = 0
    private var ignoresCase = false
    private var isMultiline = false
    private var dotMatchesNewline = false

    init(_ text: String) { scalars = text.unicodeScalars.map(\.value) }

    /// `nil` where the text is no pattern.
    mutating func parse() -> PatternNode? {
        guard let node = choice(), position == scalars.count else { return nil }
        return node
    }

    private var peek: UInt32? { position < scalars.count ? scalars[position] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        if peek != character.value { return false }
        position += 1
        return true
    }

    private mutating func choice() -> PatternNode? {
        depth += 1
        defer { depth -= 1 }
        if depth > DocumentLimits.patternDepth { return nil }
        let flags = (ignoresCase, isMultiline, dotMatchesNewline)
        defer { (ignoresCase, isMultiline, dotMatchesNewline) = flags }
        var branches: [PatternNode] = []
        repeat {
            guard let branch = sequence() else { return nil }
            branches.append(branch)
        } while take("|")
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    private mutating func sequence() -> PatternNode? {
        var parts: [PatternNode] = []
        while let character = peek, character != 0x7C, character != 0x29 {
            guard let atom = atom(), let part = repeated(atom) else { return nil }
            parts.append(part)
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func repeated(_ atom: PatternNode) -> PatternNode? {
        var node = atom
        var isRepeated = false
        while true {
            let bounds: (Int, Int?)
            if take("*") {
                bounds = (0, nil)
            } else if take("+") {
                bounds = (1, nil)
            } else if take("?") {
                bounds = (0, 1)
            } else if peek == 0x7B, let counted = counts() {
                bounds = counted
            } else {
                return node
            }
            if isRepeated { return nil }
            isRepeated = true
            if bounds.0 > 1000 || (bounds.1 ?? 0) > 1000 || (bounds.1 ?? bounds.0) < bounds.0 { return nil }
            node = .repetition(node, least: bounds.0, most: bounds.1, isLazy: take("?"))
        }
    }

    /// `{2}`, `{2,}` or `{2,5}`; nothing is read where there is something else.
    private mutating func counts() -> (Int, Int?)? {
        let start = position
        position += 1
        if let least = number() {
            if take("}") { return (least, least) }
            if take(",") {
                if take("}") { return (least, nil) }
                if let most = number(), take("}") { return (least, most) }
            }
        }
        position = start
        return nil
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = peek, (48...57).contains(digit) {
            let sum = (value ?? 0) * 10 + Int(digit - 48)
            if sum > 100_000 { return nil }
            value = sum
            position += 1
        }
        return value
    }

    private mutating func atom() -> PatternNode? {
        guard let character = peek else { return nil }
        position += 1
        switch Unicode.Scalar(character) {
        case "(": return group()
        case "[": return characterClass().map(PatternNode.set)
        case ".":
            return .set(Pattern.CharacterSet(ranges: dotMatchesNewline ? [] : [10...10], isNegated: true))
        case "^": return .assert(isMultiline ? .lineStart : .textStart)
        case "$": return .assert(isMultiline ? .lineEnd : .textEnd)
        case "\\": return escape()
        case "*", "+", "?": return nil
        default: return literal(character)
        }
    }

    private func literal(_ scalar: UInt32) -> PatternNode {
        if ignoresCase, let other = Self.otherCase(scalar) {
            return .set(Pattern.CharacterSet(ranges: [scalar...scalar, other...other]))
        }
        return .scalar(scalar)
    }

    private static func otherCase(_ scalar: UInt32) -> UInt32? {
        if (65...90).contains(scalar) { return scalar + 32 }
        if (97...122).contains(scalar) { return scalar - 32 }
        return nil
    }

    private mutating func group() -> PatternNode? {
        let outer = (ignoresCase, isMultiline, dotMatchesNewline)
        if take("?") {
            if take("P") || peek == 0x3C {
                guard take("<") else { return nil }
                while peek != nil, peek != 0x3E { position += 1 }
                if !take(">") { return nil }
            } else if !take(":") {
                guard let isWhole = flags() else { return nil }
                if isWhole { return .empty }
            }
        }
        guard let node = choice(), take(")") else { return nil }
        (ignoresCase, isMultiline, dotMatchesNewline) = outer
        return node
    }

    /// `(?i)` sets flags for the rest of the group and is whole; `(?i:` sets them for what follows.
    private mutating func flags() -> Bool? {
        var isOn = true
        while let character = peek {
            position += 1
            switch Unicode.Scalar(character) {
            case "i": ignoresCase = isOn
            case "m": isMultiline = isOn
            case "s": dotMatchesNewline = isOn
            case "U": break
            case "-": isOn = false
            case ":": return false
            case ")": return true
            default: return nil
            }
        }
        return nil
    }

    private mutating func escape() -> PatternNode? {
        guard let character = peek else { return nil }
        switch Unicode.Scalar(character) {
        case "A":
            position += 1
            return .assert(.textStart)
        case "z":
            position += 1
            return .assert(.textEnd)
        case "b":
            position += 1
            return .assert(.wordBoundary)
        case "B":
            position += 1
            return .assert(.noWordBoundary)
        default: break
        }
        if let set = namedClass() { return .set(set) }
        return escapedScalar().map(literal)
    }

    /// `\d`, `\W` and the like.
    private mutating func namedClass() -> Pattern.CharacterSet? {
        guard let character = peek, let scalar = Unicode.Scalar(character) else { return nil }
        let set: Pattern.CharacterSet
        switch scalar {
        case "d", "D": set = Pattern.CharacterSet(ranges: [48...57], isNegated: scalar == "D")
        case "s", "S": set = Pattern.CharacterSet(ranges: [9...10, 12...13, 32...32], isNegated: scalar == "S")
        case "w", "W":
            set = Pattern.CharacterSet(ranges: [48...57, 65...90, 95...95, 97...122], isNegated: scalar == "W")
        case "p", "P": return unicodeClass(isNegated: scalar == "P")
        default: return nil
        }
        position += 1
        return set
    }

    /// `\pL`, `\p{Greek}`: letters and digits of ASCII are told apart, of everything beyond only that it is beyond.
    private mutating func unicodeClass(isNegated: Bool) -> Pattern.CharacterSet? {
        position += 1
        var name = ""
        let isBraced = take("{")
        while let character = peek, let scalar = Unicode.Scalar(character), name.isEmpty || isBraced, character != 0x7D
        {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        if name.isEmpty || isBraced && !take("}") { return nil }
        let beyond: ClosedRange<UInt32> = 0x80...0x10FFFF
        let ranges: [ClosedRange<UInt32>] =
            switch name {
            case "L": [65...90, 97...122, beyond]
            case "Lu": [65...90, beyond]
            case "Ll": [97...122, beyond]
            case "N", "Nd": [48...57, beyond]
            case "P": [33...47, 58...64, 91...96, 123...126, beyond]
            case "Z", "Zs": [32...32, beyond]
            default: [beyond]
            }
        return Pattern.CharacterSet(ranges: ranges, isNegated: isNegated)
    }

    private mutating func escapedScalar() -> UInt32? {
        guard let character = peek, let scalar = Unicode.Scalar(character) else { return nil }
        position += 1
        switch scalar {
        case "n": return 10
        case "t": return 9
        case "r": return 13
        case "f": return 12
        case "v": return 11
        case "a": return 7
        case "x": return hexadecimal()
        case "a"..."z", "A"..."Z", "0"..."9": return nil
        default: return character
        }
    }

    private mutating func hexadecimal() -> UInt32? {
        var digits = ""
        let isBraced = take("{")
        while let character = peek, let scalar = Unicode.Scalar(character), Character(scalar).isHexDigit,
            digits.count < (isBraced ? 8 : 2)
        {
            digits.unicodeScalars.append(scalar)
            position += 1
        }
        if isBraced, !take("}") { return nil }
        return UInt32(digits, radix: 16)
    }

    /// What stands after `[`.
    private mutating func characterClass() -> Pattern.CharacterSet? {
        var set = Pattern.CharacterSet(isNegated: take("^"))
        var isFirst = true
        while let character = peek {
            if character == 0x5D, !isFirst {
                position += 1
                return set
            }
            isFirst = false
            if character == 0x5B, position + 1 < scalars.count, scalars[position + 1] == 0x3A {
                guard let named = posixClass() else { return nil }
                set.ranges += named
                continue
            }
            position += 1
            if character == 0x5C, let named = namedClass() {
                set.ranges += named.isNegated ? Self.complement(named.ranges) : named.ranges
                continue
            }
            guard let low = character == 0x5C ? escapedScalar() : character, let range = range(from: low) else {
                return nil
            }
            set.ranges.append(range)
            if ignoresCase { set.ranges += Self.otherCases(range) }
        }
        return nil
    }

    private mutating func range(from low: UInt32) -> ClosedRange<UInt32>? {
        guard peek == 0x2D, position + 1 < scalars.count, scalars[position + 1] != 0x5D else { return low...low }
        position += 1
        guard let character = peek else { return nil }
        position += 1
        guard let high = character == 0x5C ? escapedScalar() : character, high >= low else { return nil }
        return low...high
    }

    private static func otherCases(_ range: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        let lower = range.clamped(to: 97...122)
        if range.overlaps(97...122) { result.append(lower.lowerBound - 32...lower.upperBound - 32) }
        let upper = range.clamped(to: 65...90)
        if range.overlaps(65...90) { result.append(upper.lowerBound + 32...upper.upperBound + 32) }
        return result
    }

    private static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
            next = max(next, range.upperBound + 1)
        }
        if next <= 0x10FFFF { result.append(next...0x10FFFF) }
        return result
    }

    /// `[:alpha:]` and the like.
    private mutating func posixClass() -> [ClosedRange<UInt32>]? {
        let classes: [(String, [ClosedRange<UInt32>])] = [
            ("[:alnum:]", [48...57, 65...90, 97...122]), ("[:alpha:]", [65...90, 97...122]), ("[:digit:]", [48...57]),
            ("[:lower:]", [97...122]), ("[:upper:]", [65...90]), ("[:space:]", [9...13, 32...32]),
            ("[:xdigit:]", [48...57, 65...70, 97...102]), ("[:word:]", [48...57, 65...90, 95...95, 97...122]),
            ("[:punct:]", [33...47, 58...64, 91...96, 123...126]), ("[:print:]", [32...126]), ("[:graph:]", [33...126]),
        ]
        for (name, ranges) in classes {
            let wanted = name.unicodeScalars.map(\.value)
            if scalars[position...].starts(with: wanted) {
                position += wanted.count
                return ranges
            }
        }
        return nil
    }
}

/// Turns a tree into a program.
struct PatternCompiler {
    private(set) var program: [Pattern.Instruction] = []

    /// False where the program would become too large.
    mutating func append(_ instruction: Pattern.Instruction) -> Bool {
        program.append(instruction)
        return program.count <= DocumentLimits.patternInstructions
    }

    mutating func emit(_ node: PatternNode) -> Bool {
        switch node {
        case .empty: return true
        case .scalar(let scalar): return append(.scalar(scalar))
        case .set(let set): return append(.set(set))
        case .assert(let assertion): return append(.assert(assertion))
        case .sequence(let parts):
            for part in parts where !emit(part) { return false }
            return true
        case .choice(let branches): return emit(choice: branches)
        case .repetition(let part, let least, let most, let isLazy):
            return emit(repetition: part, least: least, most: most, isLazy: isLazy)
        }
    }

    private mutating func emit(choice branches: [PatternNode]) -> Bool {
        var exits: [Int] = []
        for branch in branches.dropLast() {
            let split = program.count
            guard append(.split(split + 1, 0)), emit(branch) else { return false }
            exits.append(program.count)
            guard append(.jump(0)) else { return false }
            program[split] = .split(split + 1, program.count)
        }
        guard let last = branches.last, emit(last) else { return false }
        for exit in exits { program[exit] = .jump(program.count) }
        return true
    }

    private mutating func emit(repetition part: PatternNode, least: Int, most: Int?, isLazy: Bool) -> Bool {
        // What is tried first comes first.
        func split(_ again: Int, _ on: Int) -> Pattern.Instruction { isLazy ? .split(on, again) : .split(again, on) }
        for _ in 0..<least {
            let before = program.count
            if !emit(part) { return false }
            // Nothing a thousand times is nothing; a thousand times of that would take for ever.
            if program.count == before { break }
        }
        guard let most else {
            let start = program.count
            guard append(.split(start + 1, 0)), emit(part), append(.jump(start)) else { return false }
            program[start] = split(start + 1, program.count)
            return true
        }
        var splits: [Int] = []
        for _ in least..<most {
            splits.append(program.count)
            guard append(.split(program.count + 1, 0)), emit(part) else { return false }
        }
        for start in splits { program[start] = split(start + 1, program.count) }
        return true
    }
}
