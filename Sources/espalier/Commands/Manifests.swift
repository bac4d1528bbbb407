internal import Client
internal import Documents

/// A document from a file, which remembers where each field stands.
struct Manifest {
    let file: String
    let source: YAMLDocument
    var document: Document

    /// `file:line:column` of a field, or of the nearest field around it where it is not in the file.
    func place(of field: String) -> String {
        let position = source.nearestPosition(toField: PositionalPath.resolve(field, in: source.json))
        return "\(file):\(position.line):\(position.column)"
    }

    /// The documents of files, folders and `-`, in the order given. Nothing is answered unless all of them can be read.
    static func read(_ paths: [String]) throws -> [Manifest] {
        var manifests: [Manifest] = []
        for path in paths {
            for file in Files.isDirectory(path) ? try Files.manifests(in: path) : [path] {
                let name = file == "-" ? "<stdin>" : file
                for source in try YAMLReader.documents(in: try Files.read(file), file: name) where !source.json.isNull {
                    manifests += try expand(source, file: name)
                }
            }
        }
        if manifests.isEmpty {
            throw Files.Failure(description: "no documents found in \(paths.joined(separator: ", "))")
        }
        return manifests
    }

    /// A List is its items.
    private static func expand(_ source: YAMLDocument, file: String) throws -> [Manifest] {
        let document = Document(source.json)
        for field in ["apiVersion", "kind"] where document[field]?.stringValue == nil {
            throw Files.Failure(description: "\(file):\(source.line): expected a document with \(field), found none")
        }
        if document.kind == "List", let items = document["items"]?.arrayValue {
            return items.map { Manifest(file: file, source: source, document: Document($0)) }
        }
        if document.name.isEmpty {
            throw Files.Failure(description: "\(file):\(source.line): expected metadata.name, found none")
        }
        return [Manifest(file: file, source: source, document: document)]
    }

    /// Explains a refusal on standard error: a line for each cause, at its place in the file.
    func complain(_ error: APIError) {
        let causes = error.causes.filter { !$0.field.isEmpty }
        if causes.isEmpty { return Terminal.complain("\(file):\(source.line): error: \(error.message)") }
        for cause in causes { Terminal.complain("\(place(of: cause.field)): error: \(cause.field): \(cause.message)") }
        if error.reason == .conflict {
            Terminal.complain("hint: another manager set these fields; --force-conflicts takes them over")
        }
    }
}
