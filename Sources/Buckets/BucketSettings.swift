package import Client
internal import Documents

/// A bucket as a user names it, and what the environment says of how to reach it.
package struct BucketSettings: Sendable {
    package var bucket: String
    /// Stands before the name of every object; ends with a slash unless it is empty.
    package var prefix: String
    package var region: String
    package var endpoint: Endpoint
    /// Asked before each request, so that credentials that are replaced in their file are found.
    package var credentials: @Sendable () throws(BucketError) -> BucketCredentials

    /// Reads `s3://bucket/prefix`, the address of the service (AWS's own where there is none), and the usual variables.
    /// `readFile` answers `nil` where there is no such file.
    package init(
        _ address: String, endpoint url: String?, environment: @escaping @Sendable (String) -> String?,
        readFile: @escaping @Sendable (String) throws -> [UInt8]?
    ) throws(BucketError) {
        let parts = address.dropFirst("s3://".count).split(
            separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard address.hasPrefix("s3://"), let name = parts.first, !name.isEmpty,
            name.utf8.allSatisfy({ $0 == 0x2d || $0 == 0x2e || $0 == 0x5f || Self.isAlphanumeric($0) })
        else { throw BucketError("expected s3://BUCKET or s3://BUCKET/PREFIX, found \"\(address)\"") }
        bucket = String(name)
        let path = (parts.count > 1 ? parts[1] : "").split(separator: "/").joined(separator: "/")
        prefix = path.isEmpty ? "" : "\(path)/"
        let region = environment("AWS_REGION") ?? environment("AWS_DEFAULT_REGION") ?? "us-east-1"
        self.region = region
        endpoint = try Self.endpoint(
            url ?? environment("AWS_ENDPOINT_URL_S3") ?? environment("AWS_ENDPOINT_URL")
                ?? "https://s3.\(region).amazonaws.com")
        if let file = environment("AWS_CA_BUNDLE") {
            guard let bytes = try Self.content(file, readFile) else {
                throw BucketError("AWS_CA_BUNDLE names \(file), which is not there")
            }
            endpoint.certificateAuthority = bytes
        }
        credentials = { () throws(BucketError) in try CredentialSource(environment, readFile).credentials() }
        _ = try credentials()
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }

    private static func endpoint(_ url: String) throws(BucketError) -> Endpoint {
        let expected = "expected the address of an S3 service as https://HOST or https://HOST:PORT, found \"\(url)\""
        let isPlain = url.hasPrefix("http://")
        guard isPlain || url.hasPrefix("https://") else { throw BucketError(expected) }
        let rest = url.dropFirst(isPlain ? 7 : 8)
        let authority = rest.prefix { $0 != "/" }
        if rest.dropFirst(authority.count).contains(where: { $0 != "/" }) { throw BucketError(expected) }
        let isBracketed = authority.hasSuffix("]")
        let colon = isBracketed ? nil : authority.lastIndex(of: ":")
        let host = authority[..<(colon ?? authority.endIndex)].filter { $0 != "[" && $0 != "]" }
        let port = colon.map { Int(authority[authority.index(after: $0)...]) } ?? (isPlain ? 80 : 443)
        guard let port, (1...65535).contains(port), !host.isEmpty else { throw BucketError(expected) }
        var endpoint = Endpoint(host: String(host), port: port)
        endpoint.isPlain = isPlain
        return endpoint
    }

    static func content(
        _ path: String, _ readFile: (String) throws -> [UInt8]?
    ) throws(BucketError) -> [UInt8]? {
        do {
            let bytes = try readFile(path)
            if let bytes, bytes.count > BucketLimits.fileBytes {
                throw BucketError("\(path): larger than \(BucketLimits.fileBytes) bytes")
            }
            return bytes
        } catch let error as BucketError {
            throw error
        } catch {
            throw BucketError("\(path): \(error)")
        }
    }
}

/// Why a bucket cannot be used, in words for its owner.
package struct BucketError: Error, Sendable, CustomStringConvertible {
    package var description: String
    /// The service has no space left.
    package var isFull = false

    package init(_ description: String, isFull: Bool = false) {
        self.description = description
        self.isFull = isFull
    }
}

/// Finds credentials where every client of AWS looks: in variables, then in the file of shared credentials.
private struct CredentialSource {
    private let environment: (String) -> String?
    private let readFile: (String) throws -> [UInt8]?

    init(_ environment: @escaping (String) -> String?, _ readFile: @escaping (String) throws -> [UInt8]?) {
        self.environment = environment
        self.readFile = readFile
    }

    func credentials() throws(BucketError) -> BucketCredentials {
        if let accessKey = environment("AWS_ACCESS_KEY_ID"), let secretKey = environment("AWS_SECRET_ACCESS_KEY") {
            return BucketCredentials(
                accessKey: accessKey, secretKey: secretKey, sessionToken: environment("AWS_SESSION_TOKEN"))
        }
        let file = environment("AWS_SHARED_CREDENTIALS_FILE") ?? "\(environment("HOME") ?? "")/.aws/credentials"
        let profile = environment("AWS_PROFILE") ?? "default"
        guard let bytes = try BucketSettings.content(file, readFile) else {
            throw BucketError(
                "no credentials for the bucket: expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "
                    + "environment, or a file \(file)")
        }
        let values = Self.section(profile, of: bytes)
        guard let accessKey = values["aws_access_key_id"], let secretKey = values["aws_secret_access_key"] else {
            throw BucketError(
                "\(file): expected aws_access_key_id and aws_secret_access_key in the profile [\(profile)]")
        }
        return BucketCredentials(
            accessKey: accessKey, secretKey: secretKey, sessionToken: values["aws_session_token"])
    }

    /// The `name = value` lines below `[name]`.
    private static func section(_ name: String, of bytes: [UInt8]) -> [String: String] {
        var values: [String: String] = [:]
        var isInside = false
        for line in bytes.split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }) {
            let text = trimmed(String(decoding: line, as: UTF8.self)[...])
            if text.hasPrefix("[") {
                isInside = trimmed(text.dropFirst().prefix { $0 != "]" }) == name
            } else if isInside, let equals = text.firstIndex(of: "="), !text.hasPrefix("#") {
                values[trimmed(text[..<equals])] = trimmed(text[text.index(after: equals)...])
            }
        }
        return values
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var text = text[...]
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text.drop { $0 == " " || $0 == "\t" })
    }
}
