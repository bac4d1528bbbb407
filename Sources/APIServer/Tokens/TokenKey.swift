internal import Crypto
internal import Documents

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#endif

/// The key that signs the tokens of service accounts: ECDSA P-256, in `pki/service-account.key`, mode 0600. Made at the
/// first start; whoever removes it makes every token void.
struct TokenKey: Sendable {
    private let key: P256.Signing.PrivateKey
    /// Names the key in tokens and in the set of public keys.
    let identifier: String

    init() { self.init(P256.Signing.PrivateKey()) }

    private init(_ key: P256.Signing.PrivateKey) {
        self.key = key
        identifier = Base64.encodeURL(Array(SHA256.hash(data: key.publicKey.derRepresentation)))
    }

    /// The key kept under `directory`, made where there is none.
    static func load(directory: String) throws -> TokenKey {
        let path = "\(directory)/service-account.key"
        guard let known = try PrivateFile.read(path) else {
            let new = TokenKey()
            try PrivateFile.write(Array(new.key.pemRepresentation.utf8), to: path)
            return new
        }
        do {
            return TokenKey(try P256.Signing.PrivateKey(pemRepresentation: String(decoding: known, as: UTF8.self)))
        } catch {
            throw CertificateAuthority.Damaged(
                description: "\(path) is damaged (\(error)); restore it from a backup, or remove it to void all tokens")
        }
    }

    /// The signature as JSON Web Tokens hold it: two numbers of 32 bytes.
    func signature(of bytes: [UInt8]) throws -> [UInt8] {
        Array(try key.signature(for: SHA256.hash(data: bytes)).rawRepresentation)
    }

    func isValid(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
        guard let parsed = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
        return key.publicKey.isValidSignature(parsed, for: SHA256.hash(data: bytes))
    }

    /// The public half (RFC 7517).
    var publicJSON: JSON {
        let point = Array(key.publicKey.rawRepresentation)
        return [
            "use": "sig", "kty": "EC", "kid": .string(identifier), "crv": "P-256", "alg": "ES256",
            "x": .string(Base64.encodeURL(Array(point[..<32]))), "y": .string(Base64.encodeURL(Array(point[32...]))),
        ]
    }
}
