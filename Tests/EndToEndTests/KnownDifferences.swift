/// Steps that answer otherwise here than where they were recorded, and why. A list that cannot rot: an entry of which no
/// step differs fails the test.
struct KnownDifferences {
    struct Entry {
        let name: String
        /// The command or how it begins, its lines joined by spaces.
        let command: String
        let reason: String

        /// Whether the clock decides if the step differs.
        var isTiming: Bool { reason.hasPrefix("timing: ") }
        var description: String { "\(name) | \(command) | \(reason)" }
    }

    let entries: [Entry]

    /// Lines of `case | beginning of the command | why`; the command may hold bars, the reason may not.
    init(parsing text: String) {
        entries = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let parts = line.split(separator: "|", omittingEmptySubsequences: false)
            return Entry(
                name: parts[0].trimmingSpaces(),
                command: parts.dropFirst().dropLast().joined(separator: "|")[...].trimmingSpaces(),
                reason: parts[parts.count - 1].trimmingSpaces())
        }
    }

    /// The entry about a step of a case. An entry that is the whole of one command is about no longer one.
    func entry(_ name: String, _ step: GoldenCase.Step, of steps: [GoldenCase.Step]) -> Entry? {
        entries.first { entry in
            guard entry.name == name, !entry.command.isEmpty else { return false }
            let isWhole = steps.contains { $0.line == entry.command }
            return isWhole ? step.line == entry.command : step.line.hasPrefix(entry.command)
        }
    }
}
