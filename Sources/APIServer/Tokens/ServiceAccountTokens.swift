internal import Documents
internal import Seams
internal import Store

/// Gives tokens to service accounts, and tells whose a token is. A token is good while its time lasts and its account,
/// and what it is bound to, are the ones it was made for. Safe to call from any thread.
struct ServiceAccountTokens: Sendable {
    /// Who signs; also who the tokens are for where a request names nobody.
    static let issuer = "https://kubernetes.default.svc.cluster.local"
    private static let algorithm = "ES256"

    let key: TokenKey
    let pipeline: APIPipeline

    // MARK: Giving

    /// Answers a TokenRequest for the account at `account`: the request, with the token in its status.
    func issue(_ request: Document, _ account: ObjectKey) throws(APIError) -> Document {
        let owner = try document(account)
        let spec = request.spec
        let seconds = spec["expirationSeconds"]?.integerValue ?? 3600
        try Self.check(seconds)
        let asked = (spec["audiences"]?.arrayValue ?? []).compactMap(\.stringValue)
        let audiences = asked.isEmpty ? [Self.issuer] : asked
        let now = pipeline.clock.now()
        let claims = TokenClaims(
            issuer: Self.issuer, audiences: audiences, issuedAt: now.seconds, expiresAt: now.seconds + seconds,
            identifier: pipeline.uniqueIdentifier(), namespace: account.namespace,
            account: TokenClaims.Reference(kind: "ServiceAccount", name: account.name, uid: owner.uid),
            bound: try spec["boundObjectRef"].flatMap { reference throws(APIError) in
                reference.isNull ? nil : try bound(reference, account)
            })
        var answer = request
        answer.json["metadata"] = [
            "name": .string(account.name), "namespace": .string(account.namespace),
            "creationTimestamp": .string(now.rfc3339),
        ]
        answer.json["spec"]?["audiences"] = .array(audiences.map(JSON.string))
        answer.json["spec"]?["expirationSeconds"] = .integer(seconds)
        answer["status"] = [
            "token": .string(try token(claims)), "expirationTimestamp": .string((now + .seconds(seconds)).rfc3339),
        ]
        return answer
    }

    private func token(_ claims: TokenClaims) throws(APIError) -> String {
        do {
            let header: JSON = ["alg": .string(Self.algorithm), "kid": .string(key.identifier)]
            return try JSONWebToken.text(header: header, claims: claims.json, sign: key.signature)
        } catch {
            throw APIPipeline.internalError("the token could not be signed: \(error)")
        }
    }

    private static func check(_ seconds: Int64) throws(APIError) {
        let problem: String
        switch seconds {
        case ..<600: problem = "may not specify a duration less than 10 minutes"
        case 4_294_967_297...: problem = "may not specify a duration larger than 2^32 seconds"
        default: return
        }
        throw .invalid(
            GroupVersionKind(group: "authentication.k8s.io", version: "v1", kind: "TokenRequest"), "",
            [
                APIError.Cause(
                    reason: "FieldValueInvalid", message: "Invalid value: \(seconds): \(problem)",
                    field: "spec.expirationSeconds")
            ])
    }

    private func bound(_ reference: JSON, _ account: ObjectKey) throws(APIError) -> TokenClaims.Reference {
        let kind = reference["kind"]?.stringValue ?? ""
        let name = reference["name"]?.stringValue ?? ""
        guard reference["apiVersion"]?.stringValue == "v1", TokenClaims.boundKinds.contains(kind) else {
            let version = reference["apiVersion"]?.stringValue ?? ""
            throw .badRequest("cannot bind token to object of type \(version), Kind=\(kind)")
        }
        let key = Self.key(TokenClaims.Reference(kind: kind, name: name, uid: ""), account.namespace)
        let target = try document(key)
        let runs = target.spec["serviceAccountName"]?.stringValue ?? ""
        if kind == "Pod", (runs.isEmpty ? "default" : runs) != account.name {
            throw .badRequest(
                "cannot bind token for serviceaccount \"\(account.name)\" to pod running with different serviceaccount name."
            )
        }
        let uid = reference["uid"]?.stringValue ?? ""
        if !uid.isEmpty, uid != target.uid {
            throw .conflict(
                key.resource, name,
                "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might have "
                    + "been deleted and then recreated")
        }
        return TokenClaims.Reference(kind: kind, name: name, uid: target.uid)
    }

    // MARK: Telling

    /// Whose token this is, and for which of `audiences` it is good; `nil` where it is not good at all.
    func identity(of text: String, audiences: [String] = [issuer]) -> (identity: Identity, audiences: [String])? {
        guard let token = JSONWebToken(parsing: text), token.header["alg"]?.stringValue == Self.algorithm,
            token.header["kid"]?.stringValue == key.identifier, let claims = TokenClaims(token.claims),
            key.isValid(token.signature, of: token.signedBytes)
        else { return nil }
        let now = pipeline.clock.now().seconds
        let common = audiences.filter(claims.audiences.contains)
        guard claims.issuer == Self.issuer, claims.issuedAt <= now, now < claims.expiresAt, !common.isEmpty,
            isThere(claims.account, claims.namespace),
            claims.bound.map({ isThere($0, claims.namespace) }) ?? true
        else { return nil }
        return (Identity(claims), common)
    }

    private func isThere(_ reference: TokenClaims.Reference, _ namespace: String) -> Bool {
        // What cannot be read now cannot vouch for anybody.
        guard let found = try? document(Self.key(reference, namespace)) else { return false }
        return found.uid == reference.uid && !found.isBeingDeleted
    }

    private func document(_ key: ObjectKey) throws(APIError) -> Document {
        try APIPipeline.decode(try pipeline.get(key, .sequenced))
    }

    private static func key(_ reference: TokenClaims.Reference, _ namespace: String) -> ObjectKey {
        ObjectKey(
            GroupResource(group: "", resource: "\(reference.kind.lowercased())s"),
            namespace: reference.kind == "Node" ? "" : namespace, name: reference.name)
    }

    // MARK: Publishing

    /// What other programs need to verify tokens by themselves (OpenID Connect Discovery 1.0).
    func configuration(serverAddress: String) -> JSON {
        [
            "issuer": .string(Self.issuer), "jwks_uri": .string("https://\(serverAddress)/openid/v1/jwks"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [.string(Self.algorithm)],
        ]
    }

    var keySet: JSON { ["keys": [key.publicJSON]] }
}

extension Identity {
    /// Who a service account's token makes its bearer.
    init(_ claims: TokenClaims) {
        self.init(
            user: claims.user, uid: claims.account.uid,
            groups: Self.serviceAccountGroups(namespace: claims.namespace) + ["system:authenticated"])
        let prefix = "authentication.kubernetes.io/"
        extra.append(("\(prefix)credential-id", ["JTI=\(claims.identifier)"]))
        if let bound = claims.bound, bound.kind != "Secret" {
            extra.append(("\(prefix)\(bound.claim)-name", [bound.name]))
            extra.append(("\(prefix)\(bound.claim)-uid", [bound.uid]))
        }
    }

    static func serviceAccountGroups(namespace: String) -> [String] {
        ["system:serviceaccounts", "system:serviceaccounts:\(namespace)"]
    }
}
