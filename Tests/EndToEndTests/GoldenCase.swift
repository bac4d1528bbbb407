import Documents

/// A recorded transcript: commands with what they printed against a real API server. The form is described in
/// `Tests/Golden/README.md`.
struct GoldenCase {
    struct Step {
        var command: String
        /// What runs beside the step, and how many seconds after its start.
        var background: (delay: String, command: String)?
        var expected: [String] = []
        var exit: Int32 = 0

        /// The command in one line.
        var line: String { command.replacing("\n", with: " ") }
    }

    let name: String
    var steps: [Step] = []

    init(name: String, text: String) {
        self.name = name
        var current: Step?
        var background: (String, String)?
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        while let line = lines.popFirst() {
            guard var step = current else {
                if let match = line.wholeMatch(of: #/# while the next step runs, after ([0-9.]+)s: (.*)/#) {
                    background = (String(match.1), String(match.2))
                }
                if line.hasPrefix("$ ") {
                    current = Step(command: Self.command(String(line.dropFirst(2)), &lines), background: background)
                    background = nil
                }
                continue
            }
            if line.hasPrefix("= exit "), let code = Int32(line.dropFirst(7)) {
                step.exit = code
                steps.append(step)
                current = nil
            } else {
                let isEscaped = line.hasPrefix("\\") && !line.hasPrefix("\\ no newline")
                step.expected.append(String(isEscaped ? line.dropFirst() : line))
                current = step
            }
        }
    }

    /// A command with the lines of its heredoc.
    private static func command(_ first: String, _ lines: inout ArraySlice<Substring>) -> String {
        guard let match = first.firstMatch(of: #/[^<]<<-?'?(\w+)'?/#), !first.contains("<<<") else { return first }
        var command = first
        while let line = lines.popFirst() {
            command += "\n\(line)"
            if line == match.1 { break }
        }
        return command
    }
}

/// What differs from run to run, replaced as the transcripts have it.
struct Normalisation {
    let port: String

    func lines(_ result: Command.Result) -> [String] {
        var lines: [String] = []
        if !result.output.isEmpty {
            lines += result.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            if result.output.hasSuffix("\n") { lines.removeLast() } else { lines.append("\\ no newline at end") }
        }
        if !result.error.isEmpty {
            lines += result.error.split(separator: "\n", omittingEmptySubsequences: false).map { "! \($0)" }
            if result.error.hasSuffix("\n") { lines.removeLast() } else { lines.append("! \\ no newline at end") }
        }
        return lines
    }

    /// Replaces what cannot be the same, and ages, and how far columns are apart.
    func normalised(_ line: String) -> String {
        var text = line
        text.replace(#/\b[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ (\w+\.go):\d+\]/#) { "<KLOG> \($0.1)]" }
        text.replace(#/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/#, with: "<UID>")
        text.replace(#/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/#, with: "<TIME>")
        text.replace(#/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}/#, with: "<TIME>")
        text.replace(#/(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d ([+-]\d{4}|\w+)/#, with: "<TIME>")
        text.replace(#/\beyJ[\w-]+\.[\w-]+\.[\w-]+/#, with: "<JWT>")
        text.replace(#/(continue"?: ?\\?"?)[A-Za-z0-9_=-]{20,}/#) { "\($0.1)<CONTINUE>" }
        text.replace(#/(resourceVersion\\?"?: ?\\?"?|Resource Version: +)\d\d+/#) { "\($0.1)<RV>" }
        text.replace(#/(too old resource version: \d+) \(\d+\)/#) { "\($0.1) (<RV>)" }
        text.replace(
            #/Too large resource version: \d+, current: \d+/#, with: "Too large resource version: <RV>, current: <RV>")
        text.replace(#/(ResourceVersion in record \()\d+/#) { "\($0.1)<RV>" }
        text.replace(#/etag: .*/#, with: "etag: \"<ETAG>\"")
        text.replace(#/hash=[0-9A-F]+/#, with: "hash=<HASH>")
        text.replace(#/("storageVersionHash": ?)"[^"]*"/#) { "\($0.1)\"<HASH>\"" }
        text.replace(":\(port)", with: ":<PORT>")
        text.replace("admin-uid", with: "admin")  // how the recording called its administrator
        text.replace(#//tmp/(LIVE|MERGED|kubectl-edit)-\w+/#) { "<TMP>/\($0.1)-<N>" }
        text.replace(#/gen-[bcdfghjklmnpqrstvwxz2456789]{5}\b/#, with: "gen-<SUFFIX>")
        text.replace(#/\b(10\.0\.0|10\.96\.\d+|127\.96\.\d+)\.\d+\b/#, with: "<IP>")
        text.replace(#/("retryAfterSeconds": ?)\d+/#) { "\($0.1)<SECONDS>" }
        text.replace(#/after \d+ milliseconds with \d+ bytes/#, with: "after <MS> milliseconds with <N> bytes")
        text.replace(#/\b(\d+[dhms])+ ago/#, with: "<AGE> ago")
        text.replace(#/(^|[ \t"])(\d+[dhms])+(?=$|[ \t")])/#) { "\($0.1)<AGE>" }
        text.replace("\\u003c", with: "<")
        text.replace("\\u003e", with: ">")
        text.replace("\\u0026", with: "&")
        text.replace(#/ +/#, with: " ")
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }

    /// Whether both say the same: line by line, as a set of lines, or as the same JSON with members in another order.
    func isSame(_ expected: [String], _ found: [String]) -> Bool {
        // What both have needs no rules, and most lines are such.
        let common = Set(expected).intersection(found)
        let rest = (expected.filter { !common.contains($0) }, found.filter { !common.contains($0) })
        if expected.count == found.count, rest.0.map(normalised).sorted() == rest.1.map(normalised).sorted() {
            return true
        }
        let (expected, found) = (expected.map(normalised), found.map(normalised))
        if expected == found || expected.sorted() == found.sorted() { return true }
        guard let a = Self.json(expected), let b = Self.json(found) else { return false }
        return a.head == b.head && a.values == b.values
    }

    /// Header lines, and the JSON values behind them: one document over many lines, or one a line.
    private static func json(_ lines: [String]) -> (head: [String], values: [JSON])? {
        guard let start = lines.firstIndex(where: { $0.hasPrefix("{") }) else { return nil }
        let rest = lines[start...].filter { !$0.hasPrefix("\\ no newline") }
        let errors = rest.filter { $0.hasPrefix("! ") }
        let text = rest.filter { !$0.hasPrefix("! ") }.map { $0.replacing(": <SECONDS>", with: ": 1") }
        if let whole = try? JSONParser.parse(Array(text.joined(separator: "\n").utf8)) {
            return (Array(lines[..<start]) + errors, [whole])
        }
        var values: [JSON] = []
        for line in text {
            guard let value = try? JSONParser.parse(Array(line.utf8)) else { return nil }
            values.append(value)
        }
        return (Array(lines[..<start]) + errors, values)
    }
}
