import Admission
import Documents
import Testing

@Suite struct AdmissionReviewTests {
    private static func review() throws -> AdmissionReview {
        let bytes = try #require(TestFiles.read("crds/landscapes.yaml"))
        let definitions = try YAMLReader.documents(in: bytes, file: "landscapes.yaml").compactMap {
            ResourceDefinition(customResourceDefinition: Document($0.json))
        }
        return AdmissionReview(definitions: definitions)
    }

    private static func landscape(routeTo service: String) -> JSON {
        [
            "apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape",
            "metadata": ["name": "shop", "namespace": "team-a"],
            "spec": [
                "services": [["name": "web", "command": ["/bin/web"], "ports": [["name": "http", "port": 3000]]]],
                "routes": [
                    [
                        "hosts": ["shop.localhost"],
                        "rules": [["path": "/", "service": .string(service), "port": "http"]],
                    ]
                ],
            ],
        ]
    }

    private static func request(
        _ object: JSON, operation: String = "CREATE", resource: String = "landscapes", subresource: String? = nil
    ) -> JSON {
        var request: JSON = [
            "uid": "u-1", "operation": .string(operation), "object": object, "oldObject": .null,
            "resource": ["group": "espalier.dev", "version": "v1alpha1", "resource": .string(resource)],
        ]
        if let subresource { request["subResource"] = .string(subresource) }
        return ["apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request]
    }

    private static func answer(_ review: JSON, _ phase: AdmissionReview.Phase = .validating) throws -> JSON {
        let answer = try Self.review().answer(review, phase)
        #expect(answer["apiVersion"] == "admission.k8s.io/v1")
        #expect(answer["kind"] == "AdmissionReview")
        #expect(answer["request"] == nil)
        return try #require(answer["response"])
    }

    @Test("what our server would store is let in, what it would refuse is refused with the same Status")
    func decides() throws {
        let good = try Self.answer(Self.request(Self.landscape(routeTo: "web")))
        #expect(good == ["uid": "u-1", "allowed": true])
        let bad = try Self.answer(Self.request(Self.landscape(routeTo: "wbe")))
        #expect(bad["allowed"] == false)
        #expect(bad["status"]?["code"] == 422)
        #expect(bad["status"]?["reason"] == "Invalid")
        let message = bad["status"]?["message"]?.stringValue ?? ""
        #expect(message.contains("spec.routes[0].rules[0].service"))
        #expect(message.contains("wbe"))
    }

    @Test("what it knows nothing of, it lets in: other kinds, deletions, other subresources")
    func hasNoOpinion() throws {
        let bad = Self.landscape(routeTo: "wbe")
        #expect(try Self.answer(Self.request(bad, resource: "widgets"))["allowed"] == true)
        #expect(try Self.answer(Self.request(bad, operation: "DELETE"))["allowed"] == true)
        #expect(try Self.answer(Self.request(bad, operation: "CONNECT"))["allowed"] == true)
        #expect(try Self.answer(Self.request(bad, subresource: "scale"))["allowed"] == true)
        #expect(try Self.answer(Self.request(.null))["allowed"] == true)
    }

    @Test("the mutating webhook brings the document into shape by a JSON patch, the validating one never does")
    func patches() throws {
        var unshaped = Self.landscape(routeTo: "web")
        unshaped["spec"]?["unknown"] = 1
        #expect(try Self.answer(Self.request(unshaped))["patch"] == nil)
        let response = try Self.answer(Self.request(unshaped), .mutating)
        #expect(response["patchType"] == "JSONPatch")
        let bytes = try #require(response["patch"]?.stringValue.flatMap(Base64.decode))
        let patch = try JSONParser.parse(bytes)
        let shaped = try JSONPatch.apply(patch, to: unshaped)
        #expect(shaped["spec"]?["unknown"] == nil)
        #expect(shaped["spec"]?["services"]?.arrayValue?.first?["name"] == "web")
        #expect(shaped["metadata"] == unshaped["metadata"])
    }

    @Test(
        "what is no review is the caller's mistake, not a refusal",
        arguments: [
            #"{}"#, #"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"u"}}"#,
            #"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#,
            #"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":""}}"#, "[]", "7",
        ])
    func noReview(text: String) throws {
        let json = try JSONParser.parse(Array(text.utf8))
        let error = #expect(throws: APIError.self) { _ = try Self.review().answer(json, .validating) }
        #expect(error?.code == 400)
    }
}
