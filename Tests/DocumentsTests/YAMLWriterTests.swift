import Documents
import Testing

@Suite("YAML is written as kubectl writes it")
struct YAMLWriterTests {
    @Test("the golden document, line by line")
    func golden() throws {
        var document = try JSONParser.parse(try testFile("Golden/writer.json"))
        document["metadata"]?["annotations"] = ["a": "b"]
        let expected = String(decoding: try testFile("Golden/writer.yaml"), as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        let found = YAMLWriter.text(document).split(separator: "\n", omittingEmptySubsequences: false)
        for (number, (expected, found)) in zip(expected, found).enumerated() {
            #expect(expected == found, "line \(number + 1)")
        }
        #expect(expected.count == found.count)
    }

    @Test("what is written is read back")
    func roundTrip() throws {
        let document = try JSONParser.parse(try testFile("Golden/writer.json"))
        let text = YAMLWriter.text(["data": document["data"] ?? .null, "nest": document["nest"] ?? .null])
        let back = try YAMLReader.document(in: Array(text.utf8), file: "-").json
        #expect(back["nest"] == document["nest"])
        for member in document["data"]?.objectValue?.members ?? [] {
            #expect(back["data"]?[member.key] == member.value, "\(member.key)")
        }
    }
}
