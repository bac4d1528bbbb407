import Documents
import Testing

@Suite("Patches")
struct PatchTests {
    /// What the schemas of Deployment and Service say about their lists.
    private static let schema: Schema = {
        func list(_ keys: [String], _ properties: JSON = [:]) -> JSON {
            [
                "type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": .array(keys.map { .string($0) }),
                "items": ["type": "object", "properties": properties],
            ]
        }
        let ports = list(["containerPort", "protocol"], ["protocol": ["type": "string", "default": "TCP"]])
        let containers = list(["name"], ["env": list(["name"]), "ports": ports])
        let pod: JSON = ["type": "object", "properties": ["containers": containers, "volumes": list(["name"])]]
        let template: JSON = ["type": "object", "properties": ["spec": pod]]
        let services = list(["port", "protocol"], ["protocol": ["type": "string", "default": "TCP"]])
        return Schema([
            "type": "object",
            "properties": ["spec": ["type": "object", "properties": ["template": template, "ports": services]]],
        ])
    }()

    /// Drops empty members, as kubectl's typed structs add and drop them.
    private func clean(_ value: JSON) -> JSON {
        switch value {
        case .object(let object):
            let members = object.members.map { ($0.key, clean($0.value)) }
            return .object(JSONObject(members.filter { $0.1 != .null && $0.1 != [:] && $0.1 != [] }))
        case .array(let elements): return .array(elements.map(clean))
        default: return value
        }
    }

    @Test("every row of the table taken from kubectl")
    func kubectlTable() throws {
        let lines = String(decoding: try testFile("Golden/patches.txt"), as: UTF8.self).split(separator: "\n")
        var rows = 0
        for line in lines where !line.hasPrefix("#") {
            let parts = line.split(separator: "  |  ").map(String.init)
            let (document, patch) = (try json(parts[1]), try json(parts[2]))
            let found: JSON? =
                switch parts[0] {
                case "strategic": try? StrategicMergePatch.apply(patch, to: document, schema: Self.schema)
                case "json": try? JSONPatch.apply(patch, to: document)
                default: MergePatch.apply(patch, to: document)
                }
            let expected = parts[3] == "error" ? JSON?.none : try json(parts[3])
            #expect(found.map(clean) == expected, "\(parts[0]) \(parts[2])")
            rows += 1
        }
        #expect(rows > 65)
    }

    @Test("a patch by the first key finds the port of the other protocol too")
    func secondKey() throws {
        let service: JSON = [
            "spec": ["ports": [["port": 53, "protocol": "UDP", "name": "u"], ["port": 53, "name": "t"]]]
        ]
        func patched(_ port: JSON) throws -> JSON? {
            try StrategicMergePatch.apply(["spec": ["ports": [port]]], to: service, schema: Self.schema)["spec"]?[
                "ports"]
        }
        #expect(try patched(["port": 53, "name": "x"])?.arrayValue?[1]["name"] == "x")
        #expect(try patched(["port": 53, "protocol": "UDP", "name": "x"])?.arrayValue?[0]["name"] == "x")
        #expect(try patched(["port": 53, "protocol": "SCTP", "name": "x"])?.arrayValue?.count == 3)
    }

    @Test("lists of unknown schema are replaced, objects merged")
    func unknownSchema() throws {
        let result = try StrategicMergePatch.apply(
            ["a": ["l": [3], "n": nil], "b": [["x": 1]]], to: ["a": ["l": [1, 2], "n": 1, "k": true]],
            schema: Schema(["type": "object"]))
        #expect(result == ["a": ["l": [3], "k": true], "b": [["x": 1]]])
    }

    @Test(
        "JSON patches that are none, or do not fit",
        arguments: [
            (["op": "add"], 400), ([:], 400), ([3], 400), ([["op": "add", "path": "/a"]], 400),
            ([["op": "copy", "path": "/a", "from": "/nope"]], 422),
            ([["op": "add", "path": "/l/01", "value": 1]], 422),
            ([["op": "move", "path": "/l/0/x", "from": "/l"]], 422), ([["op": "remove", "path": ""]], 422),
            ([["op": "add", "path": "/l/-1", "value": 1]], 422),
            ([["op": "add", "path": "/l/9223372036854775808", "value": 1]], 422),
            ([["op": "remove", "path": "/l/-"]], 422),
        ] as [(JSON, Int)])
    func jsonPatchErrors(patch: JSON, code: Int) throws {
        let error = try #require(throws: APIError.self) { try JSONPatch.apply(patch, to: ["l": [1, 2]]) }
        #expect(error.code == code, "\(error)")
    }

    @Test("copies of copies end, and so does nesting")
    func bounded() throws {
        var doubling: [JSON] = [["op": "add", "path": "/a", "value": [1]]]
        for _ in 0..<100 {
            doubling.append(["op": "copy", "from": "/a", "path": "/b"])
            doubling.append(["op": "add", "path": "/c", "value": []])
            doubling.append(["op": "copy", "from": "/a", "path": "/c/0"])
            doubling.append(["op": "copy", "from": "/b", "path": "/c/1"])
            doubling.append(["op": "move", "from": "/c", "path": "/a"])
        }
        let error = try #require(throws: APIError.self) { try JSONPatch.apply(.array(doubling), to: [:]) }
        #expect([413, 422].contains(error.code))
        var nesting: [JSON] = [["op": "add", "path": "/a", "value": [:]]]
        for _ in 0..<1000 {
            nesting.append(["op": "copy", "from": "/a", "path": "/b"])
            nesting.append(["op": "replace", "path": "/a", "value": [:]])
            nesting.append(["op": "move", "from": "/b", "path": "/a/n"])
        }
        #expect(throws: APIError.self) { try JSONPatch.apply(.array(nesting), to: [:]) }
    }

    @Test("a merge patch keeps the order of members and adds new ones at the end")
    func mergeOrder() throws {
        let result = MergePatch.apply(["b": 9, "z": 1], to: ["a": 1, "b": 2, "c": 3])
        #expect(result.text() == #"{"a":1,"b":9,"c":3,"z":1}"#)
    }

    /// Conditions of a Job: apply owns the list as a whole, and patches merge it.
    @Test("a list that is atomic for apply can merge by a key of its own")
    func patchMergeKey() throws {
        let schema = Schema([
            "type": "object",
            "properties": [
                "conditions": [
                    "type": "array", "x-kubernetes-list-type": "atomic", "x-kubernetes-patch-merge-key": "type",
                    "items": ["type": "object"],
                ]
            ],
        ])
        let result = try StrategicMergePatch.apply(
            ["conditions": [["type": "B", "status": "True"], ["$patch": "delete", "type": "C"]]],
            to: ["conditions": [["type": "A"], ["type": "B", "reason": "r"], ["type": "C"]]], schema: schema)
        #expect(result["conditions"] == [["type": "A"], ["type": "B", "reason": "r", "status": "True"]])
    }
}
