internal import Documents

/// Who may enter: bearer tokens and whom they belong to.
package struct Credentials: Sendable {
    private let administratorToken: [UInt8]
    private let administrator = Identity(
        user: "admin", uid: "admin", groups: ["system:masters", "system:authenticated"])
    /// `nil` where service accounts have no tokens.
    let serviceAccounts: ServiceAccountTokens?

    /// `administratorToken` is that of the kubeconfig.
    package init(administratorToken: String) { self.init(administratorToken: administratorToken, serviceAccounts: nil) }

    init(administratorToken: String, serviceAccounts: ServiceAccountTokens?) {
        self.administratorToken = Array(administratorToken.utf8)
        self.serviceAccounts = serviceAccounts
    }

    package static let anonymous = Identity(user: "system:anonymous", groups: ["system:unauthenticated"])

    /// Answered without credentials, because whoever asks needs to know before it has any.
    package static func isPublic(path: String) -> Bool {
        ["/healthz", "/livez", "/readyz", "/version"].contains { path == $0 || path.hasPrefix("\($0)/") }
    }

    static let refusal = APIError(code: 401, reason: .unauthorized, message: "Unauthorized")

    /// `authorization` is the header; `nil` where there is none.
    func identity(authorization: String?, path: String) -> Result<Identity, APIError> {
        guard let authorization else {
            return Self.isPublic(path: path) ? .success(Self.anonymous) : .failure(Self.refusal)
        }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer",
            let (identity, _) = identity(token: String(parts[1]), audiences: [ServiceAccountTokens.issuer])
        else { return .failure(Self.refusal) }
        return .success(identity)
    }

    /// Whose token this is, and for which of `audiences` it is good; `nil` where it is not good.
    func identity(token: String, audiences: [String]) -> (identity: Identity, audiences: [String])? {
        if Self.isSame(administratorToken, Array(token.utf8)) {
            // The administrator's token is for this server alone.
            let own = audiences.filter { $0 == ServiceAccountTokens.issuer }
            return own.isEmpty ? nil : (administrator, own)
        }
        return serviceAccounts?.identity(of: token, audiences: audiences)
    }

    /// Takes the same time whatever the difference, so that a token cannot be guessed byte by byte.
    private static func isSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count, !left.isEmpty else { return false }
        var difference: UInt8 = 0
        for (a, b) in zip(left, right) { difference |= a ^ b }
        return difference == 0
    }
}
