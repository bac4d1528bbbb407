internal import Documents
internal import NIOHTTP1
internal import Seams

/// The review kinds: questions about rights, dressed as documents.
extension APIExchange {
    func runReview(_ resource: ServedResource) throws(APIError) {
        guard request.method == .POST else { throw Self.methodNotAllowed }
        representation = try Representation.negotiate(accept: header("Accept"))
        representation.form = .document
        var options = WriteRequest(fieldManager: "")
        var document = try readDocument(resource, &options)
        switch resource.kind.kind {
        case "SelfSubjectReview":
            document.json["metadata"] = ["creationTimestamp": .string(pipeline.clock.now().rfc3339)]
            document["status"] = ["userInfo": identity.json]
        case "SelfSubjectRulesReview":
            let isAdministrator = handler.authorizer.allows(
                AccessRequest(identity: identity, verb: "*", resource: GroupResource(group: "*", resource: "*")))
            let all: JSON = ["*"]
            document["status"] = [
                "resourceRules": isAdministrator ? [["verbs": all, "apiGroups": all, "resources": all]] : [],
                "nonResourceRules": isAdministrator ? [["verbs": all, "nonResourceURLs": all]] : [],
                "incomplete": false,
            ]
        case "TokenReview":
            document["status"] = reviewedToken(document.spec)
        default:
            let isAllowed = handler.authorizer.allows(access(document, isSelf: resource.kind.kind.hasPrefix("Self")))
            document["status"] =
                isAllowed ? ["allowed": true, "reason": "system:masters may do everything"] : ["allowed": false]
        }
        answer(.created, document.json)
    }

    /// The status of a TokenReview. Why a token is not good is not told.
    private func reviewedToken(_ spec: JSON) -> JSON {
        let audiences = (spec["audiences"]?.arrayValue ?? []).compactMap(\.stringValue)
        let wanted = audiences.isEmpty ? [ServiceAccountTokens.issuer] : audiences
        let token = spec["token"]?.stringValue ?? ""
        guard let (user, common) = handler.credentials.identity(token: token, audiences: wanted) else {
            return ["user": [:], "error": "invalid bearer token"]
        }
        return ["authenticated": true, "user": user.json, "audiences": .array(common.map(JSON.string))]
    }

    private func access(_ document: Document, isSelf: Bool) -> AccessRequest {
        let spec = document.spec
        var subject = identity
        if !isSelf {
            subject = Identity(
                user: spec["user"]?.stringValue ?? "", uid: spec["uid"]?.stringValue ?? "",
                groups: (spec["groups"]?.arrayValue ?? []).compactMap(\.stringValue))
        }
        func text(_ object: JSON?, _ name: String) -> String { object?[name]?.stringValue ?? "" }
        if let path = spec["nonResourceAttributes"] {
            return AccessRequest(identity: subject, verb: text(path, "verb"), path: text(path, "path"))
        }
        let attributes = spec["resourceAttributes"]
        var access = AccessRequest(
            identity: subject, verb: text(attributes, "verb"),
            resource: GroupResource(group: text(attributes, "group"), resource: text(attributes, "resource")))
        access.subresource = text(attributes, "subresource")
        access.namespace = text(attributes, "namespace")
        access.name = text(attributes, "name")
        return access
    }
}
