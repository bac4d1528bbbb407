package import Documents
internal import Synchronization

extension HTTPClient {
    /// The path of a collection: `/apis/espalier.dev/v1alpha1/namespaces/team-a/landscapes`.
    package func path(_ information: ResourceInformation, namespace: String) -> String {
        let group = information.resource.group
        let root = group.isEmpty ? "/api/\(information.version)" : "/apis/\(group)/\(information.version)"
        let scope = information.isNamespaced && !namespace.isEmpty ? "/namespaces/\(Self.escape(namespace))" : ""
        return "\(root)\(scope)/\(information.resource.resource)"
    }

    /// The path of one document or of a subresource of it.
    package func path(_ key: ObjectKey, _ subresource: String? = nil) async throws(APIError) -> String {
        let information = try await information(of: key.resource)
        let document = "\(path(information, namespace: key.namespace))/\(Self.escape(key.name))"
        return subresource.map { "\(document)/\($0)" } ?? document
    }

    /// A query string from names and values; empty values are left out.
    package static func query(_ items: [(name: String, value: String)]) -> String {
        let parts = items.filter { !$0.value.isEmpty }.map { "\($0.name)=\(escape($0.value))" }
        return parts.isEmpty ? "" : "?" + parts.joined(separator: "&")
    }

    /// Percent-encodes everything that RFC 3986 does not call unreserved.
    package static func escape(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }

    /// What discovery says of a resource; asks the server on first use and again when the resource is not known.
    package func information(of resource: GroupResource) async throws(APIError) -> ResourceInformation {
        if let known = versions.withLock({ $0[resource] }) { return known }
        try await discover()
        if let known = versions.withLock({ $0[resource] }) { return known }
        throw APIError(
            code: 404, reason: .notFound, message: "the server doesn't have a resource type \"\(resource)\"",
            group: resource.group, kind: resource.resource)
    }

    /// Every resource the server offers, with short names and categories, in the order the server lists them.
    package func resources() async throws(APIError) -> [DiscoveredResource] {
        let aggregated = ["v2", "v2beta1"].map {
            "application/json;g=apidiscovery.k8s.io;v=\($0);as=APIGroupDiscoveryList"
        }
        let accept = (aggregated + ["application/json"]).joined(separator: ",")
        var found: [DiscoveredResource] = []
        for root in ["/api", "/apis"] {
            let list = try await discovery(root, accept: accept)
            if list["kind"]?.stringValue == "APIGroupDiscoveryList" {
                for group in list["items"]?.arrayValue ?? [] { found += DiscoveredResource.all(in: group) }
            } else {
                found += try await resources(listedBy: list, root)
            }
        }
        return found
    }

    /// The resources of a server before Kubernetes 1.26: a document for each version of each group.
    private func resources(listedBy list: JSON, _ root: String) async throws(APIError) -> [DiscoveredResource] {
        var versions = (list["versions"]?.arrayValue ?? []).compactMap(\.stringValue)
        for group in list["groups"]?.arrayValue ?? [] {
            versions += (group["versions"]?.arrayValue ?? []).compactMap { $0["groupVersion"]?.stringValue }
        }
        var found: [DiscoveredResource] = []
        for version in versions {
            found += DiscoveredResource.all(
                listedBy: try await discovery("\(root)/\(version)", accept: "application/json"))
        }
        return found
    }

    /// The server's `gitVersion`, such as `v1.32.0`.
    package func version() async throws(APIError) -> String {
        try await discovery("/version", accept: "application/json")["gitVersion"]?.stringValue ?? "unknown"
    }

    private func discovery(_ path: String, accept: String) async throws(APIError) -> JSON {
        let answer = try await request("GET", path, accept: accept)
        if answer.status != 200 { throw Self.error(status: answer.status, answer.body) }
        guard let json = try? JSONParser.parse(answer.body, maximumBytes: ClientLimits.eventBytes) else {
            throw APIError.unreachable("expected discovery as JSON from \(path)")
        }
        return json
    }

    func discover() async throws(APIError) {
        let found = try await resources()
        versions.withLock { versions in
            for entry in found.reversed() { versions[entry.information.resource] = entry.information }
        }
        discovered.withLock { discovered in
            for entry in found {
                let information = entry.information
                discovered[
                    GroupVersionKind(
                        group: information.resource.group, version: information.version, kind: information.kind)
                ] = information
            }
        }
    }
}
