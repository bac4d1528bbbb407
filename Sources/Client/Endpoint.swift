/// Where a Kubernetes API is, and who we are to it: what a kubeconfig's context says.
package struct Endpoint: Sendable {
    package var host: String
    package var port: Int
    /// Path in front of every request, such as a proxy's; empty as a rule.
    package var basePath = ""
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

    /// Host and port as the `Host` header says them.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isPlain ? 80 : 443) ? name : "\(name):\(port)"
    }
}
