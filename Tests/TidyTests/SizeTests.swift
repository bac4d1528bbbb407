import Testing

@Suite("Sizes")
struct SizeTests {
    private static let lineLimit = 120
    private static let functionLimit = 70
    private static let fileLimit = 700

    /// Targets whose lines are within the limit. Only ever gets longer, until it is all of them.
    private static let formatted = [
        "Documents", "DocumentsTests", "Fuzz", "Journal", "JournalTests", "Seams", "Store", "StoreServer",
        "StoreTests", "TidyTests",
    ]

    @Test("lines have at most 120 characters")
    func lines() {
        for file in SourceTree.swiftFiles
        where Self.formatted.contains(file.target) && !file.path.contains("/Apply/") {
            for (number, line) in file.lines.enumerated()
            where line.utf8.count > Self.lineLimit && line.count > Self.lineLimit {
                Issue.record("\(file.path):\(number + 1): \(line.count) characters; break the line")
            }
        }
    }

    @Test("files of ours have at most 700 lines")
    func files() {
        for file in SourceTree.swiftFiles where file.isOurs && file.lines.count > Self.fileLimit {
            Issue.record("\(file.path): \(file.lines.count) lines; split it by topic into Type+Topic.swift")
        }
    }

    @Test("functions of ours have at most 70 lines")
    func functions() {
        for file in SourceTree.swiftFiles where file.isOurs {
            for function in Self.functions(in: file) where function.length > Self.functionLimit {
                Issue.record(
                    "\(file.path):\(function.line): \(function.length) lines; keep the flow, move the leaves out")
            }
        }
    }

    /// The functions, initialisers and bodies of subscripts of a file, by the braces that follow their names.
    static func functions(in file: SourceFile) -> [(line: Int, length: Int)] {
        var found: [(line: Int, length: Int)] = []
        let lines = file.codeLines
        for (number, line) in lines.enumerated() where isFunction(line) {
            var depth = 0
            var isOpen = false
            for (last, text) in lines[number...].enumerated() {
                for character in text.utf8 {
                    if character == UInt8(ascii: "{") { (depth, isOpen) = (depth + 1, true) }
                    if character == UInt8(ascii: "}") { depth -= 1 }
                }
                if isOpen && depth <= 0 {
                    found.append((number + 1, last + 1))
                    break
                }
                if !isOpen && last > 30 || depth < 0 { break }  // a requirement of a protocol, without a body
            }
        }
        return found
    }

    private static func isFunction(_ line: Substring) -> Bool {
        let words = line.split(whereSeparator: { " (<{?".contains($0) }).filter { $0 != "package" }
        guard let first = words.first(where: { !modifiers.contains($0) }) else { return false }
        return first == "func" || first == "init" || first == "deinit" || first == "subscript"
    }

    private static let modifiers: Set<Substring> = [
        "private", "fileprivate", "internal", "public", "static", "class", "final", "mutating", "nonmutating",
        "override",
        "convenience", "required", "nonisolated", "borrowing", "consuming", "@discardableResult", "@inline",
        "@inlinable",
    ]
}
