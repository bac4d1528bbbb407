import APIServer
import Documents
import Testing

/// Which form and encoding a client gets, from the headers real clients send.
@Suite struct NegotiationTests {
    @Test(arguments: [
        ("", Representation.Form.document), ("application/json", .document), ("*/*", .document),
        ("application/vnd.kubernetes.protobuf,application/json", .document),
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            .table(version: "v1")
        ),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
                + "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            .partialMetadata(version: "v1", isList: true)
        ),
        ("application/json; as=Table; v=v9; g=meta.k8s.io, application/json", .document),
    ])
    func chooses(_ accept: String, _ form: Representation.Form) throws {
        #expect(try Representation.negotiate(accept: accept).form == form)
    }

    @Test func choosesYAML() throws {
        #expect(try Representation.negotiate(accept: "application/yaml").encoding == .yaml)
    }

    @Test(arguments: ["text/plain", "application/xml", "application/json;as=Sculpture;v=v1;g=meta.k8s.io", ";;;", "a"])
    func refuses(_ accept: String) {
        #expect(throws: Representation.notAcceptable) { try Representation.negotiate(accept: accept) }
    }

    @Test func strategicPatchesAreForBuiltInKinds() throws {
        let type = "application/strategic-merge-patch+json"
        #expect(try PatchEncoding(contentType: type, isBuiltIn: true) == .strategic)
        #expect(throws: APIError.self) { try PatchEncoding(contentType: type, isBuiltIn: false) }
    }

    @Test func aMissingContentTypeIsJSON() throws {
        #expect(try BodyEncoding(contentType: "") == .json)
        #expect(throws: APIError.self) { try BodyEncoding(contentType: "text/plain") }
    }
}
