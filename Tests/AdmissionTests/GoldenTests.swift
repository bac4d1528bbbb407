import Admission
import Documents
import Testing

/// Each file of `Golden/` holds cases: YAML, `----`, what admission says. Cases are parted by `====`. A second YAML
/// document is the new version of the first. A first line `# strict`, `# warn` or `# ignore` says what becomes of
/// unknown members. `REWRITE=1` writes what admission says now.
@Suite struct GoldenTests {
    static let folder = "Tests/AdmissionTests/Golden"

    @Test(arguments: TestFiles.names(in: folder).filter { $0.hasSuffix(".txt") })
    func admissionSaysWhatIsWritten(file: String) throws {
        let text = String(decoding: TestFiles.read("\(Self.folder)/\(file)") ?? [], as: UTF8.self)
        var rewritten: [String] = []
        for part in Self.split(text, at: "====") {
            let halves = Self.split(part, at: "----")
            let input = halves[0]
            let said = Self.answer(to: input)
            rewritten.append("\(input)----\n\(said)")
            if !TestFiles.rewrites { #expect(said == (halves.count > 1 ? halves[1] : ""), "\(input)") }
        }
        if TestFiles.rewrites { TestFiles.write("\(Self.folder)/\(file)", rewritten.joined(separator: "====\n")) }
    }

    static func split(_ text: String, at separator: String) -> [String] {
        var parts = [""]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if line == separator { parts.append("") } else { parts[parts.count - 1] += line + "\n" }
        }
        if let last = parts.last, last.hasSuffix("\n\n") { parts[parts.count - 1] = String(last.dropLast()) }
        if parts.count > 1 {
            for index in parts.indices where parts[index].hasSuffix("\n\n") { parts[index].removeLast() }
        }
        return parts
    }

    static func answer(to input: String) -> String {
        do {
            let documents = try YAMLReader.documents(in: Array(input.utf8), file: "case").map { Document($0.json) }
            guard let last = documents.last, let definition = TestKinds.definition(of: last) else {
                return "no such kind\n"
            }
            var old: Document?
            if documents.count > 1 {
                old = try admit(
                    AdmissionRequest(
                        definition: definition, version: last.groupVersionKind.version, operation: .create,
                        new: named(documents[0], definition)
                    )
                ).document
            }
            let validation: AdmissionRequest.FieldValidation =
                input.hasPrefix("# strict") ? .strict : input.hasPrefix("# ignore") ? .ignore : .warn
            let result = try admit(
                AdmissionRequest(
                    definition: definition, version: last.groupVersionKind.version,
                    operation: old == nil ? .create : .update,
                    old: old, new: named(last, definition), fieldValidation: validation))
            let warnings = result.warnings.map { "Warning: \($0)\n" }.joined()
            return warnings + YAMLWriter.text(result.document.json)
        } catch let error as APIError {
            if error.causes.isEmpty { return "\(error.code) \(error.reason.rawValue): \(error.message)\n" }
            let causes = error.causes.map { "* \($0.field): \($0.message) [\($0.reason)]\n" }
            return "\(error.code) \(error.reason.rawValue)\n" + causes.joined()
        } catch {
            return "\(error)\n"
        }
    }

    /// Cases leave the namespace out.
    static func named(_ document: Document, _ definition: ResourceDefinition) -> Document {
        var document = document
        if definition.isNamespaced, document.namespace.isEmpty {
            var metadata = document.metadata
            metadata["namespace"] = "demo"
            document.metadata = metadata
        }
        return document
    }
}
