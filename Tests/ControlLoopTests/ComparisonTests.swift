import ControlLoop
import Documents
import Testing

/// When a write is needed, told from a document and its managed fields alone.
struct ComparisonTests {
    private let owner = FieldOwner(loop: "test")

    private func live(_ json: JSON, fields: JSON, manager: String = "espalier-test", subresource: String? = nil)
        -> Document
    {
        var entry: JSON = ["manager": .string(manager), "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields]
        if let subresource { entry["subresource"] = .string(subresource) }
        var document = Document(json)
        document.metadata["managedFields"] = [entry]
        return document
    }

    @Test func sameFieldsNeedNothing() {
        let wanted = Document(["kind": "X", "metadata": ["name": "a", "labels": ["l": "1"]], "spec": ["n": 1]])
        let stored = live(
            [
                "kind": "X", "metadata": ["name": "a", "uid": "u", "labels": ["l": "1", "other": "2"]],
                "spec": ["n": 1, "byDefault": true],
            ],
            fields: ["f:metadata": ["f:labels": ["f:l": [:]]], "f:spec": ["f:n": [:]]])
        #expect(Comparison.difference(wanted: wanted, live: stored, owner: owner) == nil)
    }

    @Test func changedFieldIsNamed() {
        let wanted = Document(["spec": ["n": 2]])
        let stored = live(["spec": ["n": 1]], fields: ["f:spec": ["f:n": [:]]])
        #expect(Comparison.difference(wanted: wanted, live: stored, owner: owner) == .field(".spec.n"))
    }

    @Test func fieldThatIsNoLongerWantedIsNamed() {
        let wanted = Document(["spec": ["n": 1]])
        let stored = live(["spec": ["n": 1, "old": 1]], fields: ["f:spec": ["f:n": [:], "f:old": [:]]])
        #expect(Comparison.difference(wanted: wanted, live: stored, owner: owner) == .field(".spec.old"))
    }

    @Test func fieldTakenOverByAnotherIsTakenBack() {
        let wanted = Document(["spec": ["n": 1, "m": 2]])
        let stored = live(["spec": ["n": 1, "m": 2]], fields: ["f:spec": ["f:n": [:]]])
        #expect(Comparison.difference(wanted: wanted, live: stored, owner: owner) == .field(".spec.m"))
        let foreign = live(
            ["spec": ["n": 1, "m": 2]], fields: ["f:spec": ["f:n": [:], "f:m": [:]]], manager: "kubectl")
        #expect(Comparison.difference(wanted: wanted, live: foreign, owner: owner) != nil)
    }

    @Test func listsAreComparedByTheirKeys() {
        let fields: JSON = [
            "f:spec": [
                "f:ports": [
                    "k:{\"name\":\"a\"}": [".": [:], "f:name": [:], "f:port": [:]],
                    "k:{\"name\":\"b\"}": [".": [:], "f:name": [:], "f:port": [:]],
                ]
            ]
        ]
        let stored = live(
            [
                "spec": [
                    "ports": [
                        ["name": "x", "port": 9], ["name": "b", "port": 2, "protocol": "TCP"],
                        ["name": "a", "port": 1],
                    ]
                ]
            ],
            fields: fields)
        let same = Document(["spec": ["ports": [["name": "a", "port": 1], ["name": "b", "port": 2]]]])
        #expect(Comparison.difference(wanted: same, live: stored, owner: owner) == nil)
        let fewer = Document(["spec": ["ports": [["name": "a", "port": 1]]]])
        #expect(Comparison.difference(wanted: fewer, live: stored, owner: owner) == .field(".spec.ports"))
        let other = Document(["spec": ["ports": [["name": "a", "port": 1], ["name": "b", "port": 3]]]])
        #expect(
            Comparison.difference(wanted: other, live: stored, owner: owner) == .field(".spec.ports[name=\"b\"].port"))
    }

    @Test func setsAreComparedByTheirValues() {
        let stored = live(
            ["metadata": ["finalizers": ["a", "other"]]],
            fields: ["f:metadata": ["f:finalizers": [".": [:], "v:\"a\"": [:]]]])
        #expect(
            Comparison.difference(wanted: Document(["metadata": ["finalizers": ["a"]]]), live: stored, owner: owner)
                == nil)
        #expect(
            Comparison.difference(
                wanted: Document(["metadata": ["finalizers": ["a", "b"]]]), live: stored, owner: owner) != nil)
    }

    @Test func defaultsInsideAWholeListAreToldApart() {
        let stored = live(["spec": ["rules": [["name": "a", "byDefault": 1]]]], fields: ["f:spec": ["f:rules": [:]]])
        let wanted = Document(["spec": ["rules": [["name": "a"]]]])
        #expect(Comparison.difference(wanted: wanted, live: stored, owner: owner) == .insideAtomic(".spec.rules"))
    }

    @Test func statusIsComparedAlone() {
        let stored = live(
            ["spec": ["n": 1], "status": ["ready": 1]], fields: ["f:status": ["f:ready": [:]]], subresource: "status")
        let wanted = Document(["metadata": ["name": "a", "uid": "u"], "status": ["ready": 1]])
        #expect(Comparison.difference(wanted: wanted, live: stored, owner: owner, subresource: "status") == nil)
        #expect(
            Comparison.difference(
                wanted: Document(["status": ["ready": 2]]), live: stored, owner: owner, subresource: "status")
                == .field(".status.ready"))
        #expect(Comparison.difference(wanted: Document(["spec": ["n": 1]]), live: stored, owner: owner) != nil)
    }
}
