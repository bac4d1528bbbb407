import Documents
import Testing

/// Going over from kubectl's client-side apply to server-side apply.
@Suite struct LastAppliedTests {
    private static let annotation = "kubectl.kubernetes.io/last-applied-configuration"

    private func clientSideApplied() -> Stage {
        var stage = Stage()
        stage.create(
            "kubectl-client-side-apply",
            #"""
            {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration":
              "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"annotations\":{},\"name\":\"alpha\"},\"spec\":{\"color\":\"Red\",\"size\":5}}\n"}},
             "spec": {"color": "Red", "size": 5}}
            """#)
        return stage
    }

    @Test func conflictsWithWhatKubectlAppliedItselfAreNone() throws {
        var stage = clientSideApplied()
        try stage.apply("kubectl", #"{"spec": {"color": "Blue"}}"#)
        #expect(stage.spec == fixture(#"{"color": "Blue", "size": 5}"#))
        #expect(
            stage.live?["metadata"]?["annotations"]?[Self.annotation]?.stringValue
                == #"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"alpha"},"spec":{"color":"Blue"}}"#
                + "\n")
    }

    @Test func otherManagersConflict() throws {
        var stage = clientSideApplied()
        #expect(throws: APIError.self) { try stage.apply("other", #"{"spec": {"color": "Blue"}}"#) }
    }

    @Test func whatWasChangedSinceConflicts() throws {
        var stage = clientSideApplied()
        stage.patch("someone", #"{"spec": {"size": 6}}"#)
        let error = #expect(throws: APIError.self) {
            try stage.apply("kubectl", #"{"spec": {"color": "Blue", "size": 7}}"#)
        }
        #expect(
            error?.message
                == #"Apply failed with 1 conflict: conflict with "someone" using example.com/v1: .spec.size"#)
        #expect(stage.spec == fixture(#"{"color": "Red", "size": 6}"#))
    }

    @Test func theAnnotationIsNotBegunByServerSideApply() throws {
        var stage = Stage()
        try stage.apply("kubectl", #"{"spec": {"color": "Blue"}}"#)
        #expect(stage.live?["metadata"]?["annotations"] == nil)
    }
}
