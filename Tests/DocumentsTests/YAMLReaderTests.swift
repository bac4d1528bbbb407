import Documents
import Testing

@Suite("YAML is read as kubectl reads it")
struct YAMLReaderTests {
    @Test("every row of the table taken from kubectl")
    func kubectlTable() throws {
        let lines = String(decoding: try testFile("Golden/reader.txt"), as: UTF8.self).split(separator: "\n")
        var rows = 0
        for line in lines where !line.hasPrefix("#") {
            let parts = line.split(separator: "  =>  ", maxSplits: 1).map(String.init)
            let yaml = try #require(try json(parts[0]).stringValue)
            let found = try? YAMLReader.document(in: Array((yaml + "\n").utf8), file: "-").json
            if parts[1] == "error" {
                #expect(found == nil, "kubectl refuses \(parts[0]), we read \(found?.text() ?? "")")
            } else {
                #expect(
                    found == (try json(parts[1])),
                    "\(parts[0]): kubectl reads \(parts[1]), we \(found?.text() ?? "refuse")")
            }
            rows += 1
        }
        #expect(rows > 150)
    }

    private func read(_ text: String) throws -> [YAMLDocument] {
        try YAMLReader.documents(in: Array(text.utf8), file: "f.yaml")
    }

    @Test("documents are split, empty ones left out, Lists opened with their lines")
    func documents() throws {
        let documents = try read(
            """
            # nothing
            ---
            a: 1
            ---
            ---
            kind: List
            items:
            - kind: PodList
              items:
              - b: 2
            - c: 3
            ...
            ---
            d: 4
            """)
        #expect(documents.map(\.json) == [["a": 1], ["b": 2], ["c": 3], ["d": 4]])
        #expect(documents.map(\.line) == [3, 10, 11, 14])
        let position = try #require(documents[2].position(ofField: "c"))
        #expect(position == (11, 3))
    }

    @Test("fields have positions, missing fields those of what is around them")
    func positions() throws {
        let document = try read(
            """
            metadata:
              labels: {app.kubernetes.io/name: web, x: y}
            spec:
              rules:
              - path: /
                backends:
                - weight: 90
                - weight: ten
            """)[0]
        func at(_ path: String) -> [Int]? { document.position(ofField: path).map { [$0.line, $0.column] } }
        #expect(at("spec.rules[0].backends[1].weight") == [8, 7])
        #expect(at("spec.rules[0]") == [5, 5])
        #expect(at("metadata.labels[app.kubernetes.io/name]") == [2, 12])
        #expect(at("spec.rules[1]") == nil)
        #expect(at("spec.nothing") == nil)
        let nearest = document.nearestPosition(toField: "spec.rules[0].hosts")
        #expect([nearest.line, nearest.column] == [5, 5])
    }

    @Test(
        "errors name the line",
        arguments: [
            ("a: 1\nb: [1, 2\n", 3, "did not find expected ',' or ']'"),
            ("a:\n  b: 1\n\tc: 2\n", 3, "tab"),
            ("a: 1\nb: 2\na: 3\n", 3, "expected each key once, found \"a\" again (first on line 1)"),
            ("a: *nowhere\n", 1, "expected an anchor &nowhere"),
            ("a: &x [*x]\n", 1, "inside its own anchor"),
            ("a: b: c\n", 1, "mapping values are not allowed"),
            ("x: 1\ny: .nan\n", 2, "expected a number that JSON has"),
            ("a:\n- {<<: 3}\n", 2, "behind <<"),
            ("a: \"\\q\"\n", 1, "escape"),
        ] as [(String, Int, String)])
    func errors(text: String, line: Int, message: String) throws {
        let error = try #require(throws: YAMLError.self) { try read(text) }
        #expect(error.line == line)
        #expect(error.message.contains(message), "\(error)")
        #expect(error.description.hasPrefix("f.yaml:\(line):"))
    }

    @Test("bytes that are not UTF-8 are refused with their line")
    func invalidUTF8() throws {
        let error = try #require(throws: YAMLError.self) {
            try YAMLReader.documents(in: Array("a: b\nc: ".utf8) + [0xFF, 0xFE], file: "f.yaml")
        }
        #expect(error.line == 2)
    }

    @Test("aliases cannot multiply without bound")
    func bomb() throws {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            text += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ","))]\n"
        }
        let error = try #require(throws: YAMLError.self) { try read(text) }
        #expect(error.message.contains("aliases"))
    }

    @Test("nesting is bounded, through aliases too")
    func depth() throws {
        #expect(throws: YAMLError.self) { try read(String(repeating: "[", count: 2000)) }
        var text = "a0: &a0 [x]\n"
        for level in 1...200 { text += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        #expect(throws: YAMLError.self) { try read(text) }
        #expect(throws: Never.self) {
            try read(String(repeating: "[", count: 100) + String(repeating: "]", count: 100))
        }
    }

    @Test("JSON is read as JSON, with positions")
    func readsJSON() throws {
        let document = try read("{\n\t\"a\": 1.0,\n  \"b\": {\"c\": \"\\/\"}\n}")[0]
        #expect(document.json == ["a": .number(1), "b": ["c": "/"]])
        #expect(try read("{\"a\":\n  {\"b\": 1}}")[0].position(ofField: "a.b")?.line == 2)
        #expect(try read("{\"a\": \"\\ud83d\\ude00\"}")[0].json == ["a": "😀"])
        #expect(throws: YAMLError.self) { try read("{\"a\": 1, \"a\": 2}") }
    }
}
