package import Documents
internal import NIOHTTP1

/// What somebody wants to do, in the words of Kubernetes: the one question every request is turned into before it is
/// looked at any further.
package struct AccessRequest: Sendable, Equatable {
    package var identity: Identity
    package var verb: String
    /// Empty for paths that are no resource.
    package var resource: GroupResource?
    package var subresource = ""
    package var namespace = ""
    package var name = ""
    package var path = ""

    package init(identity: Identity, verb: String, resource: GroupResource? = nil, path: String = "") {
        self.identity = identity
        self.verb = verb
        self.resource = resource
        self.path = path
    }
}

/// Decides who may do what. Whatever no rule allows is denied.
package protocol Authorizer: Sendable {
    func allows(_ request: AccessRequest) -> Bool
}

/// Lets administrators do everything, others read who they are and whether the server is well, and nothing else.
package struct AdministratorAuthorizer: Authorizer {
    package init() {}

    package func allows(_ request: AccessRequest) -> Bool {
        if request.identity.groups.contains("system:masters") { return true }
        let isKnown = request.identity.groups.contains("system:authenticated")
        if let resource = request.resource {
            // Everybody may ask who they are and what they may do.
            return isKnown && request.verb == "create" && ReviewKinds.isReview(resource)
                && resource.resource.hasPrefix("selfsubject")
        }
        if request.verb != "get" { return false }
        return Credentials.isPublic(path: request.path) || (isKnown && Self.isDiscovery(request.path))
    }

    private static func isDiscovery(_ path: String) -> Bool {
        ["/api", "/apis", "/openapi"].contains { path == $0 || path.hasPrefix("\($0)/") }
    }
}

extension AccessRequest {
    /// The refusal, worded as upstream words it.
    package var refusal: APIError {
        guard let resource else {
            return APIError(
                code: 403, reason: .forbidden,
                message: "forbidden: User \"\(identity.user)\" cannot \(verb) path \"\(path)\"")
        }
        var what = "resource \"\(resource.resource)\(subresource.isEmpty ? "" : "/\(subresource)")\""
        what += " in API group \"\(resource.group)\""
        what += namespace.isEmpty ? " at the cluster scope" : " in the namespace \"\(namespace)\""
        let subject = name.isEmpty ? resource.description : "\(resource) \"\(name)\""
        return APIError(
            code: 403, reason: .forbidden,
            message: "\(subject) is forbidden: User \"\(identity.user)\" cannot \(verb) \(what)", name: name,
            group: resource.group, kind: resource.resource)
    }
}

/// The wish to act as somebody else, from the headers of a request.
struct Impersonation {
    private let user: String
    private let groups: [String]
    private let uid: String

    /// `nil` where nobody is named. Groups without a user are refused later: nobody may be the empty user.
    init?(_ headers: HTTPHeaders) {
        let names = ["Impersonate-User", "Impersonate-Group", "Impersonate-Uid"]
        guard names.contains(where: { headers.contains(name: $0) }) else { return nil }
        user = headers.first(name: "Impersonate-User") ?? ""
        groups = headers["Impersonate-Group"]
        uid = headers.first(name: "Impersonate-Uid") ?? ""
    }

    /// What the one who asks must be allowed.
    func accessRequests(by identity: Identity) -> [AccessRequest] {
        func access(_ resource: String, _ name: String) -> AccessRequest {
            var request = AccessRequest(
                identity: identity, verb: "impersonate", resource: GroupResource(group: "", resource: resource))
            request.name = name
            return request
        }
        return [access("users", user)] + groups.map { access("groups", $0) }
    }

    var identity: Identity {
        let isAnonymous = user.isEmpty || user == Credentials.anonymous.user
        let added = isAnonymous ? "system:unauthenticated" : "system:authenticated"
        return Identity(user: user, uid: uid, groups: groups + (groups.contains(added) ? [] : [added]))
    }
}

/// Who may enter: bearer tokens and whom they belong to.
package struct Credentials: Sendable {
    private let tokens: [(token: [UInt8], identity: Identity)]

    /// `administratorToken` is that of the kubeconfig.
    package init(administratorToken: String) {
        let administrator = Identity(user: "admin", uid: "admin", groups: ["system:masters", "system:authenticated"])
        tokens = [(Array(administratorToken.utf8), administrator)]
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
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return .failure(Self.refusal) }
        let presented = Array(parts[1].utf8)
        for (token, identity) in tokens where Self.isSame(token, presented) { return .success(identity) }
        return .failure(Self.refusal)
    }

    /// Takes the same time whatever the difference, so that a token cannot be guessed byte by byte.
    private static func isSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count, !left.isEmpty else { return false }
        var difference: UInt8 = 0
        for (a, b) in zip(left, right) { difference |= a ^ b }
        return difference == 0
    }
}
