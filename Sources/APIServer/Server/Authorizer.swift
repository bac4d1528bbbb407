package import Documents

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
        ["/api", "/apis", "/openapi", "/openid/v1/jwks", "/.well-known/openid-configuration"].contains {
            path == $0 || path.hasPrefix("\($0)/")
        }
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
