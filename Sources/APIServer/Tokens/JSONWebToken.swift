internal import Documents

/// A JSON Web Token in its compact form (RFC 7519, RFC 7515): header, claims and signature in base64url, parted by dots.
/// It is what somebody says; whether it is true is for who verifies the signature.
struct JSONWebToken {
    let header: JSON
    let claims: JSON
    /// What the signature is about: the first two parts as they came.
    let signedBytes: [UInt8]
    let signature: [UInt8]

    /// `nil` where `text` is no such token.
    init?(parsing text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= APIServerLimits.tokenBytes, parts.count == 3,
            let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Base64.decodeURL(String(parts[2]))
        else { return nil }
        self.header = header
        self.claims = claims
        self.signature = signature
        signedBytes = Array("\(parts[0]).\(parts[1])".utf8)
    }

    /// The token with these claims, signed by `sign`.
    static func text(header: JSON, claims: JSON, sign: ([UInt8]) throws -> [UInt8]) rethrows -> String {
        let signed = "\(Base64.encodeURL(header.encoded)).\(Base64.encodeURL(claims.encoded))"
        return "\(signed).\(Base64.encodeURL(try sign(Array(signed.utf8))))"
    }

    private static func object(_ part: Substring) -> JSON? {
        // A token that is no JSON is no token: what exactly is wrong with it is not for its sender to learn.
        guard let bytes = Base64.decodeURL(String(part)), let json = try? JSONParser.parse(bytes) else { return nil }
        return json.objectValue == nil ? nil : json
    }
}
