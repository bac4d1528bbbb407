package import Documents

/// One media type of an `Accept` or `Content-Type` header, lower case, with its parameters.
package struct MediaType: Sendable, Equatable {
    package var name: String
    package var parameters: [String: String]

    package init?(parsing text: Substring) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        guard let first = parts.first else { return nil }
        name = first.trimmingSpaces().lowercased()
        guard name.contains("/") else { return nil }
        parameters = [:]
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            parameters[pair[0].trimmingSpaces().lowercased()] = pair[1].trimmingSpaces()
        }
    }
}

extension Substring {
    func trimmingSpaces() -> String {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}

/// What an answer looks like: chosen from the `Accept` header among what we serve.
package struct Representation: Sendable, Equatable {
    package enum Form: Sendable, Equatable {
        case document
        /// A `Table` of meta.k8s.io at this version.
        case table(version: String)
        case partialMetadata(version: String, isList: Bool)
        /// An aggregated discovery list of apidiscovery.k8s.io at this version.
        case discovery(version: String)
    }
    package enum Encoding: Sendable, Equatable { case json, yaml }

    package var form = Form.document
    package var encoding = Encoding.json
    /// Indented, for people: curl, or `?pretty=1`.
    package var isPretty = false

    package init() {}

    package static let served = "application/json, application/yaml, application/vnd.kubernetes.protobuf"

    package static let notAcceptable = APIError(
        code: 406, reason: .notAcceptable, message: "only the following media types are accepted: \(served)")

    /// The first media type of the header that we can answer in. Clients that prefer protobuf name JSON behind it.
    package static func negotiate(accept: String, discovery: Bool = false) throws(APIError) -> Representation {
        if accept.isEmpty { return Representation() }
        for part in accept.split(separator: ",") {
            guard let type = MediaType(parsing: part) else { continue }
            var result = Representation()
            switch type.name {
            case "application/json", "*/*", "application/*": break
            case "application/yaml": result.encoding = .yaml
            default: continue
            }
            guard let form = form(of: type, discovery: discovery) else { continue }
            result.form = form
            return result
        }
        throw notAcceptable
    }

    private static func form(of type: MediaType, discovery: Bool) -> Form? {
        guard let name = type.parameters["as"] else { return .document }
        let version = type.parameters["v"] ?? ""
        switch (name, type.parameters["g"] ?? "", version) {
        case ("Table", "meta.k8s.io", "v1"), ("Table", "meta.k8s.io", "v1beta1"):
            return .table(version: version)
        case ("PartialObjectMetadata", "meta.k8s.io", "v1"), ("PartialObjectMetadata", "meta.k8s.io", "v1beta1"),
            ("PartialObjectMetadataList", "meta.k8s.io", "v1"), ("PartialObjectMetadataList", "meta.k8s.io", "v1beta1"):
            return .partialMetadata(version: version, isList: name.hasSuffix("List"))
        case ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"),
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1"):
            return discovery ? .discovery(version: version) : nil
        default: return nil
        }
    }
}

/// How a request body is encoded.
package enum BodyEncoding: Sendable, Equatable {
    case json, yaml, protobuf

    package static let accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"

    /// A missing header means JSON, as some clients send none.
    package init(contentType: String) throws(APIError) {
        guard let type = MediaType(parsing: contentType[...]) else {
            if contentType.isEmpty {
                self = .json
                return
            }
            throw Self.unsupported(Self.accepted)
        }
        switch type.name {
        case "application/json": self = .json
        case "application/yaml": self = .yaml
        case "application/vnd.kubernetes.protobuf": self = .protobuf
        default: throw Self.unsupported(Self.accepted)
        }
    }

    static func unsupported(_ accepted: String) -> APIError {
        APIError(
            code: 415, reason: .unsupportedMediaType,
            message: "the body of the request was in an unknown format - accepted media types include: \(accepted)")
    }
}

/// Which kind of patch a request carries.
package enum PatchEncoding: Sendable, Equatable {
    case merge, json, strategic, apply

    /// Strategic merge patches need Go types behind them, which built-in kinds alone have.
    package init(contentType: String, isBuiltIn: Bool) throws(APIError) {
        switch MediaType(parsing: contentType[...])?.name {
        case "application/merge-patch+json": self = .merge
        case "application/json-patch+json": self = .json
        case "application/apply-patch+yaml": self = .apply
        case "application/strategic-merge-patch+json" where isBuiltIn: self = .strategic
        default:
            let base = "application/json-patch+json, application/merge-patch+json"
            let strategic = isBuiltIn ? ", application/strategic-merge-patch+json" : ""
            throw BodyEncoding.unsupported("\(base)\(strategic), application/apply-patch+yaml")
        }
    }
}
