package import Documents

/// Where a Kubernetes API is, and who we are to it: what a kubeconfig's context says.
package struct Endpoint: Sendable {
    package var host: String
    package var port: Int
    /// Path in front of every request, such as a proxy's; empty as a rule.
    package var basePath = ""
    /// Whom the certificate must name where that is not `host`.
    package var serverName: String?
    /// How long a server may take to begin its answer, and to go on with one that is not a stream.
    package var responseTimeout = ClientLimits.responseTimeout
    /// PEM. Empty: the system's authorities.
    package var certificateAuthority: [UInt8] = []
    package var bearerToken: String?
    /// A file with the token, which is read again once a minute: tokens of service accounts are replaced while they are used.
    package var bearerTokenFile: String?
    /// PEM certificate chain and key, where the client authenticates by certificate.
    package var clientCertificate: [UInt8]?
    package var clientKey: [UInt8]?
    /// The namespace of the context.
    package var namespace = "default"
    /// Without TLS.
    package var isPlain = false
    /// Whom the server takes us for, in `User-Agent` and hence in managedFields of plain writes.
    package var userAgent = "espalier"

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `https://host:port/path`.
    package init(url: String) throws(APIError) {
        guard url.hasPrefix("https://") else {
            throw APIError.badRequest("expected a server that begins with https://, found \"\(url)\"")
        }
        let rest = url.dropFirst("https://".count)
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        let isBracketed = authority.hasPrefix("[")
        let colon = authority.lastIndex(of: ":").flatMap { isBracketed && authority[$0...].contains("]") ? nil : $0 }
        let host = authority[..<(colon ?? authority.endIndex)].filter { $0 != "[" && $0 != "]" }
        let port = colon.map { Int(authority[authority.index(after: $0)...]) } ?? 443
        guard let port, (1...65535).contains(port), !host.isEmpty else {
            throw APIError.badRequest("expected a server as https://host:port, found \"\(url)\"")
        }
        self.init(host: String(host), port: port)
        basePath = path == "/" ? "" : String(path)
    }

    /// Host and port as the `Host` header says them.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isPlain ? 80 : 443) ? name : "\(name):\(port)"
    }
}
