/// One kind of document as the API server serves it, whether built in, ours or a user's: what a
/// CustomResourceDefinition says. The server knows no other way to have a kind.
package struct ResourceDefinition: Sendable {
    package struct Version: Sendable {
        package var name: String
        package var isServed: Bool
        package var isStorage: Bool
        package var schema: Schema
        /// Whether `/status` is a subresource: writes to the main resource then keep the status, and the reverse.
        package var hasStatus: Bool
        package var scale: Scale?
        package var columns: [Column]
        /// JSON paths that field selectors may name besides `metadata.name` and `metadata.namespace`.
        package var selectableFields: [String]
    }

    /// The JSON paths behind the scale subresource.
    package struct Scale: Sendable {
        package var specReplicasPath: String
        package var statusReplicasPath: String
        package var labelSelectorPath: String?
    }

    /// A column that `kubectl get` prints.
    package struct Column: Sendable {
        package var name: String
        /// `string`, `integer`, `number`, `boolean` or `date`.
        package var type: String
        package var format: String
        package var description: String
        package var jsonPath: String
        /// Above zero: only with `-o wide`.
        package var priority: Int

        package init(
            name: String, type: String, format: String, description: String, jsonPath: String, priority: Int
        ) {
            self.name = name
            self.type = type
            self.format = format
            self.description = description
            self.jsonPath = jsonPath
            self.priority = priority
        }
    }

    /// Who converts documents between versions.
    package struct ConversionWebhook: Sendable, Hashable {
        package enum Place: Sendable, Hashable {
            case url(String)
            case service(namespace: String, name: String, path: String, port: Int)
        }

        package var place: Place
        /// PEM; empty: the system's authorities.
        package var authority: [UInt8]
        /// Of the ConversionReview: the first of those it takes that we speak.
        package var reviewVersion: String
    }

    package var group: String
    package var kind: String
    package var listKind: String
    package var plural: String
    package var singular: String
    package var shortNames: [String]
    package var categories: [String]
    package var isNamespaced: Bool
    /// In order of preference; the first served one is the preferred version.
    package var versions: [Version]
    /// Verbs the resource offers; review kinds offer only `create`.
    package var verbs: [String]
    /// Built-in kinds accept strategic merge patches and updates without a resourceVersion; others do not.
    package var isBuiltIn: Bool

    /// `nil`: versions differ in their name alone.
    package var conversion: ConversionWebhook?

    /// The resource whose documents this one shows in another form; `nil` where it has documents of its own.
    package var storedAs: GroupResource?

    package static let allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

    package var groupResource: GroupResource { GroupResource(group: group, resource: plural) }
    package var storageVersion: Version { versions.first { $0.isStorage } ?? versions[0] }

    package func version(_ name: String) -> Version? { versions.first { $0.name == name && $0.isServed } }

    /// Reads a CustomResourceDefinition document. `nil` where it lacks a group, a kind, a plural or a version.
    /// Bundled built-in kinds carry the annotations `espalier.dev/built-in: "true"` and, where they do not offer every
    /// verb, `espalier.dev/verbs: create,get`; their group may be empty.
    package init?(customResourceDefinition document: Document) {
        let spec = document.spec
        guard let group = spec["group"]?.stringValue, let kind = spec["names"]?["kind"]?.stringValue,
            let plural = spec["names"]?["plural"]?.stringValue
        else { return nil }
        let versions = (spec["versions"]?.arrayValue ?? []).compactMap(Version.init)
        if versions.isEmpty { return nil }
        let names = spec["names"] ?? .null
        self.group = group
        self.kind = kind
        self.plural = plural
        self.versions = versions
        listKind = names["listKind"]?.stringValue ?? "\(kind)List"
        singular = names["singular"]?.stringValue ?? kind.lowercased()
        shortNames = (names["shortNames"]?.arrayValue ?? []).compactMap(\.stringValue)
        categories = (names["categories"]?.arrayValue ?? []).compactMap(\.stringValue)
        isNamespaced = spec["scope"]?.stringValue != "Cluster"
        let annotations = document.annotations
        verbs = annotations["espalier.dev/verbs"].map { $0.split(separator: ",").map(String.init) } ?? Self.allVerbs
        isBuiltIn = annotations["espalier.dev/built-in"] == "true"
        storedAs = annotations["espalier.dev/stored-as"].map { GroupResource(group: "", resource: $0) }
        conversion = ConversionWebhook(spec["conversion"] ?? .null)
    }
}

extension ResourceDefinition.ConversionWebhook {
    /// Reads `spec.conversion`; `nil` where no webhook converts.
    init?(_ json: JSON) {
        guard json["strategy"]?.stringValue == "Webhook", let webhook = json["webhook"] else { return nil }
        let client = webhook["clientConfig"] ?? .null
        if let url = client["url"]?.stringValue {
            place = .url(url)
        } else if let service = client["service"], let name = service["name"]?.stringValue,
            let namespace = service["namespace"]?.stringValue
        {
            place = .service(
                namespace: namespace, name: name, path: service["path"]?.stringValue ?? "/",
                port: Int(clamping: service["port"]?.integerValue ?? 443))
        } else {
            return nil
        }
        authority = Base64.decode(client["caBundle"]?.stringValue ?? "") ?? []
        let versions = (webhook["conversionReviewVersions"]?.arrayValue ?? []).compactMap(\.stringValue)
        reviewVersion = versions.first { ["v1", "v1beta1"].contains($0) } ?? "v1"
    }
}

extension ResourceDefinition.Version {
    init?(_ json: JSON) {
        guard let name = json["name"]?.stringValue else { return nil }
        let subresources = json["subresources"]
        self.name = name
        isServed = json["served"]?.boolValue ?? true
        isStorage = json["storage"]?.boolValue ?? false
        schema = Schema(
            json["schema"]?["openAPIV3Schema"] ?? ["type": "object", "x-kubernetes-preserve-unknown-fields": true])
        hasStatus = subresources?["status"] != nil
        scale = subresources?["scale"].map {
            ResourceDefinition.Scale(
                specReplicasPath: $0["specReplicasPath"]?.stringValue ?? ".spec.replicas",
                statusReplicasPath: $0["statusReplicasPath"]?.stringValue ?? ".status.replicas",
                labelSelectorPath: $0["labelSelectorPath"]?.stringValue)
        }
        columns = (json["additionalPrinterColumns"]?.arrayValue ?? []).map {
            ResourceDefinition.Column(
                name: $0["name"]?.stringValue ?? "", type: $0["type"]?.stringValue ?? "string",
                format: $0["format"]?.stringValue ?? "", description: $0["description"]?.stringValue ?? "",
                jsonPath: $0["jsonPath"]?.stringValue ?? "", priority: Int($0["priority"]?.integerValue ?? 0))
        }
        selectableFields = (json["selectableFields"]?.arrayValue ?? []).compactMap { $0["jsonPath"]?.stringValue }
    }
}
