internal import Documents

/// What a token of a service account says: whose it is, for whom, for how long, and with which document it ends.
struct TokenClaims: Equatable {
    /// A document in the token's namespace, or a Node.
    struct Reference: Equatable {
        var kind: String
        var name: String
        var uid: String

        /// How the claims call a document of the kind.
        var claim: String { kind.lowercased() }
    }

    /// What a token may be bound to.
    static let boundKinds = ["Pod", "Secret", "Node"]

    var issuer: String
    var audiences: [String]
    /// Seconds since 1970.
    var issuedAt: Int64
    var expiresAt: Int64
    /// Names this one token.
    var identifier: String
    var namespace: String
    var account: Reference
    var bound: Reference?

    var user: String { "system:serviceaccount:\(namespace):\(account.name)" }

    var json: JSON {
        var own: JSONObject = [
            "namespace": .string(namespace),
            "serviceaccount": ["name": .string(account.name), "uid": .string(account.uid)],
        ]
        if let bound { own[bound.claim] = ["name": .string(bound.name), "uid": .string(bound.uid)] }
        return [
            "aud": .array(audiences.map(JSON.string)), "exp": .integer(expiresAt), "iat": .integer(issuedAt),
            "iss": .string(issuer), "jti": .string(identifier), "kubernetes.io": .object(own),
            "nbf": .integer(issuedAt), "sub": .string(user),
        ]
    }

    /// `nil` where a claim is missing, or contradicts another.
    init?(_ json: JSON) {
        let own = json["kubernetes.io"]
        func reference(_ kind: String, _ claim: String) -> Reference? {
            guard let name = own?[claim]?["name"]?.stringValue, let uid = own?[claim]?["uid"]?.stringValue else {
                return nil
            }
            return Reference(kind: kind, name: name, uid: uid)
        }
        guard let issuer = json["iss"]?.stringValue, let audiences = json["aud"]?.arrayValue,
            let issuedAt = json["nbf"]?.integerValue, let expiresAt = json["exp"]?.integerValue,
            let identifier = json["jti"]?.stringValue, let namespace = own?["namespace"]?.stringValue,
            let account = reference("ServiceAccount", "serviceaccount")
        else { return nil }
        self.init(
            issuer: issuer, audiences: audiences.compactMap(\.stringValue), issuedAt: issuedAt, expiresAt: expiresAt,
            identifier: identifier, namespace: namespace, account: account,
            bound: Self.boundKinds.lazy.compactMap { reference($0, $0.lowercased()) }.first)
        if json["sub"]?.stringValue != user { return nil }
    }

    init(
        issuer: String, audiences: [String], issuedAt: Int64, expiresAt: Int64, identifier: String, namespace: String,
        account: Reference, bound: Reference?
    ) {
        self.issuer = issuer
        self.audiences = audiences
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.identifier = identifier
        self.namespace = namespace
        self.account = account
        self.bound = bound
    }
}
