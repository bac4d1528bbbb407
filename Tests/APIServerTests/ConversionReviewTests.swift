import Documents
import Testing

@testable import APIServer

/// What is asked of a conversion webhook, and what is made of its answers. The texts are upstream's.
@Suite struct ConversionReviewTests {
    private static func widget(_ version: String, _ name: String = "w", _ change: (inout JSON) -> Void = { _ in })
        -> JSON
    {
        var json: JSON = [
            "apiVersion": .string("example.com/\(version)"), "kind": "Widget",
            "metadata": [
                "name": .string(name), "namespace": "demo", "uid": "u-1", "resourceVersion": "7", "labels": ["a": "1"],
            ],
            "spec": ["size": 1],
        ]
        change(&json)
        return json
    }

    private func review(_ names: [String] = ["w"], version: String = "v1", isList: Bool = false) -> ConversionReview {
        ConversionReview(
            documents: names.map { Document(Self.widget("v1", $0)) }, target: "example.com/v2",
            subject: "example.com/v1, Kind=Widget\(isList ? "List" : "")", version: version, uid: "review-1",
            isList: isList)
    }

    private static func answer(_ objects: [JSON], _ change: (inout JSON) -> Void = { _ in }) -> JSON {
        var json: JSON = [
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
            "response": ["uid": "review-1", "result": ["status": "Success"], "convertedObjects": .array(objects)],
        ]
        change(&json)
        return json
    }

    private func refusal(_ answer: JSON, _ review: ConversionReview) -> String {
        do throws(APIError) {
            _ = try review.converted(by: answer)
            return ""
        } catch {
            #expect(error.code == 500)
            return error.message
        }
    }

    @Test func aReviewHoldsTheDocumentsAndWhatTheyShallBe() {
        #expect(
            review(["a", "b"]).request == [
                "kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1",
                "request": [
                    "uid": "review-1", "desiredAPIVersion": "example.com/v2",
                    "objects": [Self.widget("v1", "a"), Self.widget("v1", "b")],
                ],
            ])
    }

    @Test func labelsAreTheWebhooksToChangeAndTheRestOfMetadataIsNot() throws {
        let converted = Self.widget("v2") {
            $0["metadata"] = ["name": "w", "namespace": "demo", "uid": "u-1", "labels": ["b": "2"], "generation": 99]
            $0["spec"] = ["measure": 1]
        }
        let result = try #require(try review().converted(by: Self.answer([converted])).first)
        #expect(result.json["spec"] == ["measure": 1])
        #expect(
            result.json["metadata"] == [
                "name": "w", "namespace": "demo", "uid": "u-1", "resourceVersion": "7", "labels": ["b": "2"],
            ])
    }

    private static let answers: [(JSON, String)] = [
        (
            answer([]) { $0["kind"] = "Review" },
            "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1, Kind=Review"
        ),
        (answer([]) { $0["response"] = nil }, "failed: no response provided"),
        (answer([]) { $0["response"]?["uid"] = "other" }, "failed: expected response.uid=\"review-1\", got \"other\""),
        (answer([]) { $0["response"]?["result"] = ["status": "Failed", "message": "not today"] }, "failed: not today"),
        (
            answer([]) { $0["response"]?["result"] = ["status": "Failed"] },
            "failed: response.result.status was 'Failed', not 'Success'"
        ),
        (answer([]), "returned 0 objects, expected 1"),
        (
            answer([widget("v1")]),
            "returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v1)"
        ),
        (
            answer([widget("v2") { $0["kind"] = "Gadget" }]),
            "returned invalid object at index 0: invalid kind (expected Widget, received Gadget)"
        ),
        (answer([widget("v2", "x")]), "returned invalid object: must have the same name: w != x"),
        (
            answer([widget("v2") { $0["metadata"]?["uid"] = "u-2" }]),
            "returned invalid object: must have the same UID: u-1 != u-2"
        ),
        (
            answer([widget("v2") { $0["metadata"]?["labels"] = ["a": 1] }]),
            "returned invalid metadata: metadata.labels[a] must be a string, but is integer in converted object"
        ),
    ]

    @Test(arguments: answers.indices) func whatIsWrongWithAnAnswerIsSaid(number: Int) {
        let (answer, text) = Self.answers[number]
        #expect(refusal(answer, review()) == "conversion webhook for example.com/v1, Kind=Widget \(text)")
    }

    @Test func ofAListTheOneThatIsWrongIsNamed() {
        #expect(
            refusal(Self.answer([Self.widget("v2", "a"), Self.widget("v2", "c")]), review(["a", "b"], isList: true))
                == "conversion webhook for example.com/v1, Kind=WidgetList returned invalid converted object at index 2: "
                + "must have the same name: b != c")
    }

    @Test func theOldReviewNamesNoRequest() throws {
        let answer: JSON = ["response": ["result": ["status": "Success"], "convertedObjects": [Self.widget("v2")]]]
        #expect(try review(version: "v1beta1").converted(by: answer).map(\.apiVersion) == ["example.com/v2"])
        #expect(refusal(answer, review()).contains("failed: expected webhook response"))
    }

    @Test func aConversionIsWantedOnceAndKnownWhateverTheTimesSay() throws {
        let conversions = Conversions()
        func wanted(_ document: JSON) -> APIError? {
            do throws(APIError) {
                _ = try conversions.converted(Document(document), to: "example.com/v2")
                return nil
            } catch {
                return error
            }
        }
        #expect(wanted(Self.widget("v1")) == Conversions.missing)
        let asked = try #require(conversions.takeWanted())
        #expect(asked.documents.count == 1 && !asked.isList && conversions.takeWanted() == nil)
        conversions.learn(asked, [Document(Self.widget("v2") { $0["spec"] = ["measure": 1] })])
        let later = Self.widget("v1") { $0["metadata"]?["creationTimestamp"] = "2026-01-01T00:00:00Z" }
        let converted = try conversions.converted(Document(later), to: "example.com/v2")
        #expect(converted.spec == ["measure": 1] && converted.creationTimestamp == "2026-01-01T00:00:00Z")
        #expect(wanted(Self.widget("v1") { $0["spec"] = ["size": 2] }) == Conversions.missing)
        #expect(wanted(Self.widget("v1", "other")) == Conversions.missing)
        let both = [Self.widget("v1", "c"), Self.widget("v1", "d")]
        #expect(throws: Conversions.missing) {
            try conversions.each(both) { json throws(APIError) in
                _ = try conversions.converted(Document(json), to: "example.com/v2")
            }
        }
        #expect(conversions.takeWanted()?.isList == true)
    }
}
