import Testing

@Suite("Who imports what")
struct ImportTests {
    /// The targets in the order data passes through them, with what each may import of ours and of others. The same
    /// order and the same dependencies stand in Package.swift.
    private static let table: [(target: String, ours: [String], others: [String])] = [
        ("CYAML", [], []),
        ("CZlib", [], []),
        ("CBundle", [], []),
        ("CShim", [], []),
        ("Seams", [], []),
        ("Documents", ["Seams", "CYAML"], []),
        ("Journal", ["Seams"], ["Crypto"]),
        ("Store", ["Seams", "Documents", "Journal"], ["Crypto"]),
        ("CEL", ["Documents"], []),
        ("Admission", ["Seams", "Documents", "CEL"], []),
        ("Client", ["Seams", "Documents"], nio + tls),
        ("Buckets", ["Seams", "Documents", "Store", "Client"], ["Crypto"]),
        (
            "APIServer", ["Seams", "Documents", "Store", "Admission", "Client", "CBundle", "CZlib"],
            nio + tls + certificates + ["NIOWebSocket", "Logging", "Crypto"]
        ),
        ("ControlLoop", ["Seams", "Documents", "Client"], ["Logging"]),
        ("Reconcilers", ["Seams", "Documents", "Client", "ControlLoop"], ["Crypto", "Logging"]),
        ("Node", ["Seams", "Documents", "Client", "CShim"], nio + ["Logging"]),
        ("Gateway", ["Seams", "Documents", "Client"], nio + ["Logging"]),
        (
            "Simulation",
            [
                "Seams", "Documents", "Journal", "Store", "Admission", "Client", "APIServer", "ControlLoop",
                "Reconcilers",
            ], nio + ["Logging"]
        ),
        (
            "espalier",
            [
                "Seams", "Documents", "Journal", "Store", "Admission", "Client", "Buckets", "APIServer", "ControlLoop",
                "Reconcilers", "Node", "Gateway",
            ], nio + ["Logging", "ArgumentParser"]
        ),
    ]
    private static let nio = ["NIOCore", "NIOPosix", "NIOHTTP1"]
    private static let tls = ["NIOSSL"]
    private static let certificates = ["X509", "SwiftASN1", "FoundationEssentials"]
    /// The toolchain's own, which every target may use.
    private static let toolchain = ["Glibc", "Synchronization", "Dispatch"]

    @Test("a target imports only what the table gives it")
    func imports() throws {
        for file in SourceTree.swiftFiles where file.isOurs {
            let row = try #require(
                Self.table.first { $0.target == file.target }, "\(file.path): add the target to the table")
            for (number, line) in file.codeLines.enumerated() {
                guard let name = Self.importedModule(line) else { continue }
                let isAllowed = (row.ours + row.others + Self.toolchain).contains(name)
                #expect(isAllowed, "\(file.path):\(number + 1): \(file.target) may not import \(name)")
            }
        }
    }

    @Test("the table looks only up, and Package.swift says the same")
    func order() throws {
        let package = String(decoding: try #require(SourceTree.read("Package.swift")), as: UTF8.self)
        for (position, row) in Self.table.enumerated() {
            let above = Self.table[..<position].map(\.target)
            for name in row.ours { #expect(above.contains(name), "\(row.target) may not look down at \(name)") }
        }
        let known = Set(Self.table.map(\.target))
        let declared: [(name: String, dependencies: [String])] = package.split(separator: "\n").compactMap { line in
            guard line.trimmingPrefix(while: { $0 == " " }).hasPrefix("module(\"") else { return nil }
            let quoted = line.split(separator: "\"", omittingEmptySubsequences: false).enumerated().filter {
                $0.offset % 2 == 1
            }
            let names = quoted.map { String($0.element) }.filter(known.contains)
            return names.first.map { ($0, Array(names.dropFirst())) }
        }
        let expected = Self.table.filter { !["CYAML", "CZlib", "CBundle", "CShim", "espalier"].contains($0.target) }
        #expect(declared.map(\.name) == expected.map(\.target), "the order of the modules in Package.swift")
        for (name, dependencies) in declared {
            let row = Self.table.first { $0.target == name }
            #expect(Set(dependencies) == Set(row?.ours ?? []), "the dependencies of \(name) in Package.swift")
        }
    }

    static func importedModule(_ line: Substring) -> String? {
        let words = line.split(separator: " ")
        guard let position = words.firstIndex(of: "import"), position <= 2, position + 1 < words.count,
            words[..<position].allSatisfy({
                ["package", "internal", "private", "fileprivate", "public"].contains($0) || $0.hasPrefix("@")
            })
        else { return nil }
        let kinds: [Substring] = ["struct", "class", "enum", "func", "protocol", "typealias", "var", "let"]
        let name =
            kinds.contains(words[position + 1]) && position + 2 < words.count
            ? words[position + 2] : words[position + 1]
        return name.split(separator: ".").first.map(String.init)
    }
}
