internal import Crypto
internal import Documents
package import Seams

/// Who signs requests to a bucket.
package struct BucketCredentials: Sendable, Equatable {
    package var accessKey: String
    package var secretKey: String
    /// Of credentials that expire.
    package var sessionToken: String?

    package init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }
}

/// Signs requests as AWS Signature Version 4 says. Pure: the same request at the same time has the same signature.
package struct RequestSigner: Sendable {
    /// A request before it is signed. Header names are lower-case; `host` is among them.
    package struct Request: Sendable {
        package var method: String
        /// Percent-encoded, as it is sent.
        package var path: String
        /// Not encoded.
        package var query: [(name: String, value: String)]
        package var headers: [(name: String, value: String)]
        package var body: [UInt8]

        package init(
            method: String, path: String, query: [(name: String, value: String)] = [],
            headers: [(name: String, value: String)], body: [UInt8] = []
        ) {
            self.method = method
            self.path = path
            self.query = query
            self.headers = headers
            self.body = body
        }
    }

    private let credentials: BucketCredentials
    private let region: String
    private let service: String

    package init(_ credentials: BucketCredentials, region: String, service: String = "s3") {
        self.credentials = credentials
        self.region = region
        self.service = service
    }

    /// The request's headers, with those that sign it.
    package func headers(for request: Request, at time: Instant) -> [(name: String, value: String)] {
        let text = time.rfc3339.filter { $0 != "-" && $0 != ":" }
        let hash = Self.hexadecimal(SHA256.hash(data: request.body))
        var headers = request.headers + [("x-amz-date", text)]
        // The one service that asks for it.
        if service == "s3" { headers.append(("x-amz-content-sha256", hash)) }
        if let token = credentials.sessionToken { headers.append(("x-amz-security-token", token)) }
        headers.sort { $0.name < $1.name }
        let names = headers.map(\.name).joined(separator: ";")
        let canonical = [
            request.method, request.path, Self.text(of: request.query),
            headers.map { "\($0.name):\(Self.trimmed($0.value))\n" }.joined(), names, hash,
        ].joined(separator: "\n")
        let scope = "\(text.prefix(8))/\(region)/\(service)/aws4_request"
        let signed = ["AWS4-HMAC-SHA256", text, scope, Self.hexadecimal(SHA256.hash(data: Array(canonical.utf8)))]
        let signature = Self.hexadecimal(
            Self.authenticate(signed.joined(separator: "\n"), with: signingKey(day: String(text.prefix(8)))))
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), SignedHeaders=\(names), "
            + "Signature=\(signature)"
        return headers + [("authorization", authorization)]
    }

    private func signingKey(day: String) -> [UInt8] {
        var key = Array("AWS4\(credentials.secretKey)".utf8)
        for part in [day, region, service, "aws4_request"] { key = Self.authenticate(part, with: key) }
        return key
    }

    private static func authenticate(_ text: String, with key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: SymmetricKey(data: key)))
    }

    private static func trimmed(_ value: String) -> String {
        value.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    // MARK: Text of requests

    /// A query, encoded and in the order in which it is signed, which is also how it is sent.
    package static func text(of query: [(name: String, value: String)]) -> String {
        query.map { (encoded($0.name), encoded($0.value)) }
            .sorted { ($0.0, $0.1) < ($1.0, $1.1) }
            .map { "\($0)=\($1)" }.joined(separator: "&")
    }

    /// Percent-encodes all but letters, digits and `-._~`, and the bytes in `kept`.
    package static func encoded(_ text: String, keeping kept: String = "") -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                result.append(byte)
            case _ where "-._~\(kept)".utf8.contains(byte): result.append(byte)
            default: result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
