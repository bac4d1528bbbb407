internal import Documents
internal import NIOCore

/// Request bodies as documents.
extension APIExchange {
    var bodyBytes: [UInt8] { Array(request.body.readableBytesView) }

    /// The body as JSON, whatever it is encoded in.
    func readBody(_ options: inout WriteRequest) throws(APIError) -> JSON {
        switch try BodyEncoding(contentType: header("Content-Type")) {
        case .protobuf: return try ProtobufDecoder.document(bodyBytes).json
        case .yaml: return try readYAML(&options)
        case .json:
            do throws(JSONParseError) {
                let parsed = try JSONParser.parseReportingDuplicates(bodyBytes)
                options.duplicateFields = parsed.duplicates
                return parsed.value
            } catch {
                throw .badRequest("couldn't get version/kind; json parse error: \(error.goDescription)")
            }
        }
    }

    func readYAML(_ options: inout WriteRequest) throws(APIError) -> JSON {
        // Apply patches are YAML by name and JSON by habit; the faster reader takes what it can.
        if bodyBytes.first == UInt8(ascii: "{"), let parsed = try? JSONParser.parseReportingDuplicates(bodyBytes) {
            options.duplicateFields = parsed.duplicates
            return parsed.value
        }
        do throws(YAMLError) {
            guard let first = try YAMLReader.first(in: bodyBytes, file: "body") else { return .null }
            return first.json
        } catch {
            throw .badRequest("error decoding YAML: \(error)")
        }
    }

    /// How the body begins: JSON as text, anything else in hexadecimal.
    private var bodySummary: String {
        let start = bodyBytes.prefix(30)
        guard let first = start.first else { return "<empty>" }
        let text =
            first == UInt8(ascii: "{")
            ? String(decoding: start, as: UTF8.self)
            : start.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return start.count < request.body.readableBytes ? "\(text) ..." : text
    }

    /// The body as a document of `resource`. Built-in kinds may leave out what the address says already.
    func readDocument(_ resource: ServedResource, _ options: inout WriteRequest) throws(APIError) -> Document {
        let kind = resource.kind.kind
        let json: JSON
        do throws(APIError) {
            json = try readBody(&options)
        } catch {
            if error.reason != .badRequest { throw error }
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind)): \(error.message) (\(bodySummary))")
        }
        guard var object = json.objectValue else {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind)): couldn't get version/kind; json parse error: "
                    + "expected an object, found \(json.typeName)")
        }
        let isBuiltIn = resource.definition.isBuiltIn
        if isBuiltIn, (object["kind"]?.stringValue ?? "").isEmpty { object["kind"] = .string(kind) }
        if isBuiltIn, (object["apiVersion"]?.stringValue ?? "").isEmpty {
            object["apiVersion"] = .string(resource.apiVersion)
        }
        if (object["kind"]?.stringValue ?? "").isEmpty {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind)): Object 'Kind' is missing in '\(json.text())' ({})"
            )
        }
        let version = object["apiVersion"]?.stringValue ?? ""
        if version != resource.apiVersion {
            throw .badRequest(
                "the API version in the data (\(version)) does not match the expected API version (\(resource.apiVersion))"
            )
        }
        let found = object["kind"]?.stringValue ?? ""
        if isBuiltIn, found != kind {
            throw .badRequest(
                "\(found) in version \"\(resource.version.name)\" cannot be handled as a \(kind): converting (\(version).\(found)) to "
                    + "(\(version).\(kind)): unknown conversion")
        }
        return Document(.object(object))
    }
}
