import Admission
import CEL
import Documents
import Testing

/// The resource definitions that come with the binary.
@Suite struct BundledKindsTests {
    @Test func allAreRead() {
        #expect(TestKinds.documents.count >= 42)
        #expect(TestKinds.definitions.count == TestKinds.documents.count)
        let names = TestKinds.definitions.map(\.groupResource.description)
        #expect(Set(names).count == names.count)
    }

    @Test func eachIsNamedAfterItsPluralAndGroup() {
        for (document, definition) in zip(TestKinds.documents, TestKinds.definitions) {
            #expect(document.name == definition.groupResource.description)
        }
    }

    /// Ours must install on a real cluster, so they pass the checks made on any definition.
    @Test func oursAreStructural() throws {
        let definition = try #require(TestKinds.definitions.first { $0.kind == "CustomResourceDefinition" })
        for document in TestKinds.documents {
            if document.spec["group"]?.stringValue?.isEmpty == true
                || document.annotations["espalier.dev/built-in"] != nil
            {
                continue
            }
            let request = AdmissionRequest(
                definition: definition, version: "v1", operation: .create, new: document, fieldValidation: .strict)
            _ = try admit(request)
        }
    }

    /// `kubectl explain` is the manual: every field of ours has a description.
    @Test func everyFieldOfOursIsDescribed() {
        var missing: [String] = []
        func visit(_ schema: JSON, _ path: String) {
            for member in schema["properties"]?.objectValue?.members ?? [] {
                let place = "\(path).\(member.key)"
                if member.value["description"]?.stringValue?.isEmpty ?? true { missing.append(place) }
                visit(member.value, place)
                if let items = member.value["items"] { visit(items, place + "[]") }
            }
        }
        for document in TestKinds.documents where document.spec["group"] == "espalier.dev" {
            for version in document.spec["versions"]?.arrayValue ?? [] {
                visit(version["schema"]?["openAPIV3Schema"] ?? .null, document.name)
            }
        }
        #expect(missing == [])
    }

    /// Every rule of ours can be read, fits its schema, and is no burden.
    @Test func everyRuleOfOursIsRead() throws {
        func visit(_ schema: Schema) {
            for rule in schema.rules {
                #expect(throws: Never.self, "\(rule.rule)") {
                    let own = try #require(RuleDeclarations.declaration(of: schema, isRoot: true)?.declaration)
                    let program = try CELProgram.compiled(rule.rule)
                    let checked = try CELChecker.check(
                        program, variables: [("self", own.type), ("oldSelf", own.type)])
                    #expect(checked.type == .bool)
                    #expect(CELEstimator.maximum(of: checked, root: own) < 10_000_000)
                }
            }
            for property in schema.properties.values { visit(property) }
            if let items = schema.items { visit(items) }
        }
        for definition in TestKinds.definitions { for version in definition.versions { visit(version.schema) } }
    }

    @Test func aReferenceToNoShapeIsRefused() {
        let file: JSON = ["kind": "CustomResourceDefinition", "spec": ["$ref": "Nothing"]]
        #expect(throws: APIError.self) { try BundledKinds.documents(in: [file]) }
        let circle: JSON = ["shapes": ["A": ["$ref": "A"]]]
        let user: JSON = ["kind": "CustomResourceDefinition", "spec": ["$ref": "A"]]
        #expect(throws: APIError.self) { try BundledKinds.documents(in: [circle, user]) }
    }
}
