import Documents
import Seams
import Testing

/// The corners of managed fields: writes that are no applies, malformed bookkeeping, too many managers.
@Suite struct OwnershipTests {
    @Test func createOwnsObjectsAndLists() {
        var stage = Stage()
        stage.create(
            "curl",
            #"{"metadata": {"labels": {"a": "b"}}, "spec": {"size": 1, "frame": {}, "ports": [{"name": "in"}], "words": ["x"]}}"#
        )
        #expect(
            stage.owners == [
                #"curl Update: {"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{".":{},"f:frame":{},"#
                    + #""f:ports":{".":{},"k:{\"name\":\"in\"}":{".":{},"f:name":{}}},"f:size":{},"f:words":{}}}"#
            ])
    }

    @Test func updateThatChangesNothingKeepsTheTimes() {
        var stage = Stage()
        stage.create("curl", #"{"spec": {"size": 1}}"#)
        let before = stage.live
        stage.patch("curl", #"{"spec": {"size": 1}}"#)
        #expect(stage.live == before)
        stage.patch("other", "{}")
        #expect(stage.live == before)
    }

    @Test func updateTakesSilentlyAndForgetsWhatIsGone() throws {
        var stage = Stage()
        try stage.apply("a", #"{"spec": {"size": 1, "color": "Red", "tags": ["x", "y"]}}"#)
        stage.patch("b", #"{"spec": {"size": 2, "color": null, "tags": ["y"]}}"#)
        #expect(
            stage.owners == [
                #"a Apply: {"f:spec":{"f:tags":{"v:\"y\"":{}}}}"#, #"b Update: {"f:spec":{"f:size":{}}}"#,
            ])
    }

    @Test func firstApplyLeavesTheRestToBeforeFirstApply() throws {
        var stage = Stage()
        stage.live = widgetDocument(#"{"spec": {"size": 1, "color": "Red"}}"#)
        try stage.apply("a", #"{"spec": {"size": 1}}"#)
        #expect(
            stage.owners == [
                #"a Apply: {"f:spec":{"f:size":{}}}"#,
                #"before-first-apply Update: {"f:spec":{".":{},"f:color":{},"f:size":{}}}"#,
            ])
        let error = #expect(throws: APIError.self) { try stage.apply("a", #"{"spec": {"color": "Blue"}}"#) }
        #expect(
            error?.message
                == #"Apply failed with 1 conflict: conflict with "before-first-apply" using example.com/v1: .spec.color"#
        )
    }

    @Test func aListOfOneEmptyEntryForgetsEveryone() {
        var stage = Stage()
        stage.create("a", #"{"spec": {"size": 1}}"#)
        stage.patch("b", #"{"metadata": {"managedFields": [{}]}, "spec": {"size": 2}}"#)
        #expect(stage.owners.isEmpty)
        #expect(stage.live?["metadata"]?["managedFields"] == nil)
        stage.patch("c", #"{"spec": {"size": 3}}"#)
        #expect(stage.owners.isEmpty, "who forgot everyone is left alone until the next apply")
    }

    @Test(arguments: [
        #"[{"manager": "z"}]"#, #""nonsense""#, #"[{"manager": "z", "operation": "Update", "fieldsV1": {"x:y": {}}}]"#,
        #"[{"manager": "z", "operation": "Update", "fieldsV1": {"k:{": {}}}]"#, "[]", "null",
        #"[{"manager": "z", "operation": "Update", "fieldsType": "FieldsV2", "fieldsV1": {}}]"#,
    ])
    func malformedManagedFieldsFailNoUpdate(managedFields: String) {
        var stage = Stage()
        stage.create("a", #"{"spec": {"size": 1}}"#)
        stage.patch("b", #"{"metadata": {"managedFields": \#(managedFields)}, "spec": {"color": "Red"}}"#)
        #expect(
            stage.owners == [
                #"a Update: {"f:spec":{".":{},"f:size":{}}}"#, #"b Update: {"f:spec":{"f:color":{}}}"#,
            ])
        stage.live?["metadata"]?["managedFields"] = fixture(managedFields)
        stage.patch("c", #"{"spec": {"size": 5}}"#)
        #expect(stage.spec == fixture(#"{"size": 5, "color": "Red"}"#))
    }

    @Test func clientsMayEditManagedFields() {
        var stage = Stage()
        stage.create("a", #"{"spec": {"size": 1}}"#)
        stage.patch(
            "b",
            #"""
            {"metadata": {"managedFields": [{"manager": "z", "operation": "Apply", "apiVersion": "example.com/v1",
             "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:size": {}}}}]}}
            """#)
        #expect(stage.owners == [#"z Apply: {"f:spec":{"f:size":{}}}"#])
        stage.patch("b", #"{"metadata": {"managedFields": [{}]}}"#, subresource: "status")
        #expect(stage.owners == [#"z Apply: {"f:spec":{"f:size":{}}}"#], "not through a subresource")
    }

    @Test func theOldestOfTooManyUpdatersAreMerged() {
        var stage = Stage()
        for number in 0..<14 { stage.patch("m\(number)", #"{"spec": {"notes": {"n\#(number)": "x"}}}"#) }
        #expect(stage.owners.count == 10)
        #expect(stage.owners.first?.hasPrefix("ancient-changes Update: ") == true)
        #expect(stage.owners.last == #"m13 Update: {"f:spec":{"f:notes":{"f:n13":{}}}}"#)
        let owned = ManagedFields(stage.live?["metadata"]?["managedFields"])?.owned
        for number in 0..<14 {
            #expect(owned?.contains([.field("spec"), .field("notes"), .field("n\(number)")]) == true)
        }
    }

    @Test func fieldsOfTheServerBelongToNobody() throws {
        var stage = Stage()
        try stage.apply(
            "a", #"{"metadata": {"uid": "u", "creationTimestamp": null, "generation": 4}, "spec": {"size": 1}}"#)
        #expect(stage.owners == [#"a Apply: {"f:spec":{"f:size":{}}}"#])
        stage.live?["metadata"]?["uid"] = "1"
        stage.live?["metadata"]?["creationTimestamp"] = "2026-01-01T00:00:00Z"
        let before = stage.live
        try stage.apply("a", #"{"metadata": {"creationTimestamp": null}, "spec": {"size": 1}}"#)
        #expect(stage.live == before)
    }

    @Test func whatBecameAtomicIsOwnedAsAWhole() throws {
        var stage = Stage()
        try stage.apply("a", #"{"spec": {"frame": {"material": "oak"}}}"#)
        stage.schema = Schema(
            fixture(
                #"""
                {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                  "frame": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"material": {"type": "string"}}}}}}}
                """#))
        let error = #expect(throws: APIError.self) {
            try stage.apply("b", #"{"spec": {"frame": {"material": "ash"}}}"#)
        }
        #expect(error?.message == #"Apply failed with 1 conflict: conflict with "a": .spec.frame"#)
    }

    @Test func defaultsOfKeyFieldsNameElements() throws {
        var stage = Stage()
        try stage.apply(
            "a", #"{"spec": {"taps": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP", "note": "t"}]}}"#
        )
        try stage.apply("b", #"{"spec": {"taps": [{"port": 53, "note": "t"}]}}"#)
        #expect(stage.spec?["taps"]?.arrayValue?.count == 2)
        #expect(
            stage.owners.first
                == #"b Apply: {"f:spec":{"f:taps":{"k:{\"port\":53,\"protocol\":\"TCP\"}":{".":{},"f:note":{},"f:port":{}}}}}"#
        )
    }

    @Test func atomicPartsAreReplaced() throws {
        var stage = Stage()
        try stage.apply(
            "a", #"{"spec": {"choice": {"a": "1"}, "words": ["x"], "extra": {"deep": {"list": [1], "n": 1}}}}"#)
        try stage.apply("a", #"{"spec": {"choice": {"b": "2"}, "words": ["y"], "extra": {"deep": {"list": [2]}}}}"#)
        #expect(stage.spec == fixture(#"{"choice": {"b": "2"}, "words": ["y"], "extra": {"deep": {"list": [2]}}}"#))
        #expect(throws: APIError.self) { try stage.apply("b", #"{"spec": {"choice": {"b": "2", "a": "1"}}}"#) }
    }

    @Test(arguments: [
        (["a", "b", "c"], ["a", "b", "c"], ["a", "b", "c"]),
        (["a", "b", "c"], ["c", "a"], ["b", "c", "a"]),
        (["a", "b"], ["x", "b", "y"], ["a", "x", "b", "y"]),
        (["a", "b"], ["b", "x"], ["a", "b", "x"]),
        ([], ["b", "a"], ["b", "a"]),
        (["1", "2", "3", "4"], ["4", "n", "1"], ["2", "3", "4", "n", "1"]),
    ])
    func listsKeepTheConfigurationsOrder(live: [String], config: [String], expected: [String]) throws {
        func tags(_ values: [String]) -> JSON { widgetDocumentWithTags(values) }
        var stage = Stage()
        try stage.apply("a", document: tags(live))
        try stage.apply("b", document: tags(config))
        #expect(stage.spec?["tags"] == .array(expected.map { .string($0) }))
    }

    private func widgetDocumentWithTags(_ values: [String]) -> JSON {
        var document = widgetDocument("{}")
        document["spec"] = ["tags": .array(values.map { .string($0) })]
        return document
    }

    @Test func defaultsInOwnElementsOutliveTheNextApply() throws {
        var stage = Stage()
        try stage.apply("a", #"{"spec": {"ports": [{"name": "in", "port": 1}], "frame": {"lid": {"hinged": true}}}}"#)
        // Admission fills in defaults after the apply; nobody owns them.
        var defaulted = stage.live
        defaulted?["spec"]?["ports"] = [["name": "in", "port": 1, "target": 7]]
        defaulted?["spec"]?["frame"]?["material"] = "oak"
        stage.live = defaulted
        try stage.apply("a", #"{"spec": {"ports": [{"name": "in", "port": 1}], "frame": {"lid": {"hinged": true}}}}"#)
        #expect(stage.live == defaulted)
        try stage.apply("a", #"{"spec": {"ports": [{"name": "in", "port": 2}], "size": 1}}"#)
        #expect(stage.spec == fixture(#"{"ports": [{"name": "in", "port": 2, "target": 7}], "size": 1}"#))
    }

    @Test func entriesAreTheSameWhateverTheirTimesAndOrder() throws {
        func managed(_ first: String, _ second: String) -> ManagedFields? {
            func entry(_ manager: String, _ time: String) -> JSON {
                fixture(
                    #"""
                    {"manager": "\#(manager)", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:0\#(time)Z",
                     "fieldsType": "FieldsV1", "fieldsV1": {"f:\#(manager)": {}}}
                    """#)
            }
            return ManagedFields(.array([entry("a", first), entry("b", second)]))
        }
        let (early, late) = (try #require(managed("1", "2")), try #require(managed("3", "2")))
        #expect(early.json != late.json)
        #expect(early.isSame(exceptTimes: late))
        #expect(!early.isSame(exceptTimes: ManagedFields()))
    }

    @Test func storedDuplicatesAreReplacedByWhatIsApplied() throws {
        var stage = Stage()
        stage.create(
            "a", #"{"spec": {"ports": [{"name": "in", "port": 1}, {"name": "in", "port": 2}, {"name": "out"}]}}"#)
        try stage.apply("b", #"{"spec": {"ports": [{"name": "in", "port": 3}]}}"#, force: true)
        #expect(stage.spec == fixture(#"{"ports": [{"name": "in", "port": 3}, {"name": "out"}]}"#))
    }
}
