import Documents
import Testing

/// What a real API server did with the same requests, recorded in golden transcripts 06 and 34.
@Suite struct GoldenApplyTests {
    private static let full = #"""
        {"metadata": {"labels": {"app": "one"}}, "spec": {"color": "Red", "size": 5,
         "ports": [{"name": "in", "port": 80}], "tags": ["ash", "elm"], "frame": {"material": "oak"}}}
        """#

    @Test func firstApplyCreatesAndOwnsWhatItSays() throws {
        var stage = Stage()
        try stage.apply("kubectl", Self.full)
        #expect(
            stage.owners == [
                #"kubectl Apply: {"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:color":{},"f:frame":{"f:material":{}},"#
                    + #""f:ports":{"k:{\"name\":\"in\"}":{".":{},"f:name":{},"f:port":{}}},"f:size":{},"#
                    + #""f:tags":{"v:\"ash\"":{},"v:\"elm\"":{}}}}"#
            ])
    }

    @Test func applyingTheSameAgainIsTheSameDocument() throws {
        var stage = Stage()
        try stage.apply("kubectl", Self.full)
        let before = stage.live
        try stage.apply("kubectl", Self.full)
        #expect(stage.live == before)
    }

    @Test func oneConflict() throws {
        var stage = Stage()
        try stage.apply("kubectl", Self.full)
        let error = #expect(throws: APIError.self) { try stage.apply("other", #"{"spec": {"color": "Green"}}"#) }
        #expect(error?.message == #"Apply failed with 1 conflict: conflict with "kubectl": .spec.color"#)
        #expect(error?.code == 409)
    }

    @Test func severalConflicts() throws {
        var stage = Stage()
        try stage.apply("kubectl", Self.full)
        let error = #expect(throws: APIError.self) {
            try stage.apply(
                "other",
                #"""
                {"metadata": {"labels": {"app": "two"}}, "spec": {"color": "Green", "size": 6,
                 "ports": [{"name": "in", "port": 81}], "frame": {"material": "pine"}}}
                """#)
        }
        #expect(
            error?.message == """
                Apply failed with 5 conflicts: conflicts with "kubectl":
                - .metadata.labels.app
                - .spec.color
                - .spec.size
                - .spec.frame.material
                - .spec.ports[name="in"].port
                """)
        #expect(
            error?.causes.first
                == APIError.Cause(
                    reason: "FieldManagerConflict", message: #"conflict with "kubectl""#, field: ".metadata.labels.app")
        )
        #expect(error?.causes.count == 5)
    }

    @Test func forceTakesOverAndSharesWhatIsEqual() throws {
        var stage = Stage()
        try stage.apply("kubectl", Self.full)
        let created = stage.time(of: "kubectl")
        try stage.apply("other", Self.takeover, force: true)
        #expect(
            stage.spec
                == fixture(
                    #"""
                    {"color": "Green", "size": 5, "ports": [{"name": "in", "port": 80}, {"name": "out", "port": 90}],
                     "tags": ["ash", "elm", "fir"], "frame": {"material": "oak"}}
                    """#))
        #expect(
            stage.owners == [
                #"kubectl Apply: {"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:frame":{"f:material":{}},"#
                    + #""f:ports":{"k:{\"name\":\"in\"}":{".":{},"f:name":{},"f:port":{}}},"f:size":{},"#
                    + #""f:tags":{"v:\"ash\"":{},"v:\"elm\"":{}}}}"#,
                #"other Apply: {"f:spec":{"f:color":{},"f:ports":{"k:{\"name\":\"out\"}":{".":{},"f:name":{},"f:port":{}}},"#
                    + #""f:tags":{"v:\"elm\"":{},"v:\"fir\"":{}}}}"#,
            ])
        #expect(stage.time(of: "kubectl") == created)
    }

    private static let takeover = #"""
        {"spec": {"color": "Green", "tags": ["elm", "fir"], "ports": [{"name": "out", "port": 90}]}}
        """#

    @Test func withdrawingRemovesWhatNobodyElseOwns() throws {
        var stage = Stage()
        try stage.apply("kubectl", Self.full)
        try stage.apply("other", Self.takeover, force: true)
        try stage.apply("kubectl", #"{"spec": {"size": 5}}"#)
        #expect(stage.live?["metadata"]?["labels"] == nil)
        #expect(
            stage.spec
                == fixture(
                    #"""
                    {"color": "Green", "ports": [{"name": "out", "port": 90}], "size": 5, "tags": ["elm", "fir"]}
                    """#))
        #expect(stage.owners.last == #"kubectl Apply: {"f:spec":{"f:size":{}}}"#, "the latest write is the last entry")
    }

    @Test func updateTakesFieldsAndConflictsNameItsVersion() throws {
        var stage = Stage()
        try stage.apply("kubectl", #"{"spec": {"size": 5}}"#)
        try stage.apply("other", Self.takeover)
        stage.patch("patcher", #"{"spec": {"size": 8}}"#)
        let error = #expect(throws: APIError.self) { try stage.apply("kubectl", #"{"spec": {"size": 5}}"#) }
        #expect(
            error?.message
                == #"Apply failed with 1 conflict: conflict with "patcher" using example.com/v1: .spec.size"#)
        try stage.apply("kubectl", #"{"spec": {"size": 8}}"#)
        #expect(
            stage.owners == [
                #"kubectl Apply: {"f:spec":{"f:size":{}}}"#,
                #"other Apply: {"f:spec":{"f:color":{},"f:ports":{"k:{\"name\":\"out\"}":{".":{},"f:name":{},"f:port":{}}},"#
                    + #""f:tags":{"v:\"elm\"":{},"v:\"fir\"":{}}}}"#,
                #"patcher Update: {"f:spec":{"f:size":{}}}"#,
            ])
        #expect(stage.time(of: "kubectl") == nil, "an apply that changed nothing leaves no time")
    }

    @Test(arguments: [
        (#"{"spec": {"colour": "Red"}}"#, ".spec.colour: field not declared in schema"),
        (#"{"spec": {"tags": ["q", "q"]}}"#, #".spec.tags: duplicate entries for key [="q"]"#),
        (
            #"{"spec": {"ports": [{"port": 1}]}}"#,
            #".spec.ports: element 0: associative list with keys has an element that omits all key fields ["name"] "#
                + "(and doesn't have default values for any key fields)"
        ),
        (#"{"spec": {"size": "many"}}"#, ".spec.size: expected numeric (int or float), got string"),
        (#"{"spec": {"limit": {}}}"#, ".spec.limit: expected any scalar, got object"),
        (#"{"metadata": {"labels": []}}"#, ".metadata.labels: expected map, got array"),
    ])
    func unfitConfigurations(body: String, message: String) throws {
        var stage = Stage()
        let error = #expect(throws: APIError.self) { try stage.apply("m", body) }
        #expect(
            error?.message
                == "failed to create typed patch object (/alpha; example.com/v1, Kind=Widget): \(message)")
        #expect(error?.isUnfit == true)
        #expect(error.map { APIError(status: $0.status) } == error)
        #expect(stage.live == nil)
    }

    @Test func managedFieldsMayNotBeApplied() throws {
        var stage = Stage()
        let error = #expect(throws: APIError.self) {
            try stage.apply("m", #"{"metadata": {"managedFields": [{"manager": "z"}]}}"#)
        }
        #expect(error?.message == "metadata.managedFields must be nil")
        #expect(error?.code == 400)
    }

    @Test func statusHasOwnersOfItsOwn() throws {
        var stage = Stage(hasStatus: true)
        try stage.apply("m1", #"{"spec": {"size": 5}, "status": {"phase": "Bad"}}"#)
        #expect(stage.live?["status"] == nil)
        try stage.apply(
            "m3", #"{"spec": {"size": 6}, "status": {"phase": "Good", "replicas": 2}}"#, subresource: "status")
        #expect(
            stage.owners == [
                #"m1 Apply: {"f:spec":{"f:size":{}}}"#,
                #"m3 Apply status: {"f:status":{"f:phase":{},"f:replicas":{}}}"#,
            ])
        #expect(stage.spec == fixture(#"{"size": 5}"#))
        #expect(stage.live?["status"] == fixture(#"{"phase": "Good", "replicas": 2}"#))
        let error = #expect(throws: APIError.self) {
            try stage.apply("m4", #"{"status": {"phase": "Bad"}}"#, subresource: "status")
        }
        #expect(
            error?.message
                == #"Apply failed with 1 conflict: conflict with "m3" with subresource "status": .status.phase"#)
    }

    @Test func mapsOfStringsMergeByKey() throws {
        var stage = Stage(
            schema: Schema(
                fixture(
                    #"""
                    {"type": "object", "properties": {"data": {"type": "object", "additionalProperties": {"type": "string"}}}}
                    """#)))
        try stage.apply("kubectl", #"{"data": {"a": "1", "b": "2"}}"#)
        let error = #expect(throws: APIError.self) { try stage.apply("other", #"{"data": {"a": "3"}}"#) }
        #expect(error?.message == #"Apply failed with 1 conflict: conflict with "kubectl": .data.a"#)
        try stage.apply("kubectl", #"{"data": {"b": "2"}}"#)
        #expect(stage.live?["data"] == fixture(#"{"b": "2"}"#))
        #expect(stage.owners == [#"kubectl Apply: {"f:data":{"f:b":{}}}"#])
    }
}
