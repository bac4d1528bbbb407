import Documents
import Seams
import Testing

/// Documents of very many members cost in proportion to their size. Where they did not, these would not end in time.
@Suite(.timeLimit(.minutes(15))) struct HostileDocumentTests {
    private static let many = 60_000

    private static func members(_ value: JSON) -> JSON {
        .object(JSONObject((0..<many).map { ("k\($0)", value) }))
    }

    @Test func aMergeThatRemovesEverything() throws {
        let target: JSON = ["data": Self.members("v"), "kept": 1]
        let patch: JSON = ["data": Self.members(.null)]
        #expect(MergePatch.apply(patch, to: target) == ["data": [:], "kept": 1])
        let strategic = try StrategicMergePatch.apply(patch, to: target, schema: Schema(["type": "object"]))
        #expect(strategic == ["data": [:], "kept": 1])
    }

    @Test func aJSONPatchThatRemovesOneByOneIsRefused() throws {
        let removals = (0..<10_000).map { ["op": "remove", "path": .string("/k\($0)")] as JSON }
        let error = #expect(throws: APIError.self) {
            try JSONPatch.apply(.array(removals), to: Self.members("v"))
        }
        #expect(error?.message == "JSON patch: it copies or moves too much")
        let few = try JSONPatch.apply(.array(Array(removals.prefix(50))), to: Self.members("v"))
        #expect(few.objectValue?.count == Self.many - 50)
    }

    @Test func membersAreRemovedTogether() {
        var object: JSONObject = ["a": 1, "b": 2, "c": 3]
        object.removeAll(["c", "a", "x"])
        #expect(object == ["b": 2])
        object.removeAll([])
        #expect(object["b"] == 2)
    }

    @Test func tenThousandUpdatersBecomeTen() throws {
        let entries = (0..<10_000).map { number in
            [
                "manager": .string("m\(number)"), "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "time": .string("2026-01-01T00:00:00Z"), "fieldsV1": ["f:data": ["f:k\(number)": [:]]],
            ] as JSON
        }
        let document: JSON = [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "a", "managedFields": .array(entries)],
            "data": .object(JSONObject((0..<10_000).map { ("k\($0)", "v") })),
        ]
        var changed = document
        changed["data"]?["more"] = "x"
        let updated = ServerSideApply.update(
            from: document, to: changed, schema: Schema(["type": "object"]), manager: "me", apiVersion: "v1",
            subresource: nil, now: Instant(nanoseconds: 1_800_000_000_000_000_000), hasStatus: false)
        let managed = try #require(ManagedFields(updated["metadata"]?["managedFields"]))
        #expect(managed.entries.count == 10)
        #expect(managed.entries.contains { $0.manager == "ancient-changes" })
        #expect(managed.owned.paths.count >= 10_000)
    }

    @Test func onlyTheFirstDocumentOfABodyIsRead() throws {
        let text = "# nothing\n---\nkind: ConfigMapList\nitems: [{a: 1}]\n---\n}this is no YAML"
        let first = try YAMLReader.first(in: Array(text.utf8), file: "body")
        #expect(first?.json == ["kind": "ConfigMapList", "items": [["a": 1]]])
        #expect(try YAMLReader.first(in: Array("---\n---\n".utf8), file: "body") == nil)
    }

    @Test func aStatusGivesBackALittleOfWhatWasSent() {
        let long = String(repeating: "é", count: 1 << 20)
        let cause = APIError.Cause(reason: "FieldValueInvalid", message: "\(long) is wrong", field: long)
        let kind = GroupVersionKind(group: "", version: "v1", kind: "ConfigMap")
        let status = APIError.invalid(kind, long, [cause]).status
        #expect(status.encoded.count < 64 * 1024)
        let message = status["message"]?.stringValue ?? ""
        #expect(message.hasPrefix("ConfigMap \"éé") && message.hasSuffix("éé is wrong"))
        #expect(APIError.badRequest("short é").status["message"] == "short é")
    }

    @Test func lengthIsJudgedWithoutEncoding() {
        let document: JSON = ["a": ["bc", 1, true, .null], "d": [:], "e": "\u{1}\u{1}"]
        let count = document.encoded.count
        #expect(!document.isLonger(than: count))
        #expect(document.isLonger(than: count / 2))
        #expect(JSON.string(String(repeating: "x", count: 100)).isLonger(than: 101))
        #expect(!JSON.string(String(repeating: "x", count: 100)).isLonger(than: 102))
    }
}
