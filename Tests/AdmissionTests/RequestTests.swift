import Admission
import Documents
import Testing

/// What the request itself decides: kind and version, patches, duplicates, operations.
@Suite struct RequestTests {
    static func widget(_ spec: JSON, name: String = "c", kind: String = "Widget") -> Document {
        Document([
            "apiVersion": "example.com/v1", "kind": .string(kind),
            "metadata": ["name": .string(name), "namespace": "demo"],
            "spec": spec,
        ])
    }

    static func request(
        _ document: Document, _ change: (inout AdmissionRequest) -> Void = { _ in }
    ) throws -> AdmissionRequest {
        let definition = try #require(TestKinds.definitions.first { $0.kind == "Widget" })
        var request = AdmissionRequest(definition: definition, version: "v1", operation: .create, new: document)
        change(&request)
        return request
    }

    static func message(_ request: AdmissionRequest) -> String {
        do {
            _ = try admit(request)
            return ""
        } catch {
            return error.message
        }
    }

    @Test(.timeLimit(.minutes(15))) func aHundredUnknownFieldsAreReportedAndAllGo() throws {
        let unknown = (0..<60_000).map { ("x\($0)", JSON.integer(1)) }
        let spec = JSONObject([("color", "Red"), ("size", 1)] + unknown)
        let admitted = try admit(try Self.request(Self.widget(.object(spec))))
        #expect(admitted.document.spec.objectValue?.keys.contains { $0.hasPrefix("x") } == false)
        #expect(admitted.warnings.count { $0.hasPrefix("unknown field \"spec.x") } == 100)
        let strict = try Self.request(Self.widget(.object(spec))) { $0.fieldValidation = .strict }
        #expect(Self.message(strict).split(separator: "unknown field").count == 101)
    }

    /// As recorded: nothing is defaulted into a document of another kind.
    @Test func anotherKindIsRefused() throws {
        let request = try Self.request(Self.widget(["color": "Red"], kind: "Gadget"))
        let expected =
            "Gadget.example.com \"c\" is invalid: [kind: Invalid value: \"Gadget\": must be Widget, spec: "
            + "Invalid value: \"object\": no such key: size evaluating rule: only Blue widgets may be larger than 50]"
        #expect(Self.message(request) == expected)
    }

    @Test func aNameIsNeeded() throws {
        var document = Self.widget(["color": "Red"])
        document.json["metadata"]?["name"] = nil
        let expected =
            "Widget.example.com \"\" is invalid: [metadata.name: Required value: name or generateName is required, "
            + "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
            + "correct the existing errors to complete validation]"
        #expect(Self.message(try Self.request(document)) == expected)
    }

    @Test func anUnknownVersionIsRefused() throws {
        let request = try Self.request(Self.widget(["color": "Red"])) { $0.version = "v9" }
        #expect(Self.message(request) == "widgets.example.com has no version v9")
    }

    @Test func duplicatesComeBeforeUnknownFields() throws {
        let request = try Self.request(Self.widget(["color": "Red", "odd": 1])) {
            $0.duplicateFields = ["spec.color"]
            $0.fieldValidation = .strict
        }
        let expected =
            "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: duplicate field "
            + "\"spec.color\", unknown field \"spec.odd\""
        #expect(Self.message(request) == expected)
    }

    @Test func aPatchedDocumentIsQuoted() throws {
        let request = try Self.request(Self.widget(["color": "Red", "odd": 1])) {
            $0.isPatch = true
            $0.fieldValidation = .strict
        }
        do {
            _ = try admit(request)
            Issue.record("expected a refusal")
        } catch {
            #expect(error.code == 422)
            #expect(error.kind.isEmpty)
            #expect(error.causes.map(\.field) == ["patch"])
            #expect(
                error.message.hasPrefix(
                    " \"\" is invalid: patch: Invalid value: \"{\\\"apiVersion\\\":\\\"example.com/v1\\\""))
            #expect(error.message.hasSuffix(": strict decoding error: unknown field \"spec.odd\""))
        }
    }

    @Test func deletionIsNotJudged() throws {
        let request = try Self.request(Self.widget(["color": "Purple"])) { $0.operation = .delete }
        #expect(Self.message(request) == "")
    }

    @Test func whatTheServerOwnsCannotChange() throws {
        var old = Self.widget(["color": "Red"])
        old.json["metadata"]?["uid"] = "a"
        var new = old
        new.json["metadata"]?["uid"] = "b"
        let request = try Self.request(new) {
            $0.operation = .update
            $0.old = old
        }
        #expect(
            Self.message(request)
                == "Widget.example.com \"c\" is invalid: metadata.uid: Invalid value: \"b\": field is immutable")
    }

    @Test func annotationsHaveALimit() throws {
        var document = Self.widget(["color": "Red"])
        document.json["metadata"]?["annotations"] = ["a": .string(String(repeating: "x", count: 300_000))]
        let expected = "metadata.annotations: Too long: may not be more than 262144 bytes"
        #expect(Self.message(try Self.request(document)).contains(expected))
    }

    @Test func aMalformedMetadataCannotBeRead() throws {
        var document = Self.widget(["color": "Red"])
        document.json["metadata"]?["labels"] = ["a": 1]
        let expected =
            "Widget in version \"v1\" cannot be handled as a Widget: json: cannot unmarshal number into Go struct "
            + "field ObjectMeta.metadata.labels of type string"
        #expect(Self.message(try Self.request(document)) == expected)
    }

    /// Semantic rules look at the specification; what is stored is not judged again, nor does it hold up the status.
    @Test func onlyAChangedSpecificationIsJudged() throws {
        let definition = try #require(TestKinds.definitions.first { $0.kind == "Landscape" })
        let broken = Document([
            "apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape",
            "metadata": ["name": "shop", "namespace": "demo"], "spec": ["services": [["name": "web"]]],
        ])
        var request = AdmissionRequest(
            definition: definition, version: "v1alpha1", operation: .create, new: broken)
        #expect(Self.message(request).contains("needs a command or steps"))
        request.operation = .update
        request.old = broken
        request.new.json["metadata"]?["labels"] = ["a": "b"]
        #expect(Self.message(request) == "")
        request.new["spec"] = ["services": [["name": "web"], ["name": "api", "image": "a/b"]]]
        #expect(Self.message(request).contains("needs a command or steps"))
        request.subresource = "status"
        #expect(Self.message(request) == "")
    }
}
