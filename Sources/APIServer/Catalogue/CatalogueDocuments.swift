internal import Documents
internal import Synchronization

/// Discovery and OpenAPI answers of one catalogue, encoded when they are first asked for and kept. They are the largest
/// answers a client gets at every command, and change only with the catalogue.
package final class CatalogueDocuments: Sendable {
    /// Encoded bytes with the entity tag that names them.
    package struct Encoded: Sendable {
        package let bytes: [UInt8]
        package let tag: String

        init(_ json: JSON) { self.init(bytes: json.encoded) }

        init(bytes: [UInt8]) {
            self.bytes = bytes
            tag = ContentHash.text(bytes)
        }
    }

    package let catalogue: ResourceCatalogue
    package let discovery: Discovery
    private let cache = Mutex<[String: Encoded]>([:])

    package init(catalogue: ResourceCatalogue, serverAddress: String) {
        self.catalogue = catalogue
        discovery = Discovery(catalogue: catalogue, serverAddress: serverAddress)
    }

    package func aggregated(core: Bool, version: String) -> Encoded {
        cached("discovery/\(core)/\(version)") { discovery.aggregated(core: core, version: version) }
    }

    /// A document of OpenAPI v3; `nil` for a version that is not served.
    package func openAPI(_ name: String) -> Encoded? {
        if let known = cache.withLock({ $0["openapi/\(name)"] }) { return known }
        guard let document = OpenAPI(catalogue: catalogue).document(name) else { return nil }
        return cached("openapi/\(name)") { document }
    }

    package var openAPIVersion2: Encoded {
        cached("openapi/v2") { OpenAPIVersion2(catalogue: catalogue).document }
    }

    package var openAPIVersion2Protobuf: Encoded {
        cached("openapi/v2/protobuf") {
            Encoded(bytes: OpenAPIVersion2.protobuf(OpenAPIVersion2(catalogue: catalogue).document))
        }
    }

    /// The index of OpenAPI v3. The hash in each address lets clients keep the document for ever.
    package var openAPIIndex: Encoded {
        cached("openapi") {
            var paths = JSONObject()
            for name in OpenAPI(catalogue: catalogue).documentNames {
                let hash = openAPIHash(name)
                paths[name] = ["serverRelativeURL": .string("/openapi/v3/\(name)?hash=\(hash)")]
            }
            return ["paths": .object(paths)]
        }
    }

    /// Names a document by what it is made from, so that the index costs no encoding of every document.
    private func openAPIHash(_ name: String) -> String {
        var text = name
        let parts = name.split(separator: "/")
        let group = parts.count == 3 ? String(parts[1]) : ""
        for definition in catalogue.definitions where definition.group == group {
            for version in definition.versions where version.name == parts[parts.count - 1] {
                text += "/\(definition.plural)/\(version.hasStatus)"
                if !definition.isBuiltIn { text += ContentHash.text(version.schema.source.encoded) }
            }
        }
        return ContentHash.text(Array(text.utf8))
    }

    private func cached(_ name: String, _ make: () -> JSON) -> Encoded { cached(name) { Encoded(make()) } }

    private func cached(_ name: String, _ make: () -> Encoded) -> Encoded {
        if let known = cache.withLock({ $0[name] }) { return known }
        let encoded = make()
        cache.withLock { $0[name] = encoded }
        return encoded
    }
}
