package import Documents

/// A kubeconfig file's current context as an `Endpoint`. Reads the parts people use: clusters with inline or named
/// authorities, users with a token, inline or in a file, or a client certificate. Exec plug-ins and OIDC are refused by name.
package enum Kubeconfig {
    /// Reads `bytes`, the content of `file` (which messages name). `readFile` fetches files the kubeconfig points to.
    package static func endpoint(
        _ bytes: [UInt8], file: String, context wanted: String? = nil, readFile: (String) throws -> [UInt8]
    ) throws(APIError) -> Endpoint {
        let config: JSON
        do throws(YAMLError) {
            config = try YAMLReader.documents(in: bytes, file: file).first?.json ?? .null
        } catch {
            throw APIError.badRequest("\(error)")
        }
        guard let name = wanted ?? config["current-context"]?.stringValue, !name.isEmpty else {
            throw APIError.badRequest("\(file): expected a current-context, found none; choose one with --context")
        }
        let context = try entry("contexts", name, config, file)["context"] ?? .null
        let cluster = try entry("clusters", context["cluster"]?.stringValue ?? "", config, file)["cluster"] ?? .null
        let user = try entry("users", context["user"]?.stringValue ?? "", config, file)["user"] ?? .null
        var endpoint = try server(cluster["server"]?.stringValue ?? "", file)
        if let namespace = context["namespace"]?.stringValue { endpoint.namespace = namespace }
        endpoint.certificateAuthority = try material("certificate-authority", cluster, file, readFile) ?? []
        endpoint.clientCertificate = try material("client-certificate", user, file, readFile)
        endpoint.clientKey = try material("client-key", user, file, readFile)
        endpoint.bearerToken = user["token"]?.stringValue
        if endpoint.bearerToken == nil {
            endpoint.bearerTokenFile = user["tokenFile"]?.stringValue.map { path($0, file) }
        }
        for plugin in ["exec", "auth-provider"] where user[plugin] != nil {
            throw APIError.badRequest(
                "\(file): users of kind \(plugin) are not supported; use a token or a client certificate")
        }
        return endpoint
    }

    private static func entry(_ list: String, _ name: String, _ config: JSON, _ file: String) throws(APIError) -> JSON {
        let entries = config[list]?.arrayValue ?? []
        if let found = entries.first(where: { $0["name"]?.stringValue == name }) { return found }
        let names = entries.compactMap { $0["name"]?.stringValue }.joined(separator: ", ")
        throw APIError.badRequest(
            "\(file): expected \"\(name)\" among \(list), found \(names.isEmpty ? "none" : names)")
    }

    private static func server(_ url: String, _ file: String) throws(APIError) -> Endpoint {
        do throws(APIError) {
            return try Endpoint(url: url)
        } catch {
            throw APIError.badRequest("\(file): \(error.message)")
        }
    }

    /// The endpoint of the cluster this process runs in, from what every pod is given: the environment and the files of
    /// its service account. `nil` outside a cluster.
    package static func inCluster(
        environment: (String) -> String?, readFile: (String) throws -> [UInt8]
    ) throws(APIError) -> Endpoint? {
        guard let host = environment("KUBERNETES_SERVICE_HOST"), let port = environment("KUBERNETES_SERVICE_PORT")
        else { return nil }
        guard let number = Int(port), (1...65535).contains(number), !host.isEmpty else {
            throw APIError.badRequest("expected a port in KUBERNETES_SERVICE_PORT, found \"\(port)\"")
        }
        var endpoint = Endpoint(host: host, port: number)
        endpoint.bearerTokenFile = "\(serviceAccount)/token"
        do {
            endpoint.certificateAuthority = try readFile("\(serviceAccount)/ca.crt")
            endpoint.namespace = String(decoding: try readFile("\(serviceAccount)/namespace"), as: UTF8.self)
        } catch {
            throw APIError.badRequest("\(error); the pod needs automountServiceAccountToken: true")
        }
        return endpoint
    }

    private static let serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// A path that a kubeconfig names is relative to the kubeconfig.
    private static func path(_ path: String, _ file: String) -> String {
        if path.hasPrefix("/") { return path }
        return (file.lastIndex(of: "/").map { String(file[...$0]) } ?? "") + path
    }

    /// PEM bytes that stand inline under `<field>-data`, in base64, or in the file that `<field>` names.
    private static func material(
        _ field: String, _ section: JSON, _ file: String, _ readFile: (String) throws -> [UInt8]
    ) throws(APIError) -> [UInt8]? {
        if let text = section["\(field)-data"]?.stringValue {
            guard let bytes = Base64.decode(text) else {
                throw APIError.badRequest("\(file): expected base64 in \(field)-data")
            }
            return bytes
        }
        guard let path = section[field]?.stringValue else { return nil }
        let full = Self.path(path, file)
        do {
            return try readFile(full)
        } catch {
            throw APIError.badRequest("\(file): \(field) names \(full), which cannot be read: \(error)")
        }
    }
}
