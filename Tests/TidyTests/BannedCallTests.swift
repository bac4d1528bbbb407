import Testing

@Suite("Calls we do not make")
struct BannedCallTests {
    private struct Ban {
        let text: String
        let replacement: String
        /// Where the call is right: the beginnings of paths.
        var allowed: [String] = []
        /// Whether tests may not either.
        var bansTests = false
    }

    /// The implementation of a seam over real processes, and the deadline of the tests over them.
    private static let machine = ["Sources/Node/SystemProcessSpawner.swift", "Tests/NodeTests/Support.swift"]
    /// Makes a secret, once, at the first start: not for a simulation to foresee.
    private static let keys = ["Sources/espalier/Serve/RevisionSecret.swift"]

    private static let bans: [Ban] = [
        Ban(text: "try!", replacement: "try, or handle the error"),
        Ban(text: "fatalError(", replacement: "precondition with the state in its message, or throw"),
        Ban(text: " as!", replacement: "as? and what to do where it is something else"),
        Ban(text: "print(", replacement: "the Logger that was passed in", allowed: ["Sources/espalier/"]),
        Ban(text: "Task.detached", replacement: "a task group, or Task with a reason", bansTests: true),
        Ban(
            text: "Task.sleep", replacement: "Clock.sleep", allowed: ["Sources/Seams/"] + machine, bansTests: true),
        Ban(text: "usleep(", replacement: "Clock.sleep, in tests a virtual clock", bansTests: true),
        Ban(text: "nanosleep(", replacement: "Clock.sleep, in tests a virtual clock", bansTests: true),
        Ban(text: "ContinuousClock", replacement: "Clock.monotonic", allowed: ["Sources/Seams/"]),
        Ban(text: "SuspendingClock", replacement: "Clock.monotonic", allowed: ["Sources/Seams/"]),
        Ban(text: "clock_gettime(", replacement: "Clock.now or Clock.monotonic", allowed: ["Sources/Seams/"]),
        Ban(text: "gettimeofday(", replacement: "Clock.now"),
        Ban(text: "SystemRandomNumberGenerator", replacement: "RandomSource", allowed: ["Sources/Seams/"] + keys),
        Ban(text: ".random(in:", replacement: "RandomSource.next(below:)", allowed: keys),
        Ban(text: ".randomElement()", replacement: "RandomSource.next(below:)"),
        Ban(text: ".shuffled()", replacement: "RandomSource.next(below:)"),
        Ban(text: "NSLock", replacement: "Mutex", bansTests: true),
        Ban(text: "NIOLock", replacement: "Mutex", bansTests: true),
        Ban(text: "DispatchQueue", replacement: "an actor, a Mutex or a thread that says why", bansTests: true),
        Ban(text: "public ", replacement: "package", allowed: ["Tests/Fuzz/"]),
        Ban(text: "open class", replacement: "package final class"),
        Ban(text: "String(format:", replacement: "interpolation", bansTests: true),
        Ban(text: "swiftlint:", replacement: "the rule itself", bansTests: true),
    ]

    @Test("no file makes a banned call")
    func calls() {
        for file in SourceTree.swiftFiles where file.target != "TidyTests" {
            for (number, line) in file.codeLines.enumerated() {
                for ban in Self.bans where line.contains(ban.text) {
                    if !file.isOurs && !ban.bansTests || ban.allowed.contains(where: file.path.hasPrefix) { continue }
                    if ban.text == "print(", Self.isPartOfName(line) { continue }
                    Issue.record("\(file.path):\(number + 1): \(ban.text) is banned; use \(ban.replacement)")
                }
            }
        }
    }

    /// `fingerprint(` and methods called `print` of our own are not the global function.
    private static func isPartOfName(_ line: Substring) -> Bool {
        let before = line.split(separator: "print(", omittingEmptySubsequences: false)[0].last
        return line.contains("func print(") || before.map { $0.isLetter || $0.isNumber || "._".contains($0) } ?? false
    }

    @Test("no forced unwrapping outside tests")
    func forcedUnwraps() {
        for file in SourceTree.swiftFiles where file.isOurs {
            for (number, line) in file.codeLines.enumerated() where Self.forcesUnwrap(line) {
                Issue.record("\(file.path):\(number + 1): ! is banned; use guard let, ?? or a throwing accessor")
            }
        }
    }

    /// An exclamation mark right behind a name or a closing bracket, and not part of `!=` or of a type (`T!`).
    static func forcesUnwrap(_ line: Substring) -> Bool {
        let bytes = Array(line.utf8)
        return bytes.indices.dropFirst().contains { index in
            guard bytes[index] == UInt8(ascii: "!") else { return false }
            let before = Character(Unicode.Scalar(bytes[index - 1]))
            let after = index + 1 < bytes.count ? Character(Unicode.Scalar(bytes[index + 1])) : " "
            return (before.isLetter || before.isNumber || ")]_".contains(before)) && after != "="
        }
    }

    @Test("unchecked promises to the compiler have a reason")
    func safetyLines() {
        for file in SourceTree.swiftFiles where file.isOurs {
            let (lines, code) = (file.lines, file.codeLines)
            for (number, line) in code.enumerated()
            where line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)")
                || line.contains("@preconcurrency")
            {
                let around = lines[max(0, number - 6)...min(number + 3, lines.count - 1)]
                let hasReason = around.contains { $0.contains("SAFETY:") }
                #expect(
                    hasReason, "\(file.path):\(number + 1): say in a // SAFETY: line which lock or thread makes it true"
                )
            }
        }
    }

    @Test("nothing is left to do, and no path of a machine is written down")
    func leftovers() {
        let scripts =
            (SourceTree.files(below: "hack") + SourceTree.files(below: "crds") + SourceTree.files(below: "manifests"))
            // What Python leaves beside its modules is in no commit.
            .filter { !$0.path.contains("/__pycache__/") }
        let texts = SourceTree.files(below: "Sources").filter { !$0.path.hasSuffix(".swift") }
        for file in SourceTree.swiftFiles + scripts + texts where file.target != "TidyTests" {
            let folders = file.path.hasPrefix("Tests/") ? [] : ["home", "Users", "root", "work"]
            for (number, line) in file.lines.enumerated() {
                for word in ["FIX" + "ME", "TO" + "DO", "XX" + "X:"] where line.contains(word) {
                    Issue.record("\(file.path):\(number + 1): \(word) is left; do it, or open an issue")
                }
                for path in folders.map({ "/\($0)/" }) where line.contains(path) {
                    Issue.record("\(file.path):\(number + 1): \(path) is a place on one machine")
                }
            }
        }
    }
}
