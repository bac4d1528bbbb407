import APIServer
import Documents
import Store
import Testing

/// Lists: one revision across pages, and what selectors find.
@Suite struct ListTests {
    private func names(_ answer: ListAnswer) -> [String] { answer.entries.map { $0.key.objectKey.name } }

    @Test func pagesShowOneRevision() throws {
        let api = try TestAPI()
        for name in ["a", "b", "c", "d", "e"] { _ = try api.configMap(name) }
        let resource = try api.resource(TestAPI.configMaps)
        var request = ListRequest()
        request.namespace = "default"
        request.limit = 2
        let first = try api.pipeline.list(resource, request, .sequenced)
        #expect(names(first) == ["a", "b"])
        #expect(first.remaining == 3)
        try api.delete(TestAPI.configMaps, "c")
        _ = try api.configMap("bb")
        request.continuation = first.continuation
        let second = try api.pipeline.list(resource, request, .sequenced)
        #expect(names(second) == ["c", "d"])
        #expect(second.revision == first.revision)
        #expect(second.remaining == 1)
        request.continuation = second.continuation
        let third = try api.pipeline.list(resource, request, .sequenced)
        #expect(names(third) == ["e"])
        #expect(third.continuation.isEmpty)
    }

    @Test func aPageOfForgottenHistoryIsExpired() throws {
        let api = try TestAPI()
        for name in ["a", "b"] { _ = try api.configMap(name) }
        let resource = try api.resource(TestAPI.configMaps)
        var request = ListRequest()
        request.limit = 1
        request.continuation = try api.pipeline.list(resource, request, .sequenced).continuation
        _ = try api.configMap("c")
        api.pipeline.store.flush()
        api.pipeline.store.compact(to: api.pipeline.store.durableRevision)
        #expect(api.refusal { _ = try api.pipeline.list(resource, request, .sequenced) }?.code == 410)
    }

    @Test(arguments: [
        ("app in (x,y)", "", ["one", "two"]), ("app=x", "", ["one"]), ("!app", "", ["three"]),
        ("app!=x", "", ["three", "two"]),
        ("", "metadata.name=two", ["two"]), ("", "metadata.name!=two", ["one", "three"]),
        ("app", "metadata.name=three", []),
    ])
    func selectorsFind(_ labels: String, _ fields: String, _ expected: [String]) throws {
        let api = try TestAPI()
        for (name, app) in [("one", "x"), ("two", "y"), ("three", nil)] as [(String, String?)] {
            var metadata: JSON = ["name": .string(name)]
            if let app { metadata["labels"] = ["app": .string(app)] }
            try api.create(TestAPI.configMaps, ["apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata])
        }
        let resource = try api.resource(TestAPI.configMaps)
        var request = ListRequest()
        request.namespace = "default"
        request.selection = try Selection(labelSelector: labels, fieldSelector: fields, resource)
        #expect(names(try api.pipeline.list(resource, request, .sequenced)) == expected)
    }

    @Test func aFieldThatCannotBeSelectedIsNamed() throws {
        let api = try TestAPI()
        let refusal = api.refusal {
            _ = try Selection(labelSelector: "", fieldSelector: "data.a=1", try api.resource(TestAPI.configMaps))
        }
        #expect(refusal?.message == "field label not supported: data.a")
    }

    @Test(arguments: ["nonsense", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiIn0", "////", "="])
    func aTokenOfSomebodyElseIsRefusedOrHarmless(_ token: String) throws {
        let api = try TestAPI()
        var request = ListRequest()
        request.continuation = token
        let refusal = api.refusal {
            _ = try api.pipeline.list(try api.resource(TestAPI.configMaps), request, .sequenced)
        }
        #expect(refusal == nil || refusal?.code == 400)
    }
}
