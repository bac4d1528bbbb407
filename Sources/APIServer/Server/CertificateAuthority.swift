internal import Crypto
package import Seams
internal import SwiftASN1
internal import X509

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#endif

/// The certificates of one installation: a CA made at first start, and the server's certificate it signs.
///
/// Under `pki/`, all mode 0600: `ca.crt`, `ca.key`, `server.crt`, `server.key`, PEM, ECDSA P-256. The CA lasts ten years and is
/// never replaced by itself, because clients hold it. The server's certificate lasts a year and is made anew when it does
/// not name a host it should, or has less than a month left.
package struct CertificateAuthority {
    /// What the server presents: PEM chain and key. `authority` is what clients trust.
    package struct Material: Sendable {
        package var authority: [UInt8]
        package var certificate: [UInt8]
        package var key: [UInt8]
    }

    package struct Damaged: Error, CustomStringConvertible {
        package let description: String
    }

    private static let day = 86_400.0

    /// Reads what is there under `directory`, makes what is missing, and answers the server's material for `hosts`:
    /// DNS names and IP addresses.
    package static func material(directory: String, hosts: [String], now: Instant) throws -> Material {
        try PrivateFile.makeDirectory(directory)
        let date = Date(timeIntervalSince1970: Double(now.seconds))
        let authority = try loadAuthority(directory) ?? kept(try makeAuthority(date), directory)
        let names = try subjectAlternativeNames(hosts)
        if let certificate = try PrivateFile.read("\(directory)/server.crt"),
            let key = try PrivateFile.read("\(directory)/server.key"),
            let parsed = try? Certificate(pemEncoded: String(decoding: certificate, as: UTF8.self)),
            parsed.notValidAfter.timeIntervalSince(date) > 30 * day, parsed.issuer == authority.certificate.subject,
            try parsed.extensions.subjectAlternativeNames == names
        {
            return Material(authority: try pem(authority.certificate), certificate: certificate, key: key)
        }
        let material = try serverMaterial(names, by: authority, date)
        try PrivateFile.write(material.key, to: "\(directory)/server.key")
        try PrivateFile.write(material.certificate, to: "\(directory)/server.crt")
        return material
    }

    /// Material of an authority that nobody keeps, for servers that live as long as a test.
    package static func ephemeral(hosts: [String], now: Instant) throws -> Material {
        let date = Date(timeIntervalSince1970: Double(now.seconds))
        return try serverMaterial(try subjectAlternativeNames(hosts), by: try makeAuthority(date), date)
    }

    private static func serverMaterial(
        _ names: SubjectAlternativeNames, by authority: Authority, _ now: Date
    ) throws -> Material {
        let key = P256.Signing.PrivateKey()
        return Material(
            authority: try pem(authority.certificate), certificate: try pem(try issue(key, names, by: authority, now)),
            key: Array(key.pemRepresentation.utf8))
    }

    private struct Authority {
        let certificate: Certificate
        let key: P256.Signing.PrivateKey
    }

    private static func loadAuthority(_ directory: String) throws -> Authority? {
        let certificate = try PrivateFile.read("\(directory)/ca.crt")
        let key = try PrivateFile.read("\(directory)/ca.key")
        guard let certificate, let key else {
            // The key is written first, so a key alone is a first start that was cut short; a certificate alone is a loss.
            if certificate == nil { return nil }
            throw Damaged(
                description: "\(directory)/ca.key is missing; restore it, or remove \(directory) to make a new CA")
        }
        do {
            return Authority(
                certificate: try Certificate(pemEncoded: String(decoding: certificate, as: UTF8.self)),
                key: try P256.Signing.PrivateKey(pemRepresentation: String(decoding: key, as: UTF8.self)))
        } catch {
            throw Damaged(
                description: "\(directory)/ca.crt or ca.key is damaged (\(error)); restore both from a backup")
        }
    }

    /// Writes an authority that was just made, the key first.
    private static func kept(_ authority: Authority, _ directory: String) throws -> Authority {
        try PrivateFile.write(Array(authority.key.pemRepresentation.utf8), to: "\(directory)/ca.key")
        try PrivateFile.write(try pem(authority.certificate), to: "\(directory)/ca.crt")
        return authority
    }

    private static func makeAuthority(_ now: Date) throws -> Authority {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName {
            CommonName("Espalier \(SHA256.hash(data: key.publicKey.rawRepresentation).prefix(4).hexadecimal)")
        }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: now - day, notValidAfter: now + 3650 * day, issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true))
            },
            issuerPrivateKey: Certificate.PrivateKey(key))
        return Authority(certificate: certificate, key: key)
    }

    private static func issue(
        _ key: P256.Signing.PrivateKey, _ names: SubjectAlternativeNames, by authority: Authority, _ now: Date
    ) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: now - day, notValidAfter: now + 365 * day, issuer: authority.certificate.subject,
            subject: try DistinguishedName { CommonName("espalier") }, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                names
            },
            issuerPrivateKey: Certificate.PrivateKey(authority.key))
    }

    private static func subjectAlternativeNames(_ hosts: [String]) throws -> SubjectAlternativeNames {
        var seen: Set<String> = []
        return SubjectAlternativeNames(
            hosts.filter { seen.insert($0).inserted }.map { host in
                if let address = InternetAddress.bytes(of: host) {
                    return .ipAddress(ASN1OctetString(contentBytes: address[...]))
                }
                return .dnsName(host)
            })
    }

    private static func pem(_ certificate: Certificate) throws -> [UInt8] {
        Array((try certificate.serializeAsPEM().pemString + "\n").utf8)
    }
}

extension Sequence<UInt8> {
    /// Two lower-case hexadecimal digits a byte.
    var hexadecimal: String {
        var text = ""
        for byte in self {
            if byte < 16 { text += "0" }
            text += String(byte, radix: 16)
        }
        return text
    }
}
