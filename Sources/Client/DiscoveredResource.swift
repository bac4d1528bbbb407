internal import Documents

/// One resource as discovery describes it.
package struct DiscoveredResource: Sendable {
    package var information: ResourceInformation
    package var singular: String
    package var shortNames: [String]
    package var categories: [String]
    package var verbs: [String]

    /// The resources of one group of an aggregated discovery answer, in preferred order of versions.
    static func all(in group: JSON) -> [DiscoveredResource] {
        let name = group["metadata"]?["name"]?.stringValue ?? ""
        return (group["versions"]?.arrayValue ?? []).flatMap { version in
            (version["resources"]?.arrayValue ?? []).compactMap { resource -> DiscoveredResource? in
                guard let plural = resource["resource"]?.stringValue,
                    let kind = resource["responseKind"]?["kind"]?.stringValue,
                    let versionName = version["version"]?.stringValue
                else { return nil }
                return DiscoveredResource(
                    information: ResourceInformation(
                        resource: GroupResource(group: name, resource: plural), version: versionName, kind: kind,
                        isNamespaced: resource["scope"]?.stringValue == "Namespaced"),
                    singular: resource["singularResource"]?.stringValue ?? kind.lowercased(),
                    shortNames: (resource["shortNames"]?.arrayValue ?? []).compactMap(\.stringValue),
                    categories: (resource["categories"]?.arrayValue ?? []).compactMap(\.stringValue),
                    verbs: (resource["verbs"]?.arrayValue ?? []).compactMap(\.stringValue))
            }
        }
    }

    /// The resources of an `APIResourceList`, without subresources.
    static func all(listedBy list: JSON) -> [DiscoveredResource] {
        let parts = (list["groupVersion"]?.stringValue ?? "").split(separator: "/")
        let (group, version) = (parts.count > 1 ? String(parts[0]) : "", String(parts.last ?? ""))
        return (list["resources"]?.arrayValue ?? []).compactMap { resource -> DiscoveredResource? in
            guard let plural = resource["name"]?.stringValue, !plural.contains("/"),
                let kind = resource["kind"]?.stringValue
            else { return nil }
            let singular = resource["singularName"]?.stringValue ?? ""
            return DiscoveredResource(
                information: ResourceInformation(
                    resource: GroupResource(group: group, resource: plural), version: version, kind: kind,
                    isNamespaced: resource["namespaced"]?.boolValue ?? false),
                singular: singular.isEmpty ? kind.lowercased() : singular,
                shortNames: (resource["shortNames"]?.arrayValue ?? []).compactMap(\.stringValue),
                categories: (resource["categories"]?.arrayValue ?? []).compactMap(\.stringValue),
                verbs: (resource["verbs"]?.arrayValue ?? []).compactMap(\.stringValue))
        }
    }
}
