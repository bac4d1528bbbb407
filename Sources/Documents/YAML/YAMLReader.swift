/// A document of a YAML stream, and where its fields stand in the file.
package struct YAMLDocument: Sendable {
    package let json: JSON
    package let file: String
    /// Where the document starts, from 1.
    package let line: Int
    private let positions: YAMLPositions
    private let root: Int?

    init(json: JSON, file: String, line: Int, positions: YAMLPositions, root: Int?) {
        self.json = json
        self.file = file
        self.line = line
        self.positions = positions
        self.root = root
    }

    /// Where the field at a path like `spec.rules[0].backends[1].weight` stands; `nil` where the file has no such
    /// field.
    package func position(ofField path: String) -> (line: Int, column: Int)? {
        guard let (field, isExact) = field(at: path), isExact else { return nil }
        return positions.position(of: field)
    }

    /// As `position(ofField:)`, or where the nearest field around it stands: a field that is missing has no position.
    package func nearestPosition(toField path: String) -> (line: Int, column: Int) {
        guard let (field, _) = field(at: path) else { return (line, 1) }
        return positions.position(of: field)
    }

    private func field(at path: String) -> (field: Int, isExact: Bool)? {
        guard var field = root else { return nil }
        for step in YAMLPositions.steps(of: path) {
            guard let child = positions.child(step, of: field) else { return (field, false) }
            field = child
        }
        return (field, true)
    }

    /// The document itself, or what it lists where it is a List (of any kind: `ConfigMapList` too), lists in lists
    /// included.
    func flattened() -> [YAMLDocument] {
        guard json["kind"]?.stringValue?.hasSuffix("List") == true, let items = json["items"]?.arrayValue else {
            return [self]
        }
        let list = root.flatMap { positions.child(.key("items"), of: $0) }
        return items.enumerated().flatMap { number, item in
            let field = list.flatMap { positions.child(.index(number), of: $0) }
            let line = field.map { positions.position(of: $0).line } ?? line
            return YAMLDocument(json: item, file: file, line: line, positions: positions, root: field).flattened()
        }
    }
}

/// Reads YAML, and JSON, as kubectl does: scalars mean what they mean there, documents are split by `---`.
///
/// Stricter than kubectl in one thing: a key twice in a mapping is an error, with its line.
package enum YAMLReader {
    /// All documents of a file, in order. Empty ones are left out; what a List holds takes the List's place.
    package static func documents(in bytes: [UInt8], file: String) throws(YAMLError) -> [YAMLDocument] {
        try stream(bytes, file).flatMap { $0.flattened() }
    }

    /// The first document in `bytes` that is not empty, a List as it is; what follows is not read. `nil` where there is
    /// none.
    package static func first(in bytes: [UInt8], file: String) throws(YAMLError) -> YAMLDocument? {
        try stream(bytes, file, limit: 1).first
    }

    /// The one document in `bytes`, a List as it is. More or fewer are an error.
    package static func document(in bytes: [UInt8], file: String) throws(YAMLError) -> YAMLDocument {
        let documents = try stream(bytes, file)
        guard documents.count == 1 else {
            throw YAMLError(
                file: file, line: documents.last?.line ?? 1, column: 1,
                message: "expected one document, found \(documents.count)")
        }
        return documents[0]
    }

    private static func stream(_ bytes: [UInt8], _ file: String, limit: Int = .max) throws(YAMLError) -> [YAMLDocument]
    {
        if bytes.count > DocumentLimits.streamBytes {
            throw YAMLError(
                file: file, line: 1, column: 1,
                message: "expected at most \(DocumentLimits.streamBytes) bytes, found \(bytes.count)")
        }
        let isJSON = bytes.first { $0 > 0x20 } == UInt8(ascii: "{")
        // Every JSON text but a few escapes is YAML too, and read as YAML it has positions.
        let json = isJSON ? try? JSONParser.parseReportingDuplicates(bytes) : nil
        do throws(YAMLError) {
            return try bytes.withUnsafeBufferPointer { (buffer) throws(YAMLError) in
                try compose(buffer, file, limit, replacing: json?.duplicates.isEmpty == true ? json?.value : nil)
            }
        } catch {
            guard let json, json.duplicates.isEmpty else { throw error }
            return [YAMLDocument(json: json.value, file: file, line: 1, positions: YAMLPositions(), root: nil)]
        }
    }

    /// Composes a stream. `json` is its one document where it was JSON: JSON keeps `1.0` and `1` apart, YAML does not.
    private static func compose(
        _ buffer: UnsafeBufferPointer<UInt8>, _ file: String, _ limit: Int, replacing json: JSON?
    ) throws(YAMLError) -> [YAMLDocument] {
        var composer = try YAMLComposer(buffer, file: file)
        var found: [(value: JSON, root: Int)] = []
        while found.count < limit, let document = try composer.nextDocument() {
            if !document.value.isNull { found.append((json ?? document.value, document.root)) }
        }
        let positions = composer.positions
        return found.map { value, root in
            YAMLDocument(
                json: value, file: file, line: positions.position(of: root).line, positions: positions, root: root)
        }
    }
}
