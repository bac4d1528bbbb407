import Testing

@Suite("Documentation")
struct DocumentationTests {
    @Test("every module says what it is in its index.md")
    func indexes() {
        let targets = Set(SourceTree.swiftFiles.filter(\.isOurs).map(\.target))
        for target in targets.sorted() {
            let lines = SourceTree.read("Sources/\(target)/index.md")?.split(separator: 0x0A).count ?? 0
            #expect(lines >= 5, "Sources/\(target)/index.md: purpose, invariants, formats, failure modes")
        }
    }

    @Test("every script says what it takes, and the README lists it")
    func scripts() throws {
        let readme = String(decoding: try #require(SourceTree.read("README.md")), as: UTF8.self)
        let scripts = SourceTree.files(below: "hack").filter { !$0.path.hasPrefix("hack/lib/") }
        #expect(scripts.count > 5)
        for script in scripts {
            let text = String(decoding: script.bytes, as: UTF8.self)
            let hasHelp = text.contains("--help") || text.contains("argparse")
            #expect(hasHelp, "\(script.path): answer to --help")
            #expect(readme.contains("`\(script.path)`"), "\(script.path): list it in the README")
        }
    }

    @Test("every type that others can see has a doc comment")
    func types() {
        for file in SourceTree.swiftFiles where file.isOurs {
            let (lines, code) = (file.lines, file.codeLines)
            for (number, line) in code.enumerated() where Self.declaresType(line) {
                var above = number - 1
                while above >= 0, lines[above].trimmingPrefix(while: { $0 == " " }).hasPrefix("@") { above -= 1 }
                let comment = above >= 0 ? lines[above].trimmingPrefix(while: { $0 == " " }) : ""
                let isDocumented = comment.hasPrefix("///") || comment.hasPrefix("// SAFETY:")
                #expect(isDocumented, "\(file.path):\(number + 1): say what it is, its invariant, who owns it")
            }
        }
    }

    /// A type at the top of a file. Types inside others share the story of the outer one.
    static func declaresType(_ line: Substring) -> Bool {
        let words = line.split(whereSeparator: { " :<{".contains($0) })
        guard let first = words.first, line.first != " ", first != "private", first != "fileprivate" else {
            return false
        }
        let modifiers: Set<Substring> = ["package", "internal", "final", "indirect", "nonisolated", "@unchecked"]
        let kind = words.first { !modifiers.contains($0) && !$0.hasPrefix("@") }
        return ["struct", "class", "enum", "protocol", "actor"].contains(kind)
    }
}
